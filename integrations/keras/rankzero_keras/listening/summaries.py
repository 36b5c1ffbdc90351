"""Scalars that a program writes with `tf.summary.scalar`, forwarded to the run under their names; the event files are written as ever."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from rankzero.plugin import Run, claim, guarded, log_aside, replace, report
from rankzero_keras.integration import NAME

PRECEDENCE = 20
QUIET = frozenset({"keras.src.callbacks.tensorboard"})
"""Callers whose scalars are recorded already: Keras's own TensorBoard callback."""


class Summaries:
    """Forwards to a run, where there is one.

    Args:
        run: finds the run of now; None where nothing is recorded.
    """

    def __init__(self, run: Callable[[], Run | None]) -> None:
        self._run = run

    def install(self, module: ModuleType) -> None:
        """Listen to `tensorflow.summary`."""
        replace(module, "scalar", self.around)

    def around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """For `tf.summary.scalar`."""
        forward = guarded("forwarding tf.summary")(self._forward)

        def scalar(name: Any, data: Any, step: Any = None, *args: Any, **kwargs: Any) -> Any:
            written = original(name, data, step, *args, **kwargs)
            if sys._getframe(1).f_globals.get("__name__") not in QUIET:  # noqa: SLF001 - documented for this
                forward(name, data, step, written)
            return written

        return scalar

    def _forward(self, name: Any, data: Any, step: Any, written: Any) -> None:
        tensorflow = sys.modules["tensorflow"]
        if tensorflow.inside_function():
            report(
                "tf.summary",
                "seen",
                NAME,
                "scalars written inside of a tf.function have no value yet when it is traced",
            )
            return
        if not written:  # without a writer, or as `tf.summary.record_if` has it
            return
        if step is None:
            step = tensorflow.summary.experimental.get_step()
        run = self._run()
        if run is None or step is None or not claim("tf.summary", NAME, PRECEDENCE):
            return
        log_aside(run, {str(name): float(data)}, step=int(step))
        report("tf.summary", "recorded", NAME)
