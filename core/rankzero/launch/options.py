"""The options of `rankzero run`: each sets one setting, for every process of the job."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field

from rankzero import settings
from rankzero.errors import SettingError, UsageError

USAGE = "rankzero run [options] [--] COMMAND [ARGUMENT...]"


@dataclass(frozen=True, slots=True)
class Option:
    """One option.

    Attributes:
        flag: how it is written.
        variable: the environment variable that it sets.
        metavar: what stands for its value in the help; empty for a switch.
        switched: what a switch sets its variable to.
    """

    flag: str
    variable: str
    metavar: str = ""
    switched: str = ""

    @property
    def meaning(self) -> str:
        """What it means: the meaning of its setting, or for a switch what it switches."""
        meaning = next(meaning for _, variable, _, meaning in settings.table() if variable == self.variable)
        return f"do not {meaning}" if self.switched == "off" else meaning


OPTIONS = (
    Option("--project", "RANKZERO_PROJECT", "NAME"),
    Option("--name", "RANKZERO_NAME", "NAME"),
    Option("--dir", "RANKZERO_DIR", "FOLDER"),
    Option("--id", "RANKZERO_RUN_ID", "ID"),
    Option("--resume", "RANKZERO_RESUME", "HOW"),
    Option("--tags", "RANKZERO_TAGS", "A,B"),
    Option("--group", "RANKZERO_GROUP", "NAME"),
    Option("--job-type", "RANKZERO_JOB_TYPE", "TYPE"),
    Option("--notes", "RANKZERO_NOTES", "TEXT"),
    Option("--gradients", "RANKZERO_GRADIENTS", "WHAT"),
    Option("--log-every", "RANKZERO_LOG_EVERY", "STEPS"),
    Option("--no-console", "RANKZERO_CONSOLE", switched="off"),
    Option("--quiet", "RANKZERO_QUIET", switched="on"),
)


@dataclass(slots=True)
class Asked:
    """What a command line asks for."""

    command: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    help: bool = False
    json: bool = False


def parse(argv: list[str]) -> Asked:
    """Read options up to the command; what follows is the command's own, whatever it looks like.

    Raises:
        UsageError: an option that does not exist or lacks its value, a value that cannot be used, or no command.
    """
    asked = Asked()
    rest = list(argv)
    while rest and rest[0].startswith("-") and rest[0] != "--":
        flag, given, value = rest.pop(0).partition("=")
        if flag in {"-h", "--help"}:
            asked.help = True
            return asked
        if flag == "--json" and not given:
            asked.json = True
            continue
        option = _option(flag)
        if not option.metavar:
            if given:
                raise UsageError(f"{flag} takes no value")
            value = option.switched
        elif not given:
            if not rest:
                raise UsageError(f"{flag} needs a value: {flag} {option.metavar}")
            value = rest.pop(0)
        _check(option, value)
        asked.variables[option.variable] = value
    asked.command = rest[1:] if rest[:1] == ["--"] else rest
    if not asked.command:
        raise UsageError("rankzero run needs a command, as in `rankzero run python train.py`")
    return asked


def usage() -> str:
    """The help text."""
    lines = [f"usage: {USAGE}", "", "Runs COMMAND and records what it trains. Options, all before COMMAND:", ""]
    lines += [f"  {(option.flag + ' ' + option.metavar).strip():<20}  {option.meaning}" for option in OPTIONS]
    lines.append(
        f"  {'--json':<20}  print the runs as one line of JSON at the end of standard output, instead of the report"
    )
    return "\n".join(lines) + "\n"


def _option(flag: str) -> Option:
    for option in OPTIONS:
        if option.flag == flag:
            return option
    near = difflib.get_close_matches(flag.strip("-"), [option.flag.strip("-") for option in OPTIONS], n=1)
    hint = f"did you mean --{near[0]}?" if near else "`rankzero run --help` lists the options."
    raise UsageError(f"rankzero run has no option {flag}; {hint} Options of the command itself come after it.")


def _check(option: Option, value: str) -> None:
    try:
        settings.read({option.variable: value})
    except SettingError as error:
        raise UsageError(str(error).replace(f"{option.variable}=", f"{option.flag} ", 1)) from None
