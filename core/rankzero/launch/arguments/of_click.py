"""What click, or typer, parsed of this process's command line."""

from __future__ import annotations

import functools

from rankzero.launch.inside import quietly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from rankzero.launch.inside import Parsed


def listen(core: ModuleType, parsed: Parsed) -> None:
    """Remember the parameters of each command just before it runs, those of the groups above it included."""
    source = core.__name__.partition(".")[0]
    invoke = core.Command.invoke

    @functools.wraps(invoke)
    def call(self: Any, ctx: Any) -> Any:
        quietly(_remember, parsed, source, ctx)
        return invoke(self, ctx)

    core.Command.invoke = call


def _remember(parsed: Parsed, source: str, context: Any) -> None:
    values: dict[str, Any] = {}
    while context is not None:
        values = {**context.params, **values}
        context = context.parent
    parsed.add(source, values)
