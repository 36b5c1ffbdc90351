"""The order of the evidence, and evidence that is no good."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankzero.ranks import Ranks, current, decide

TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "job", "TORCHELASTIC_USE_AGENT_STORE": "True", "MASTER_ADDR": "localhost", "MASTER_PORT": "40000",
    "RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0", "GROUP_WORLD_SIZE": "1",
}  # fmt: skip
IN_SRUN = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_PROCID": "0", "SLURM_NTASKS": "1", "SLURM_LOCALID": "0"}
NAMES = [
    "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "NODE_RANK", "GROUP_RANK", "GROUP_WORLD_SIZE", "MASTER_ADDR",
    "MASTER_PORT", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_ERROR_FILE", "TORCHELASTIC_RESTART_COUNT", "CROSS_SIZE", "LOCAL_SIZE",
    "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "SLURM_JOB_ID",
    "SLURM_STEP_ID", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_NODEID", "SLURM_STEP_TASKS_PER_NODE", "SLURM_GTIDS",
    "SLURM_RESTART_COUNT", "ENVIRONMENT", "TF_CONFIG", "TPU_WORKER_ID", "TPU_WORKER_HOSTNAMES", "MEGASCALE_NUM_SLICES",
    "SM_HOSTS", "SM_CURRENT_HOST", "HOROVOD_RANK", "HOROVOD_SIZE", "RAY_JOB_ID", "KUBERNETES_SERVICE_HOST",
]  # fmt: skip
VALUES = st.sampled_from(
    [
        "",
        " ",
        "0",
        "1",
        "2",
        "3",
        " 1 ",
        "-1",
        "abc",
        "1.5",
        "²",
        "9" * 5000,
        "BATCH",
        "localhost",
        "none",
        "True",
        "a,b",
        "2(x2)",
        "1,(x",
        "{",
        "[]",
        "[1]",
        '{"cluster": 1}',
        '{"cluster": {"worker": 3}, "task": {"index": []}}',
        "�",
        '{"cluster": {"worker": ["a", "b"]}, "task": {"type": "worker", "index": 1}}',
        "/tmp/attempt_0/1/error.json",
    ]
)


@given(environ=st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_any_environment_has_an_answer(environ: dict[str, str]) -> None:
    """No value of any variable raises, and no answer contradicts itself."""
    ranks = decide(environ, {})
    assert ranks.rank >= 0
    assert 0 <= ranks.local_rank < ranks.local_world_size
    assert 0 <= ranks.node < ranks.nodes or ranks.launcher == "tf_config"
    assert ranks.rank < ranks.world_size or ranks.launcher == "tf_config"
    assert ranks == decide(environ, {})
    assert len(ranks.job_key) == len(ranks.attempt_key) == 20


@pytest.mark.parametrize(
    ("environ", "certain", "rank"),
    [
        ({}, True, 0),
        ({"RANK": "abc", "WORLD_SIZE": "2"}, False, 0),
        ({"RANK": "5", "WORLD_SIZE": "4"}, False, 0),
        ({"RANK": "3"}, False, 0),
        ({"RANK": "0", "WORLD_SIZE": "1"}, False, 0),
        ({"LOCAL_RANK": "2"}, False, 2),
        ({"LOCAL_RANK": "1", "WORLD_SIZE": "4"}, False, 1),
        ({"MASTER_PORT": "29500"}, False, 0),
        ({"WORLD_SIZE": "2"}, False, 0),
        ({"SLURM_JOB_ID": "7", "SLURM_PROCID": "0", "SLURM_NTASKS": "8", "SLURM_LOCALID": "0"}, True, 0),
        ({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "8", "SLURM_JOB_NAME": "interactive"}, True, 0),
        ({"SLURM_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3", "SLURM_PROCID": "0", "ENVIRONMENT": "BATCH"}, True, 0),
        (IN_SRUN | {"SLURM_JOB_NAME": "bash"}, True, 0),
        (IN_SRUN | {"SLURM_STEP_ID": "4294967290"}, True, 0),
        (IN_SRUN | {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_TASKS_PER_NODE": "2", "SLURM_GTIDS": "0"}, True, 0),
    ],
)
def test_alone(environ: dict[str, str], certain: bool, rank: int) -> None:
    """Variables that make no group leave the process alone; it waits where they look as if a group were coming."""
    ranks = decide(environ, {})
    assert (ranks.launcher, ranks.certain, ranks.rank) == ("alone", certain, rank)


def test_the_nearest_launcher_wins() -> None:
    """Torchrun inside `srun -n 1` or under mpirun has the ranks, not the outer launcher."""
    outer = IN_SRUN | {"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1", "PMI_RANK": "0", "PMI_SIZE": "1"}
    ranks = decide(outer | TORCHRUN, {})
    assert (ranks.launcher, ranks.rank, ranks.world_size) == ("torchrun", 1, 2)


def test_a_group_goes_before_the_environment() -> None:
    """An initialised group says the rank, whatever was left in the environment; torchrun's job keeps its key."""
    by_environment = decide(TORCHRUN, {})
    assert decide(TORCHRUN, _torch(1, 2)) == by_environment
    larger = decide(TORCHRUN, _torch(3, 4))
    assert (larger.launcher, larger.rank, larger.world_size) == ("torch.distributed", 3, 4)
    assert larger.job_key == by_environment.job_key
    parts = [decide(TORCHRUN, _torch(0, 1, port=port)) for port in (1, 2)]
    assert len({by_environment.job_key, *(part.job_key for part in parts)}) == 3


