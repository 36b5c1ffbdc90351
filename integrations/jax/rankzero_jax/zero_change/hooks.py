"""Where this package listens to JAX and optax; nothing is listened to before `activate`."""

from __future__ import annotations

from types import ModuleType

import jax

from rankzero.plugin import after_import, replace
from rankzero_jax.checkpoints import checkpoints
from rankzero_jax.compiles import compiles
from rankzero_jax.programs import calls
from rankzero_jax.zero_change import keras_steps
from rankzero_jax.zero_change.jitted import around_jit, around_pmap
from rankzero_jax.zero_change.loop import Loop
from rankzero_jax.zero_change.losses import around_grad, around_value_and_grad
from rankzero_jax.zero_change.optimizers import Optimizers
from rankzero_jax.zero_change.scans import around_scan
from rankzero_jax.zero_change.trainings import Trainings
from rankzero_jax.zero_change.updates import Updates


def activate() -> Loop:
    """Listen to everything a training step does that can be heard without changing what it computes."""
    optimizers = Optimizers()
    loop = Loop(optimizers)
    updates = Updates(loop, Trainings())
    compiles.listen()
    checkpoints.listen()
    calls.others = loop.arrived
    checkpoints.step = loop.step
    replace(jax, "jit", around_jit(loop))
    replace(jax, "pmap", around_pmap(loop))
    replace(jax, "value_and_grad", around_value_and_grad(loop))
    replace(jax, "grad", around_grad)
    replace(jax.lax, "scan", around_scan)

    def listen_to_optax(module: ModuleType) -> None:
        updates.install(module)
        optimizers.install(module)

    after_import("optax", listen_to_optax)
    after_import(keras_steps.MODULE, keras_steps.KerasSteps(updates).install)
    return loop
