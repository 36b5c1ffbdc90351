"""Parsed command lines land in the config of the run that is made with no change, whichever library parsed them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from rankzero.query import all_runs

if TYPE_CHECKING:
    from tests.core.launch.conftest import Launcher

ARGPARSE = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.1)
parser.add_argument("--layers", type=int, nargs="*", default=[1])
parser.add_argument("name", nargs="?")
"""
TRAIN = "\nimport framework; framework.train(loss=1.0)\n"


class Configs:
    """Runs scripts and reads the configs of the runs they made, in the order in which those began."""

    def __init__(self, launcher: Launcher, environ: dict[str, str]) -> None:
        self.launcher = launcher
        self.environ = environ

    def of(self, text: str, *argv: str, python: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        """Run a script below `rankzero run`."""
        script = self.launcher.script(text, "train.py")
        command = [sys.executable, *(python or (script,)), *argv]
        done = self.launcher.run("--quiet", *command, environ=self.environ)
        assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
        return [run.config for run in reversed(all_runs(self.launcher.root))]


@pytest.fixture
def configs(launcher: Launcher, framework: dict[str, str]) -> Configs:
    """Below `rankzero run`, with a framework that trains."""
    return Configs(launcher, framework)


def test_argparse(configs: Configs) -> None:
    """A namespace: defaults, lists and positional arguments under their own names."""
    found = configs.of(ARGPARSE + "parser.parse_args()" + TRAIN, "--lr", "3", "--layers", "4", "5", "--", "x")
    assert found == [{"lr": 3.0, "layers": [4, 5], "name": "x"}]


def test_parsed_before_or_after_the_framework_is_imported(configs: Configs) -> None:
    """The order of parsing and importing does not matter."""
    text = "import framework\n" + ARGPARSE + "parser.parse_args()\nframework.train(loss=1.0)"
    assert configs.of(text, "--lr", "3") == [{"lr": 3.0, "layers": [1], "name": None}]


def test_what_the_program_changes_later_is_not_the_command_line(configs: Configs) -> None:
    """The values are those that were parsed, not what the program made of the namespace."""
    assert configs.of(ARGPARSE + "args = parser.parse_args(); args.lr = 99" + TRAIN)[0]["lr"] == 0.1


def test_two_parses_add_up(configs: Configs) -> None:
    """A first parser that takes what it knows and a second one for the rest: all of it."""
    text = """
import argparse
first = argparse.ArgumentParser(add_help=False)
first.add_argument("--seed", type=int)
_, rest = first.parse_known_args()
second = argparse.ArgumentParser(parents=[first])
second.add_argument("--lr", type=float)
second.parse_args(rest)
"""
    assert configs.of(text + TRAIN, "--seed", "5", "--lr", "3") == [{"seed": None, "lr": 3.0}]


def test_subparsers_and_intermixed(configs: Configs) -> None:
    """Sub-commands, and positional arguments between options, count once and whole."""
    sub = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int)
train = parser.add_subparsers(dest="command").add_parser("train")
train.add_argument("--lr", type=float)
parser.parse_args()
"""
    assert configs.of(sub + TRAIN, "--seed", "5", "train", "--lr", "3") == [{"seed": 5, "command": "train", "lr": 3.0}]
    mixed = ARGPARSE + "parser.add_argument('files', nargs='+'); parser.parse_intermixed_args()"
    mixed = mixed.replace('parser.add_argument("name", nargs="?")', "")
    found = configs.of(mixed + TRAIN, "a", "--lr", "3", "b")
    assert found[-1] == {"lr": 3.0, "layers": [1], "files": ["a", "b"]}


def test_errors_and_help_of_the_parser_are_its_own(configs: Configs) -> None:
    """A wrong argument ends the program as it would alone, to the byte."""
    script = configs.launcher.script(ARGPARSE + "parser.parse_args()")
    for argv in (["--lr", "x"], ["--help"]):
        alone = configs.launcher.plainly(sys.executable, script, *argv)
        run = configs.launcher.run("--quiet", sys.executable, script, *argv)
        assert (run.returncode, run.stdout, run.stderr) == (alone.returncode, alone.stdout, alone.stderr)


def test_other_parses_are_not_the_command_line(configs: Configs) -> None:
    """A library that parses something else with argparse adds nothing."""
    library = "import argparse\np = argparse.ArgumentParser(); p.add_argument('--odd'); p.parse_args(['--odd', '1'])\n"
    configs.launcher.script(library, "site-packages/library.py")
    configs.environ["PYTHONPATH"] += f":{configs.launcher.folder / 'site-packages'}"
    found = configs.of("import library\n" + ARGPARSE + "parser.parse_args()" + TRAIN)
    assert found == [{"lr": 0.1, "layers": [1], "name": None}]


def test_arguments_that_are_no_words(configs: Configs) -> None:
    """A library that parses a list of more than words, as accelerate's launcher does, adds nothing either."""
    library = (
        "import argparse\np = argparse.ArgumentParser(); p.add_argument('odd'); p.parse_known_args([['a', 'list']])\n"
    )
    configs.launcher.script(library, "site-packages/library.py")
    configs.environ["PYTHONPATH"] += f":{configs.launcher.folder / 'site-packages'}"
    found = configs.of("import library\n" + ARGPARSE + "parser.parse_args()" + TRAIN)
    assert found == [{"lr": 0.1, "layers": [1], "name": None}]


