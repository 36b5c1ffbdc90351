"""Activation: an integration's hooks are in place right after its framework was imported, in every process and only there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.core.launch.conftest import Launcher

SHOW = "import framework; print(getattr(framework, 'activated', 0), framework.__spec__.loader.__class__.__name__)"
ONCE = b"1 SourceFileLoader\n"


def test_code_given_with_c(launcher: Launcher, framework: dict[str, str]) -> None:
    """Python -c: the integration is activated once, after the framework is complete; its loader is the one it was."""
    assert launcher.python(SHOW, environ=framework).stdout == ONCE


def test_nothing_happens_without_rankzero_run(launcher: Launcher, framework: dict[str, str]) -> None:
    """An installed integration is not activated by itself."""
    assert launcher.plainly(sys.executable, "-c", SHOW, environ=framework).stdout == b"0 SourceFileLoader\n"


def test_a_release_that_is_too_old_is_left_alone(launcher: Launcher, framework: dict[str, str]) -> None:
    """What the integration does not support is not touched; one sentence says so, with the pip command."""
    done = launcher.python(SHOW, environ={**framework, "FRAMEWORK_VERSION": "1.9.3"})
    assert done.stdout == b"0 SourceFileLoader\n"
    (sentence,) = [line for line in done.stderr.decode().splitlines() if "1.9.3" in line]
    assert "older than 1.10" in sentence
    assert "pip install 'framework>=1.10'" in sentence


def test_a_script(launcher: Launcher, framework: dict[str, str]) -> None:
    """Python script.py."""
    script = launcher.script(SHOW)
    assert launcher.run("--quiet", sys.executable, script, environ=framework).stdout == ONCE


def test_an_executable_script(launcher: Launcher, framework: dict[str, str]) -> None:
    """A console script whose first line names the interpreter."""
    script = Path(launcher.script(f"#!{sys.executable}\n{SHOW}\n", "train"))
    script.chmod(0o755)
    assert launcher.run("--quiet", str(script), environ=framework).stdout == ONCE


def test_a_module(launcher: Launcher, framework: dict[str, str]) -> None:
    """Python -m package.module."""
    launcher.script("", "package/__init__.py")
    launcher.script(SHOW, "package/train.py")
    assert launcher.run("--quiet", sys.executable, "-m", "package.train", environ=framework).stdout == ONCE


def test_the_frameworks_own_module_as_program(launcher: Launcher, framework: dict[str, str]) -> None:
    """Python -m framework.part, as in `python -m torch.distributed.run`."""
    launcher.script("import framework; print(framework.activated)", "site/framework/launch.py")
    done = launcher.run("--quiet", sys.executable, "-m", "framework.launch", environ=framework)
    assert done.stdout == b"1\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("parent_imports", [True, False])
def test_workers(launcher: Launcher, framework: dict[str, str], method: str, parent_imports: bool) -> None:
    """Workers that are forked, spawned or come from a fork server, whether or not the parent has the framework."""
    script = launcher.script(
        f"import multiprocessing, os\n"
        f"{'import framework' if parent_imports else ''}\n"
        f"def work():\n    {SHOW}\n"
        f"if __name__ == '__main__':\n"
        f"    worker = multiprocessing.get_context('{method}').Process(target=work)\n"
        f"    worker.start()\n    worker.join()\n    os._exit(worker.exitcode)\n"
    )
    done = launcher.run("--quiet", sys.executable, script, environ=framework)
    assert (done.returncode, done.stdout, done.stderr) == (0, ONCE, b"")


def test_submodule_first_and_thread(launcher: Launcher, framework: dict[str, str]) -> None:
    """`import framework.part` in a thread activates as well, once."""
    code = f"""
import importlib, threading
threads = [threading.Thread(target=importlib.import_module, args=("framework.part",)) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
{SHOW}
"""
    assert launcher.python(code, environ=framework).stdout == ONCE


def test_looking_for_the_framework_does_not_activate(launcher: Launcher, framework: dict[str, str]) -> None:
    """`importlib.util.find_spec` imports nothing and loads nothing of ours; the import later still activates."""
    code = f"""
import importlib.util, sys
assert importlib.util.find_spec("framework") is not None
assert "framework" not in sys.modules
assert "rankzero" not in sys.modules
{SHOW}
"""
    assert launcher.python(code, environ=framework).stdout == ONCE


def test_a_failed_import_can_be_repeated(launcher: Launcher, framework: dict[str, str]) -> None:
    """If the framework's import fails, so does it with us; a second one that succeeds activates."""
    launcher.script("import os\nif 'FIRST' in os.environ:\n    raise ImportError('first')\n", "site/framework/part.py")
    code = f"""
import os
os.environ["FIRST"] = "1"
try:
    import framework
except ImportError as error:
    assert str(error) == "first"
else:
    raise AssertionError
del os.environ["FIRST"]
{SHOW}
"""
    assert launcher.python(code, environ=framework).stdout == ONCE


def test_beside_another_import_hook(launcher: Launcher, framework: dict[str, str]) -> None:
    """A program that has its own hook on the framework's import keeps it."""
    code = f"""
import wrapt
wrapt.register_post_import_hook(lambda module: print("theirs"), "framework")
{SHOW}
"""
    assert launcher.python(code, environ=framework).stdout == b"theirs\n" + ONCE


def test_an_error_in_an_integration_is_one_warning(launcher: Launcher, framework: dict[str, str]) -> None:
    """A broken integration costs one line on stderr; the import and the program go on."""
    environ = {**framework, "BREAK": "1", "RANKZERO_STRICT": "0"}
    done = launcher.run("--quiet", sys.executable, "-c", SHOW, environ=environ)
    assert (done.returncode, done.stdout) == (0, ONCE)
    assert done.stderr.decode().count("\n") == 1
    assert "activating rankzero for framework failed" in done.stderr.decode()


def test_a_missing_integration_is_one_warning(launcher: Launcher, framework: dict[str, str]) -> None:
    """An entry point that leads nowhere costs one line and no more."""
    (launcher.folder / "site" / "framework_rankzero.py").unlink()
    done = launcher.run("--quiet", sys.executable, "-c", SHOW, environ={**framework, "RANKZERO_STRICT": "0"})
    assert (done.returncode, done.stdout) == (0, b"0 SourceFileLoader\n")
    assert done.stderr.decode().count("\n") == 1


def test_a_program_that_shadows_rankzero_is_left_alone(launcher: Launcher, framework: dict[str, str]) -> None:
    """A folder named rankzero beside the script is what the script imports, and nothing breaks."""
    launcher.script("mine = True\n", "program/rankzero/__init__.py")
    script = launcher.script(f"import rankzero\nassert rankzero.mine\n{SHOW}", "program/train.py")
    done = launcher.run("--quiet", sys.executable, script, environ={**framework, "RANKZERO_STRICT": "0"})
    assert (done.returncode, done.stdout, done.stderr) == (0, b"0 SourceFileLoader\n", b"")


def test_a_parser_does_not_load_rankzero(launcher: Launcher) -> None:
    """A process that parses a command line and trains nothing loads neither rankzero nor msgspec."""
    code = """
import argparse, multiprocessing.spawn, sys
argparse.ArgumentParser().parse_args()
loaded = [name for name in sys.modules if name.split(".")[0] in {"rankzero", "msgspec", "wrapt"}]
print(loaded, "typing" in sys.modules)
"""
    assert launcher.python(code).stdout == b"['rankzero.launch.inside'] False\n"
