"""What argparse parsed of this process's command line."""

from __future__ import annotations

import _thread
import functools
import os
import sys

from rankzero.launch.inside import quietly

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, ModuleType
    from typing import Any

    from rankzero.launch.inside import Parsed

STANDARD_LIBRARY = os.path.dirname(os.__file__)  # noqa: PTH120 - pathlib is not loaded here
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
        quietly(_remember, parsed, self, sys._getframe(1), args, result)  # noqa: SLF001 - who parses decides whether it counts
        return result

    return call


def _remember(parsed: Parsed, parser: Any, frame: FrameType, args: Any, result: tuple[Any, list[str]]) -> None:
    caller = _caller(parser, frame)
    if caller is not None and _counts(caller, args):
        parsed.add("argparse", dict(vars(result[0])))


def _caller(parser: Any, frame: FrameType | None) -> FrameType | None:
    """Who asked the parser to parse: the first frame outside argparse and the parser's own methods."""
    while frame is not None and (frame.f_globals.get("__name__") == "argparse" or frame.f_locals.get("self") is parser):
        frame = frame.f_back
    return frame


def _counts(caller: FrameType, args: Any) -> bool:
    """Whether a parse is that of the program's own command line: no tool's, and of its arguments or asked for by its own code."""
    module = str(caller.f_globals.get("__name__", ""))
    if module == "__main__":
        module = getattr(caller.f_globals.get("__spec__"), "name", module)
    if any(module == tool or module.startswith(f"{tool}.") for tool in TOOLS):
        return False
    return args is None or all(arg in sys.argv for arg in args) or not _is_installed(caller.f_code.co_filename)


def _is_installed(path: str) -> bool:
    """Whether a source file belongs to an installed library or to Python itself."""
    return "site-packages" in path or "dist-packages" in path or path.startswith((STANDARD_LIBRARY, "<frozen"))
