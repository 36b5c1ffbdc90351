"""Commands, and functions of a file, run as real jobs that record into a folder of their own."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rankzero.testing.recorded import Recorded, folders, only

HERE = Path(__file__).parent

LAUNCHERS = re.compile(
    r"RANK|WORLD_SIZE|^MASTER_|^(LOCAL|CROSS)_SIZE$|^(TORCHELASTIC|OMPI|PMI|PMIX|MPI|I_MPI|MV2|JSM|SLURM|HOROVOD|RAY|SM|PET)_|"
    r"^TF_CONFIG$|^TPU_|^MEGASCALE_|^KUBERNETES_|^ACCELERATE_|^ENVIRONMENT$"
)
"""Variables by which launchers tell a process who it is."""


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What one process of a job left.

    Attributes:
        result: what the function returned.
        threads: the threads of rankzero in its process when it returned.
        replaced: the functions of the packages that were looked at in whose place stood one of rankzero's.
        loaded: the packages that its process had loaded, the standard library left out.
    """

    result: Any
    threads: list[str]
    replaced: list[str]
    loaded: list[str]


class Jobs:
    """A folder in which jobs run and record.

    Their environment is that of this process without any launcher's variables and without settings of rankzero, with one
    thread a process; an error in rankzero is an error of the job (`RANKZERO_STRICT`).

    Args:
        folder: where they run; the runs are in its folder `runs`.
        **environ: variables of all jobs.

    Attributes:
        root: the root folder of the runs.
        printed: what the last job printed.
    """

    def __init__(self, folder: Path, **environ: str) -> None:
        self.folder = folder
        self.root = folder / "runs"
        self.printed = ""
        self.environ = {
            "RANKZERO_DIR": str(self.root), "RANKZERO_STRICT": "1", "RANKZERO_CODE": "off", "RANKZERO_PACKAGES": "off",
            "RANKZERO_CONSOLE": "off", "OMP_NUM_THREADS": "1", **environ,
        }  # fmt: skip

    def run(
        self,
        command: Sequence[str | Path],
        *,
        ranks: int = 1,
        restarts: int = 0,
        unrecorded_rank: int = -1,
        launcher: Sequence[str] = (),
        below: bool = False,
        code: int | None = 0,
        timeout: float = 200,
        environ: Mapping[str, str] | None = None,
    ) -> str:
        """Run a command as a job to its end.

        Args:
            command: what every rank runs.
            ranks: processes; several are started as torchrun would, with its variables (it need not be installed).
            restarts: so many times all ranks are started again after one failed.
            unrecorded_rank: a rank for which rankzero is disabled and which is not below `rankzero run`.
            launcher: a command line in front of the command that starts the ranks, instead of all that.
            below: start the job with `rankzero run`.
            code: the exit code that is expected; None: any but 0.
            timeout: seconds after which the job is stopped and an error raised.
            environ: variables of this job.

        Returns:
            What it printed, errors included.

        Raises:
            AssertionError: another exit code; the message holds what was printed.
        """
        started = [*map(str, command)]
        if launcher:
            started = [*launcher, *started]
        elif ranks > 1 or restarts or unrecorded_rank >= 0:
            options = ["--ranks", ranks, "--restarts", restarts, "--unrecorded-rank", unrecorded_rank]
            started = [sys.executable, str(HERE / "launcher.py"), *map(str, options), *started]
        if below:
            started = [_script("rankzero"), "run", "--", *started]
        found, self.printed = self._end(started, dict(environ or {}), timeout)
        if found != code if code is not None else not found:
            raise AssertionError(f"{' '.join(started)} ended with {found}:\n{self.printed[-8000:]}")
        return self.printed

    def call(
        self,
        function: Callable[..., Any] | str,
        *arguments: Any,
        otherwise: Mapping[int, Sequence[Any]] | None = None,
        look_at: Sequence[str] = (),
        breaks: Sequence[str] = (),
        **how: Any,
    ) -> list[Outcome]:
        """Call a function in every process of a job.

        Args:
            function: at the top of a file, or "path/of/file.py:name": the file is not imported here. It should not import
                pytest.
            *arguments: for it, as JSON; dataclasses and mappings arrive as objects with attributes.
            otherwise: the arguments of single ranks, where they are others.
            look_at: packages (import names) whose functions are looked at when it returned, see `Outcome.replaced`.
            breaks: packages of integrations (import names) whatever they record fails, see `rankzero.testing.breaking`.
            **how: see `run`.

        Returns:
            What each rank left, in order of rank; of the last start if the job was started again. Empty if it failed.
        """
        file, name = _place(function)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="outcomes-") as into:
            asked = {
                "file": str(file), "function": name, "arguments": [_json(one) for one in arguments], "into": into,
                "otherwise": {str(rank): [_json(one) for one in given] for rank, given in (otherwise or {}).items()},
                "look_at": list(look_at), "breaks": list(breaks),
            }  # fmt: skip
            self.run([sys.executable, HERE / "child.py", json.dumps(asked)], **how)
            found = sorted(Path(into).glob("*.json"), key=lambda path: [int(part) for part in path.stem.split("-")])
            if not found:
                return []
            last = [path for path in found if path.stem.split("-")[0] == found[-1].stem.split("-")[0]]
            return [Outcome(**json.loads(path.read_text(encoding="utf-8"))) for path in last]

    def only(self) -> Recorded:
        """What the one run recorded.

        Raises:
            AssertionError: there is none, or more than one.
        """
        return only(self.root)

    def runs(self) -> list[Recorded]:
        """What all runs recorded, in the order in which they began."""
        found = [Recorded(folder) for folder in folders(self.root)]
        return sorted(found, key=lambda run: min((start.wall for start in run.starts), default=0.0))

    def _end(self, command: list[str], environ: dict[str, str], timeout: float) -> tuple[int, str]:
        kept = {name: value for name, value in os.environ.items() if not _foreign(name)}
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                command, cwd=self.folder, env=kept | self.environ | environ, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            late = ""
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                late = f"\nstopped after {timeout:.0f} s"
            finally:
                _stop_group(process)
            output.seek(0)
            return process.wait(), output.read().decode(errors="replace") + late


def _foreign(name: str) -> bool:
    return name.startswith("RANKZERO_") or bool(LAUNCHERS.search(name))


def _stop_group(process: subprocess.Popen[bytes]) -> None:
    """End whatever is left of a job."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _place(function: Callable[..., Any] | str) -> tuple[Path, str]:
    if isinstance(function, str):
        file, _, name = function.rpartition(":")
        return Path(file).absolute(), name
    return Path(inspect.getfile(function)).absolute(), function.__qualname__


def _json(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value


def _script(name: str) -> str:
    """A command of this environment."""
    return str(Path(sysconfig.get_path("scripts")) / name)
