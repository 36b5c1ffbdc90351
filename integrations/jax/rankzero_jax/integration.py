"""What `rankzero.plugin` asks of an integration, for JAX."""

from __future__ import annotations

from typing import Any

from rankzero.plugin import Integration, Run, current_run, read_settings, report
from rankzero_jax.checkpoints import checkpoints
from rankzero_jax.compiles import compiles
from rankzero_jax.models import describe, parameters_of
from rankzero_jax.runs import NAME
from rankzero_jax.surroundings import surroundings


class JAX(Integration):
    """JAX with Flax, Optax and Orbax."""

    name = NAME
    framework = "jax"
    extra = "jax"

    def activate(self) -> None:
        """Put hooks in place for a program that never mentions rankzero."""
        from rankzero_jax.zero_change import activate

        activate()

    def watch(self, run: Run, obj: Any, **options: Any) -> bool:
        """Record what a model looks like: an nnx module, a linen TrainState or a dict of arrays.

        What happens in a compiled function cannot be seen from a model: its gradients are what `capture` is for.
        """
        params = parameters_of(obj)
        if params is None:
            return False
        run.config.update({"model": describe(obj, params)}, source=NAME)
        report("model", "recorded", NAME)
        return True

    def unwatch(self, run: Run, obj: Any) -> bool:
        """Nothing is attached to a model."""
        return obj is not None and parameters_of(obj) is not None


def listen() -> None:
    """Record from now on what this process compiles, its devices' memory and the checkpoints that Orbax writes.

    `rankzero run` does so by itself.
    """
    run = current_run()
    if read_settings().mode != "disabled" and not (run is not None and run.disabled):
        compiles.listen()
        checkpoints.listen()
        surroundings.wanted = True
        if run is not None:
            surroundings.of(run)


integration = JAX()
"""Named in the entry point group `rankzero.integrations`."""