def test_an_elastic_job_that_grows() -> None:
    """An elastic job that is joined by a second node stays the same job, and begins another attempt."""
    elastic = TORCHRUN | {"PET_NNODES": "1:2", "PET_RDZV_BACKEND": "c10d"}
    small, large = decide(elastic, {}), decide(elastic | {"GROUP_WORLD_SIZE": "2", "WORLD_SIZE": "4"}, {})
    assert (small.nodes, large.nodes) == (1, 2)
    assert small.job_key == large.job_key
    assert small.attempt_key != large.attempt_key


def test_groups_on_several_machines_meet_at_an_address() -> None:
    """Without any launcher the address at which a group met is all that its processes share, and the next group's may be the same."""
    everyone = [decide({}, _torch(rank, 2, host="10.0.0.1")) for rank in range(2)]
    assert [(ranks.rank, ranks.world_size, ranks.certain) for ranks in everyone] == [(0, 2, True), (1, 2, True)]
    assert len({ranks.job_key for ranks in everyone}) == 1
    assert not everyone[0].key_is_process
    assert decide({}, _torch(0, 2, host="10.0.0.2")).job_key != everyone[0].job_key


def test_batch_steps_survive_a_requeue_and_elastic_restarts_count_on() -> None:
    """The restart count grows over torchrun's restarts and Slurm's requeues together."""
    batch = {"SLURM_JOB_ID": "7", "ENVIRONMENT": "BATCH", "TORCHELASTIC_MAX_RESTARTS": "2"}
    lives = [(requeues, restarts) for requeues in range(3) for restarts in range(3)]
    counts = [
        decide(
            TORCHRUN | batch | {"SLURM_RESTART_COUNT": str(requeues), "TORCHELASTIC_RESTART_COUNT": str(restarts)}, {}
        )
        for requeues, restarts in lives
    ]
    assert [ranks.restart for ranks in counts] == list(range(9))
    assert len({ranks.job_key for ranks in counts}) == 1
    assert len({ranks.attempt_key for ranks in counts}) == 9


def test_no_framework_is_asked_before_its_group_exists() -> None:
    """Frameworks that are loaded but have no group, or are being imported, are left alone."""

    def forbidden() -> None:
        raise AssertionError("asked for the rank of a group that does not exist")

    loaded: dict[str, Any] = {
        "torch.distributed": SimpleNamespace(
            is_available=lambda: True, is_initialized=lambda: False, get_rank=forbidden
        ),
        "jax.distributed": SimpleNamespace(is_initialized=lambda: False),
        "jax": SimpleNamespace(process_index=forbidden, process_count=forbidden),
        "jax._src.distributed": SimpleNamespace(global_state=SimpleNamespace()),
    }
    half_imported: dict[str, Any] = {"torch.distributed": SimpleNamespace(), "jax.distributed": SimpleNamespace()}
    assert decide({}, loaded) == decide({}, half_imported) == decide({}, {})


def test_alone_for_real() -> None:
    """A process without anything is alone; the next one is another job, and a child by fork or exec is too."""
    code = "import rankzero.ranks as r; print(r.current().launcher, r.current().job_key)"
    printed = [
        subprocess.run(
            [sys.executable, "-c", code], env={"PATH": os.defpath}, check=True, capture_output=True, text=True
        ).stdout
        for _ in range(2)
    ]
    keys = {line.split()[1] for line in printed}
    assert [line.split()[0] for line in printed] == ["alone", "alone"]
    assert len(keys) == 2
    assert current().job_key not in keys


def _torch(rank: int, world_size: int, *, host: str = "localhost", port: int = 40000) -> dict[str, Any]:
    """Modules as they are while torch has a process group: look-alikes, for no group of several machines can be had here."""
    store = SimpleNamespace(underlying_store=SimpleNamespace(host=host, port=port))
    distributed = SimpleNamespace(
        is_available=lambda: True, is_initialized=lambda: True, get_rank=lambda: rank, get_world_size=lambda: world_size
    )
    internal = SimpleNamespace(_get_default_store=lambda: store)
    return {"torch.distributed": distributed, "torch.distributed.distributed_c10d": internal}


def test_ranks_are_frozen() -> None:
    """An answer is a value."""
    with pytest.raises(AttributeError):
        current().rank = 3  # type: ignore[misc]
    assert isinstance(current(), Ranks)
