from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rankzero.errors import ResumeError, UsageError
from rankzero.ranks import Ranks
from rankzero.records import Start, encode
from rankzero.run.identity import Claim, Wish, agree
from rankzero.store import RunFolder


def _ranks(
    rank: int = 0, key: str = "job", attempt: str = "0", restart: int = 0, *, key_is_process: bool = True
) -> Ranks:
    return Ranks(
        rank=rank,
        world_size=4,
        local_rank=rank,
        local_world_size=4,
        node=0,
        nodes=1,
        launcher="torchrun",
        certain=True,
        job_key=key,
        attempt_key=f"{key}/{attempt}",
        restart=restart,
        key_is_process=key_is_process,
    )


def _wish(root: Path, run: str = "", resume: str = "allow", ordinal: int = 0, started: float | None = None) -> Wish:
    return Wish(root, "p", run, resume, ordinal, "", time.time() if started is None else started)


def test_all_ranks_of_a_job_agree(tmp_path: Path) -> None:
    """Four ranks that start at once get one run and one attempt."""
    with ThreadPoolExecutor(4) as pool:
        claims = list(pool.map(lambda rank: agree(_wish(tmp_path), _ranks(rank)), range(4)))
    assert len({(claim.run, claim.attempt) for claim in claims}) == 1


FIFTY = """
import os, sys, time
from pathlib import Path
import rankzero
from rankzero.ranks import Ranks
from rankzero.records import Start, encode
from rankzero.run.identity import Wish, agree

ranks = Ranks(0, 50, 0, 50, 0, 1, "torchrun", True, "job", "job/0", 0, True)
begin, end = os.pipe()
for number in range(50):
    if not os.fork():
        os.close(end)
        os.read(begin, 1)
        claim = agree(Wish(Path(sys.argv[1]), "p", "", "allow", 0, "", time.time()), ranks)
        os.write(1, f"{claim.run} {claim.attempt}\\n".encode())
        os._exit(0)
time.sleep(0.1)
os.close(end)
for number in range(50):
    os.wait()
"""


def test_fifty_processes_in_a_cold_folder_agree(tmp_path: Path) -> None:
    """Fifty processes of one job that start at once in a folder that does not exist yet become one run."""
    told = subprocess.run(
        [sys.executable, "-c", FIFTY, tmp_path / "new"], capture_output=True, text=True, check=True, timeout=60
    )
    found = told.stdout.splitlines()
    assert len(found) == 50
    assert len(set(found)) == 1
    folders = [path for path in (tmp_path / "new" / "p").iterdir() if any(path.iterdir())]
    assert [path.name for path in folders] == [found[0].split()[0]]


def test_the_nth_runs_of_the_ranks_belong_together(tmp_path: Path) -> None:
    """Runs one after another in one job stay apart, and each rank's second is everyone's second."""
    first = [agree(_wish(tmp_path, ordinal=0), _ranks(rank)).run for rank in range(2)]
    second = [agree(_wish(tmp_path, ordinal=1), _ranks(rank)).run for rank in range(2)]
    assert len(set(first)) == len(set(second)) == 1
    assert first[0] != second[0]


def test_a_restart_of_the_job_is_the_next_attempt(tmp_path: Path) -> None:
    """An elastic restart or a requeue continues the run, whichever rank comes first."""
    first = agree(_wish(tmp_path), _ranks(0, attempt="0"))
    second = agree(_wish(tmp_path), _ranks(3, attempt="1", restart=1))
    third = agree(_wish(tmp_path), _ranks(0, attempt="1", restart=1))
    assert (second.run, second.attempt, second.resumed) == (first.run, 2, True)
    assert (third.run, third.attempt) == (first.run, 2)


def test_a_reused_rendezvous_is_a_new_job(tmp_path: Path) -> None:
    """The same rendezvous id and port an hour later, without a restart count, is another run."""
    long_ago = _wish(tmp_path, started=time.time() - 3600)
    first = agree(long_ago, _ranks(key_is_process=False))
    later = agree(_wish(tmp_path, started=time.time() + 3600), _ranks(key_is_process=False))
    other_port = agree(_wish(tmp_path), _ranks(attempt="port", key_is_process=False))
    assert len({first.run, later.run, other_port.run}) == 3


def test_children_find_the_run_their_parent_made_long_before(tmp_path: Path) -> None:
    """Processes spawned an hour after their parent claimed the run still join it."""
    parent = agree(_wish(tmp_path), _ranks())
    child = agree(_wish(tmp_path, started=time.time() + 3600), _ranks(1))
    assert child.run == parent.run


def test_independent_processes_attach_to_one_run_as_attempts_of_their_own(tmp_path: Path) -> None:
    """The same id from many unrelated jobs gives one run and as many attempts, none of them shared."""

    def attach(number: int) -> Claim:
        return agree(_wish(tmp_path, run="shared"), _ranks(key=f"job{number}"))

    with ThreadPoolExecutor(16) as pool:
        claims = list(pool.map(attach, range(64)))
    assert {claim.run for claim in claims} == {"shared"}
    assert len({claim.attempt for claim in claims}) == 64


def test_resume_must_and_never(tmp_path: Path) -> None:
    """The two strict modes refuse with a sentence, and only the first rank to come decides."""
    with pytest.raises(ResumeError, match="there is no run 'x'"):
        agree(_wish(tmp_path, run="x", resume="must"), _ranks(key="a"))
    agree(_wish(tmp_path, run="x", resume="never"), _ranks(key="b"))
    assert agree(_wish(tmp_path, run="x", resume="never"), _ranks(1, key="b")).run == "x"
    with pytest.raises(ResumeError, match="choose another id"):
        agree(_wish(tmp_path, run="x", resume="never"), _ranks(key="c"))


def test_an_id_that_cannot_be_a_folder_is_refused(tmp_path: Path) -> None:
    """A run id goes nowhere but into its own folder."""
    with pytest.raises(UsageError, match="cannot be a run id"):
        agree(_wish(tmp_path, run="../../x"), _ranks())


def test_a_lost_race_leaves_no_empty_run_behind(tmp_path: Path) -> None:
    """Whoever comes second leaves neither folder nor attempt of its own."""
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda rank: agree(_wish(tmp_path), _ranks(rank)), range(8)))
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == [claims[0].run]
    folder = RunFolder(tmp_path, "p", claims[0].run)
    assert [path.name for path in folder.journal.iterdir()] == ["0001.attempt"]


@pytest.mark.parametrize("key_is_process", [True, False])
def test_a_restart_that_no_variable_tells(tmp_path: Path, *, key_is_process: bool) -> None:
    """With an unchanged key it is the rank's own journal, left by a process that is gone, that tells a new start."""
    ranks = _ranks(key_is_process=key_is_process)
    first = agree(_wish(tmp_path), ranks)
    own = RunFolder(tmp_path, "p", first.run).journal / "0001-r0.jsonl"
    own.touch()
    assert agree(_wish(tmp_path), ranks) == first
    own.write_bytes(encode(Start(run=first.run, project="p", attempt=1, wall=0.0, host="gone", pid=1)))
    again = agree(_wish(tmp_path), ranks)
    assert (again.run, again.attempt) == ((first.run, 2) if key_is_process else (again.run, 1))
    assert (again.run == first.run) is key_is_process
    assert agree(_wish(tmp_path), ranks) == again
