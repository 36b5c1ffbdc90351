"""Which process this is may be known only after init(): then it waits, and the job is still one run in which rank zero speaks."""

from __future__ import annotations

from typing import Any

import pytest
from tests.launchers.commands import free_ports

from rankzero import records
from rankzero.query import open_run

WORK = """
def work(rank, world, port):
    run = rankzero.init(name="late", config={"lr": 0.1}, settings={"code": False, "packages": False})
    run.define_metric("loss", summary="min")
    if EARLY:
        run.log({"loss": 10.0, "rank": rank})
        rankzero.log({"wait": rank}, ranks="all")
        time.sleep(0.5)
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world)
    for step in range(1, 6):
        run.log({"loss": 10.0 - step, "rank": rank}, step=step)
        run.log({"wait": 100 * rank + step}, step=step, ranks="all")
    run.summary["best"] = rank
    run.config.update({"rank": rank})
    run.name = f"rank{rank}"
    torch.distributed.barrier()
    os.write(1, f"{run.id} {run.rank} {run.resumed}\\n".encode())
    torch.distributed.destroy_process_group()
"""

SPAWN = f"""
import os, sys, time
import torch, torch.distributed, torch.multiprocessing
import rankzero
EARLY = True
{WORK}
if __name__ == "__main__":
    torch.multiprocessing.spawn(work, args=(int(sys.argv[1]), int(sys.argv[2])), nprocs=int(sys.argv[1]))
"""


def _one_run(root: Any, out: str, world: int) -> dict[int, Any]:
    """The journals by rank of the one run, whose rank zero alone wrote for the job."""
    told = sorted(line.split() for line in out.splitlines())
    (folder,) = root.folders
    assert told == [[folder.run, str(rank), "False"] for rank in range(world)]
    journals = {journal.only(records.Start).rank: journal for journal in root.journals}
    assert sorted(journals) == list(range(world))
    assert {journal.only(records.Start).world_size for journal in journals.values()} == {world}
    assert [journals[0].of(kind) == [] for kind in (records.Config, records.Define, records.Summary)] == [False] * 3
    assert open_run(folder).config == {"lr": 0.1, "rank": 0}
    assert (open_run(folder).name, open_run(folder).state) == ("rank0", "finished")
    for rank, journal in journals.items():
        local = [values["wait"] for _, values in journal.local if values["wait"] > 99 or rank == 0]
        assert local[-5:] == [100 * rank + step for step in range(1, 6)]
        if rank:
            assert journal.rows == []
            assert [journal.of(kind) for kind in (records.Config, records.Define, records.Summary)] == [[]] * 3
            assert [meta.name for meta in journal.of(records.Meta) if meta.name] == []
        assert journal.only(records.End).state == "finished"
    return journals


@pytest.mark.slow
@pytest.mark.parametrize("world", [2, 4])
def test_spawned_ranks_log_before_they_have_a_group(root: Any, tmp_path: Any, world: int) -> None:
    """Rows logged before init_process_group wait; rank zero's are kept, the others' are dropped, each rank's own are kept."""
    script = tmp_path / "spawn.py"
    script.write_text(SPAWN)
    code, out, err = root.run(script, str(world), str(free_ports(1)[0]))
    assert code == 0, err
    journals = _one_run(root, out, world)
    assert journals[0].curve("loss") == [(0, 10.0), *((step, 10.0 - step) for step in range(1, 6))]
    assert {value for _, value in journals[0].curve("rank")} == {0}
    for rank, journal in journals.items():
        assert journal.local[0][1] == {"wait": rank}


@pytest.mark.slow
def test_processes_that_nobody_launched_meet_late(root: Any, tmp_path: Any) -> None:
    """Two plain processes that say their rank to init_process_group alone, after init, are one run."""
    script = tmp_path / "alone.py"
    script.write_text(
        f"import os, sys, time\nimport torch, torch.distributed\nimport rankzero\nEARLY = False\n{WORK}\nwork(int(sys.argv[1]), 2, int(sys.argv[2]))\n"
    )
    port = str(free_ports(1)[0])
    started = [root.start(script, str(rank), port) for rank in range(2)]
    told = [process.communicate(timeout=120) for process in started]
    assert [process.returncode for process in started] == [0, 0], told
    journals = _one_run(root, "".join(out for out, _ in told), 2)
    assert journals[0].curve("loss") == [(step, 10.0 - step) for step in range(1, 6)]


OTHER = """
import sys
import rankzero
run = rankzero.init(name="job", config={"rank": 1}, tags=["t"], settings={"code": False, "packages": False})
run.log({"loss": 1.0})
run.log({"wait": 2.0}, ranks="all")
run.log({"loss": 1.0, "text": "x"})
run.summary["best"] = 1
run.define_metric("loss", summary="min")
run.notes = "n"
run.save(sys.argv[0])
run.log_code(".")
run.event("odd")
run.finish()
print(run.id, run.rank, run.step, dict(run.summary))
"""


def test_another_rank_writes_nothing_for_the_job(root: Any) -> None:
    """By the launcher's variables: on rank one only rows for all ranks, events, beats and the end are written.

    Steps are counted as on rank zero, so that what the ranks log for themselves stands side by side.
    """
    port = str(free_ports(1)[0])
    env = {
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "RANKZERO_RUN_ID": "job",
    }
    code, out, err = root.run(OTHER, env={**env, "RANK": "1", "LOCAL_RANK": "1"})
    assert (code, err) == (0, "")
    assert out == "job 1 3 {'best': 1}\n"
    journal = root.only
    assert journal.path.name == "0001-r1.jsonl"
    assert journal.rows == []
    assert journal.local == [(1, {"wait": 2.0})]
    kinds = {type(record) for record in journal.records}
    assert kinds - {records.Meta} == {records.Start, records.Event, records.End}
    assert all(
        meta == records.Meta(devices=meta.devices, device_kind=meta.device_kind) for meta in journal.of(records.Meta)
    )
    assert not (root.folders[0].path / "files").exists()
    assert not (root.folders[0].path / "code").exists()
