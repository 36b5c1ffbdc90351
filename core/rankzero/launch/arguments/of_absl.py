"""What absl parsed of this process's command line."""

from __future__ import annotations

import functools

from rankzero.launch.inside import quietly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from rankzero.launch.inside import Parsed


def listen(flagvalues: ModuleType, parsed: Parsed) -> None:
    """Remember the flags' values whenever a command line was parsed; absl's own flags are left out."""
    parse = flagvalues.FlagValues.__call__

    @functools.wraps(parse)
    def call(self: Any, *args: Any, **named: Any) -> Any:
        rest = parse(self, *args, **named)
        quietly(_remember, parsed, self)
        return rest

    flagvalues.FlagValues.__call__ = call


def _remember(parsed: Parsed, flags: Any) -> None:
    modules = flags.flags_by_module_dict().items()
    own = [flag for module, defined in modules if not module.startswith("absl.") for flag in defined]
    parsed.add("absl", {flag.name: flag.value for flag in own})
