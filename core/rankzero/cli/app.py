"""All commands in one application, and what becomes of their errors."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Annotated, Any

import typer

from rankzero.cli.doctor import doctor
from rankzero.cli.history import history
from rankzero.cli.ls import ls
from rankzero.cli.run import run
from rankzero.cli.settings import settings
from rankzero.cli.show import show
from rankzero.cli.tail import tail
from rankzero.cli.usage import usage
from rankzero.errors import RankZeroError
from rankzero.version import __version__

GROUP = "rankzero.commands"
BAD_COMMAND_LINE = 2

_COMMANDS = (ls, show, history, usage, tail, settings, doctor)
_CommandLineError: type[Exception] = typer.BadParameter.__mro__[2]
"""The base of all errors about the command line, which typer does not name in every version."""


def make_app(*, others: bool) -> typer.Typer:
    """The application; with the commands of other distributions if `others`."""
    app = typer.Typer(
        name="rankzero",
        help="Experiment tracking for machine learning, local-first.",
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    passed_on = {"allow_extra_args": True, "ignore_unknown_options": True}
    app.command("run", context_settings=passed_on, add_help_option=False)(run)
    for command in _COMMANDS:
        app.command()(command)
    for entry in entry_points(group=GROUP) if others else ():
        app.command(entry.name)(entry.load())
    return app


def run_app(arguments: Sequence[str]) -> int:
    """Run a command line; an error is one sentence on stderr."""
    known = {command.__name__ for command in _COMMANDS}
    with contextlib.suppress(AttributeError):
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        app = make_app(others=not known.intersection(arguments[:1]))
        code = app(args=list(arguments) or ["--help"], prog_name="rankzero", standalone_mode=False)
        sys.stdout.flush()
    except _CommandLineError as error:
        return _say(_sentence(error), BAD_COMMAND_LINE)
    except RankZeroError as error:
        return _say(str(error), 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None:
            raise
        return _say(f"cannot use {error.filename} ({error.strerror}); name another place", 1)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    return code if isinstance(code, int) else 0


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"rankzero {__version__}\n")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Experiment tracking for machine learning, local-first."""


def _sentence(error: Any) -> str:
    """What is wrong with the command line, with the nearest option or command there is."""
    near = getattr(error, "possibilities", None)
    name = getattr(error, "option_name", None)
    if name:
        command = error.ctx.info_name if error.ctx is not None else "rankzero"
        hint = f"did you mean {near[0]}?" if near else f"`rankzero {command} --help` lists its options"
        return f"rankzero {command} has no option {name}; {hint}"
    text = str(error.format_message()).rstrip(".").replace(". Did you", "; did you").replace("Value error, ", "")
    return text[:1].lower() + text[1:]


def _say(sentence: str, code: int) -> int:
    sys.stderr.write(f"rankzero: {sentence}\n")
    return code
