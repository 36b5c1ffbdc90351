"""What argparse parsed of this process's command line."""

from __future__ import annotations

import _thread
import functools
import sys

from rankzero.launch.inside import quietly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, ModuleType
    from typing import Any

    from rankzero.launch.inside import Parsed

TOOLS = (
    "accelerate.commands",
    "debugpy",
    "deepspeed.launcher",
    "hydra",
    "kernprof",
    "rankzero",
    "scalene",
    "torch.distributed",
    "torch.utils.bottleneck",
    "viztracer",
)
"""Modules whose own command line says how to run the user's program, not what it trains."""


def listen(argparse: ModuleType, parsed: Parsed) -> None:
    """Remember the namespaces that every `ArgumentParser` returns from now on.

    Two methods lie below all others (`parse_args`, sub-parsers, parsers of other libraries built on argparse); they call
    each other, and only the outermost call counts.
    """
    inner: set[int] = set()
    for name in ("parse_known_args", "parse_known_intermixed_args"):
        method = getattr(argparse.ArgumentParser, name)
        setattr(argparse.ArgumentParser, name, _remembering(method, parsed, inner))


def _remembering(parse: Callable[..., Any], parsed: Parsed, inner: set[int]) -> Callable[..., Any]:
    @functools.wraps(parse)
    def call(self: Any, args: Any = None, *rest: Any, **named: Any) -> Any:
        thread = _thread.get_ident()
        if thread in inner:
            return parse(self, args, *rest, **named)
        inner.add(thread)
        try:
            result = parse(self, args, *rest, **named)
        finally:
            inner.discard(thread)
        quietly(_remember, parsed, sys._getframe(1), args, result)  # noqa: SLF001 - who parses decides whether it counts
        return result

    return call


def _remember(parsed: Parsed, frame: FrameType, args: Any, result: tuple[Any, list[str]]) -> None:
    if _counts(_caller(frame), args):
        parsed.add("argparse", dict(vars(result[0])))


def _caller(frame: FrameType | None) -> str:
    """The module that asked argparse to parse."""
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name != "argparse":
            spec = frame.f_globals.get("__spec__")
            return getattr(spec, "name", name) if name == "__main__" else name
        frame = frame.f_back
    return ""


def _counts(caller: str, args: Any) -> bool:
    """Whether a parse by `caller` of `args` is that of the program's own command line."""
    if any(caller == tool or caller.startswith(f"{tool}.") for tool in TOOLS):
        return False
    return args is None or caller == "__main__" or set(args) <= set(sys.argv)