def test_parsers_that_read_more_than_the_command_line(configs: Configs) -> None:
    """A subclass that adds arguments of its own (from a file, say) counts whole when the program's code asks it to parse."""
    library = """
import argparse
class Parser(argparse.ArgumentParser):
    def parse_args(self, args=None, namespace=None):
        return super().parse_args(["--lr", "7"])
"""
    configs.launcher.script(library, "site-packages/library.py")
    configs.environ["PYTHONPATH"] += f":{configs.launcher.folder / 'site-packages'}"
    text = ARGPARSE.replace("import argparse", "import library as argparse").replace("ArgumentParser", "Parser")
    assert configs.of(text + "parser.parse_args()" + TRAIN) == [{"lr": 7.0, "layers": [1], "name": None}]


def test_tools_that_run_the_program_are_left_out(configs: Configs) -> None:
    """The arguments of a profiler that runs the script in its own process are not the training's."""
    tool = "import argparse, runpy, sys\np = argparse.ArgumentParser(); p.add_argument('--odd'); p.add_argument('script')\n"
    tool += "args, sys.argv = p.parse_known_args()[0], sys.argv[3:]\nrunpy.run_path(args.script, run_name='__main__')\n"
    configs.launcher.script(tool, "site/kernprof.py")
    script = configs.launcher.script(ARGPARSE + "parser.parse_args(['--lr', '3'])" + TRAIN, "train.py")
    text = (configs.launcher.folder / "train.py").read_text()
    assert configs.of(text, python=("-m", "kernprof", "--odd", "1", script)) == [
        {"lr": 3.0, "layers": [1], "name": None}
    ]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_know_what_their_parent_parsed(configs: Configs, method: str) -> None:
    """As with torch.multiprocessing.spawn: the parent parses, a child trains."""
    text = f"""
import multiprocessing, pathlib
{ARGPARSE}
parser.add_argument("--out", type=pathlib.Path, default="runs")
parser.set_defaults(function=lambda: None)
def work():
    import framework
    framework.train(loss=1.0)
if __name__ == "__main__":
    parser.parse_args()
    worker = multiprocessing.get_context({method!r}).Process(target=work)
    worker.start()
    worker.join()
"""
    (found,) = configs.of(text, "--lr", "3")
    assert {"lr": 3.0, "layers": [1], "out": "runs"}.items() <= found.items()


def test_absl(configs: Configs) -> None:
    """Absl flags, without those of absl itself."""
    text = """
from absl import app, flags
flags.DEFINE_float("lr", 0.1, "")
flags.DEFINE_list("layers", ["1"], "")
def main(argv):
    import framework
    framework.train(loss=1.0)
app.run(main)
"""
    assert configs.of(text, "--lr=3") == [{"lr": 3.0, "layers": ["1"]}]


def test_click(configs: Configs) -> None:
    """click: the parameters of the command and of the groups above it."""
    text = """
import click, framework
@click.group()
@click.option("--seed", type=int)
def cli(seed): pass
@cli.command()
@click.option("--lr", type=float, default=0.1)
@click.argument("name")
def train(lr, name): framework.train(loss=1.0)
cli()
"""
    assert configs.of(text, "--seed", "5", "train", "--lr", "3", "x") == [{"seed": 5, "lr": 3.0, "name": "x"}]


def test_typer(configs: Configs) -> None:
    """typer: the parameters of the function."""
    text = """
import framework, typer
def main(name: str, lr: float = 0.1, fast: bool = False): framework.train(loss=1.0)
typer.run(main)
"""
    assert configs.of(text, "x", "--lr", "3") == [{"name": "x", "lr": 3.0, "fast": False}]


HYDRA = """
import hydra, framework
from hydra.core.config_store import ConfigStore
node = {"optim": {"lr": 0.1, "name": "sgd"}, "double": "${optim.lr}", "where": "${hydra:job.name}", "todo": "???"}
ConfigStore.instance().store("config", node)
@hydra.main(version_base=None, config_name="config")
def main(cfg): framework.train(loss=1.0)
main()
"""


def test_hydra(configs: Configs) -> None:
    """Hydra: the composed config with overrides and interpolations, without Hydra's own part and command line."""
    (found,) = configs.of(HYDRA, "optim.lr=3", "hydra.run.dir=out")
    assert found["optim"] == {"lr": 3, "name": "sgd"}
    assert found["double"] == 3
    assert found["where"] == "train"
    assert set(found) <= {"optim", "double", "where", "todo"}


def test_hydra_traceback_is_the_programs(configs: Configs) -> None:
    """An error in a Hydra program shows as it would alone."""
    script = configs.launcher.script(HYDRA.replace("framework.train(loss=1.0)", "1 / 0"), "train.py")
    command = [sys.executable, script, "hydra.run.dir=out"]
    alone = configs.launcher.plainly(*command, environ=configs.environ)
    run = configs.launcher.run("--quiet", *command, environ=configs.environ)
    assert (run.returncode, run.stderr) == (alone.returncode, alone.stderr)
    assert b"ZeroDivisionError" in run.stderr
