"""What launchers that cannot be had here set in the environment of every process, as tables."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from rankzero.ranks import Ranks, decide

Environ = dict[str, str]


@dataclass(frozen=True)
class Table:
    """A launcher's variables: those of every process, those of one rank each, and those that tell the next job from this one.

    `places` are the expected local rank, processes of the node, node, and nodes. `again`: the next job may come out with the
    same key.
    """

    launcher: str
    common: Environ
    ranks: list[Environ]
    places: list[tuple[int, int, int, int]]
    next_job: Environ = field(default_factory=dict)
    again: bool = False


TWO_BY_TWO = [(0, 2, 0, 2), (1, 2, 0, 2), (0, 2, 1, 2), (1, 2, 1, 2)]
TWO_HOSTS = [(0, 1, 0, 2), (0, 1, 1, 2)]
CLUSTER = {"chief": ["a:1"], "worker": ["b:1", "c:1"], "ps": ["d:1"]}


def _rows(*names: str, values: list[tuple[int, ...]]) -> list[Environ]:
    return [dict(zip(names, map(str, row), strict=True)) for row in values]


TABLES = {
    "deepspeed": Table(
        launcher="deepspeed",
        common={"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500", "CROSS_SIZE": "2", "LOCAL_SIZE": "2", "WORLD_SIZE": "4"},
        ranks=_rows("RANK", "LOCAL_RANK", "CROSS_RANK", values=[(0, 0, 0), (1, 1, 0), (2, 0, 1), (3, 1, 1)]),
        places=TWO_BY_TWO,
        next_job={"MASTER_PORT": "29501"},
        again=True,
    ),
    "deepspeed, one node": Table(
        launcher="deepspeed",
        common={"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500", "CROSS_SIZE": "1", "LOCAL_SIZE": "2", "WORLD_SIZE": "2"},
        ranks=_rows("RANK", "LOCAL_RANK", "CROSS_RANK", values=[(0, 0, 0), (1, 1, 0)]),
        places=[(0, 2, 0, 1), (1, 2, 0, 1)],
    ),
    "accelerate": Table(
        launcher="accelerate",
        common={
            "ACCELERATE_MIXED_PRECISION": "no", "ACCELERATE_DYNAMO_BACKEND": "NO", "TORCHELASTIC_RUN_ID": "none",
            "TORCHELASTIC_USE_AGENT_STORE": "True", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500", "WORLD_SIZE": "4",
            "LOCAL_WORLD_SIZE": "2", "GROUP_WORLD_SIZE": "2",
        },
        ranks=_rows("RANK", "LOCAL_RANK", "GROUP_RANK", values=[(0, 0, 0), (1, 1, 0), (2, 0, 1), (3, 1, 1)]),
        places=TWO_BY_TWO,
        next_job={"MASTER_PORT": "29501"},
        again=True,
    ),
    "ray": Table(
        launcher="ray",
        common={
            "RAY_JOB_ID": "01000000", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "10.0.0.1",
            "MASTER_PORT": "41233",
        },
        ranks=_rows("RANK", "LOCAL_RANK", "NODE_RANK", values=[(0, 0, 0), (1, 1, 0), (2, 0, 1), (3, 1, 1)]),
        places=TWO_BY_TWO,
        next_job={"MASTER_PORT": "40001"},
    ),
    "lightning": Table(
        launcher="lightning",
        common={"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "12910", "NODE_RANK": "0", "WORLD_SIZE": "3"},
        ranks=_rows("LOCAL_RANK", values=[(1,), (2,)]),
        places=[(1, 3, 0, 1), (2, 3, 0, 1)],
    ),
    "horovod": Table(
        launcher="horovod",
        common={
            "HOROVOD_SIZE": "4", "HOROVOD_LOCAL_SIZE": "2", "HOROVOD_CROSS_SIZE": "2", "HOROVOD_CONTROLLER": "gloo",
            "HOROVOD_GLOO_RENDEZVOUS_ADDR": "10.0.0.1", "HOROVOD_GLOO_RENDEZVOUS_PORT": "35001",
        },
        ranks=_rows(
            "HOROVOD_RANK", "HOROVOD_LOCAL_RANK", "HOROVOD_CROSS_RANK", values=[(0, 0, 0), (1, 1, 0), (2, 0, 1), (3, 1, 1)]
        ),
        places=TWO_BY_TWO,
        next_job={"HOROVOD_GLOO_RENDEZVOUS_PORT": "35002"},
    ),
    "LSF": Table(
        launcher="jsrun",
        common={
            "LSB_JOBID": "1234", "LSB_MCPU_HOSTS": "batch 1 h1 42 h2 42", "JSM_NAMESPACE_SIZE": "4",
            "JSM_NAMESPACE_LOCAL_SIZE": "2", "OMPI_COMM_WORLD_SIZE": "4", "PMIX_NAMESPACE": "12",
        },
        ranks=_rows(
            "JSM_NAMESPACE_RANK", "JSM_NAMESPACE_LOCAL_RANK", "OMPI_COMM_WORLD_RANK",
            values=[(0, 0, 0), (1, 1, 1), (2, 0, 2), (3, 1, 3)],
        ),
        places=TWO_BY_TWO,
        next_job={"LSB_JOBID": "1235"},
    ),
    "Open MPI": Table(
        launcher="openmpi",
        common={
            "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_LOCAL_SIZE": "2", "PMIX_NAMESPACE": "2019033089",
            "OMPI_MCA_orte_num_nodes": "2", "OMPI_MCA_orte_precondition_transports": "a36c64f76c6dd6dd-e8a9f26abf035053",
            "SLURM_JOB_ID": "7", "SLURM_PROCID": "0", "SLURM_NTASKS": "4",
        },
        ranks=_rows(
            "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_NODE_RANK",
            values=[(0, 0, 0), (1, 1, 1), (2, 0, 0), (3, 1, 1)],
        ),
        places=TWO_BY_TWO,
        next_job={"OMPI_MCA_orte_precondition_transports": "0e7c64f76c6dd6dd-e8a9f26abf035053"},
    ),
    "MVAPICH": Table(
        launcher="mvapich",
        common={
            "MV2_COMM_WORLD_SIZE": "4", "MV2_COMM_WORLD_LOCAL_SIZE": "2", "MPISPAWN_MPIRUN_HOST": "h1",
            "MPISPAWN_CHECKIN_PORT": "40555", "MPISPAWN_MPIRUN_ID": "991",
        },
        ranks=_rows("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_LOCAL_RANK", values=[(0, 0), (1, 1), (2, 0), (3, 1)]),
        places=TWO_BY_TWO,
        next_job={"MPISPAWN_CHECKIN_PORT": "40556"},
    ),
    "Intel MPI": Table(
        launcher="intelmpi",
        common={"I_MPI_HYDRA_BOOTSTRAP": "ssh", "PMI_SIZE": "4", "MPI_LOCALNRANKS": "2", "PALS_APID": "one"},
        ranks=_rows("PMI_RANK", "MPI_LOCALRANKID", values=[(0, 0), (1, 1), (2, 0), (3, 1)]),
        places=TWO_BY_TWO,
        next_job={"PALS_APID": "two"},
    ),
    "Slurm": Table(
        launcher="slurm",
        common={
            "SLURM_JOB_ID": "7", "SLURM_CLUSTER_NAME": "c", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "4",
            "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2", "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
            "SLURM_JOB_NAME": "bash",
        },
        ranks=_rows("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NODEID", values=[(0, 0, 0), (1, 1, 0), (2, 0, 1), (3, 1, 1)]),
        places=TWO_BY_TWO,
        next_job={"SLURM_STEP_ID": "1"},
    ),
    "Kubeflow": Table(
        launcher="kubeflow",
        common={
            "KUBERNETES_SERVICE_HOST": "10.96.0.1", "WORLD_SIZE": "2", "MASTER_ADDR": "job-master-0", "MASTER_PORT": "23456",
            "PET_NNODES": "2",
        },
        ranks=_rows("RANK", values=[(0,), (1,)]),
        places=TWO_HOSTS,
        next_job={"MASTER_ADDR": "other-master-0"},
        again=True,
    ),
    "TF_CONFIG": Table(
        launcher="tf_config",
        common={},
        ranks=[
            {"TF_CONFIG": json.dumps({"cluster": CLUSTER, "task": {"type": kind, "index": index}})}
            for kind, index in [("chief", 0), ("worker", 0), ("worker", 1)]
        ],
        places=[(0, 1, 0, 3), (0, 1, 1, 3), (0, 1, 2, 3)],
        next_job={"TF_CONFIG": json.dumps({"cluster": {"worker": ["x:1", "y:1"]}, "task": {"type": "worker", "index": 0}})},
        again=True,
    ),
    "TPU pod": Table(
        launcher="tpu",
        common={"TPU_WORKER_HOSTNAMES": "t0,t1"},
        ranks=_rows("TPU_WORKER_ID", values=[(0,), (1,)]),
        places=TWO_HOSTS,
        next_job={"TPU_WORKER_HOSTNAMES": "u0,u1"},
        again=True,
    ),
    "TPU, two slices": Table(
        launcher="tpu",
        common={"MEGASCALE_NUM_SLICES": "2", "MEGASCALE_COORDINATOR_ADDRESS": "t0:8081"},
        ranks=[
            {"TPU_WORKER_HOSTNAMES": f"s{number}-0,s{number}-1", "TPU_WORKER_ID": str(worker), "MEGASCALE_SLICE_ID": str(number)}
            for number in range(2)
            for worker in range(2)
        ],
        places=[(0, 1, node, 4) for node in range(4)],
        next_job={"MEGASCALE_COORDINATOR_ADDRESS": "u0:8081"},
        again=True,
    ),
    "SageMaker": Table(
        launcher="sagemaker",
        common={"SM_HOSTS": '["algo-1", "algo-2"]', "TRAINING_JOB_NAME": "train-2026-11-21"},
        ranks=[{"SM_CURRENT_HOST": "algo-1"}, {"SM_CURRENT_HOST": "algo-2"}],
        places=TWO_HOSTS,
        next_job={"TRAINING_JOB_NAME": "train-2026-11-22"},
    ),
    "by hand": Table(
        launcher="environment",
        common={"WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"},
        ranks=_rows("RANK", values=[(0,), (1,)]),
        places=[(0, 2, 0, 1), (1, 2, 0, 1)],
        next_job={"MASTER_PORT": "29501"},
        again=True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES.keys())
def test_table(table: Table) -> None:
    """Every process finds its place, all agree on the job, and the next job is another."""
    everyone = [decide(table.common | environ, {}) for environ in table.ranks]
    assert {ranks.launcher for ranks in everyone} == {table.launcher}
    first = 1 if table.launcher == "lightning" else 0
    assert [ranks.rank for ranks in everyone] == list(range(first, first + len(everyone)))
    assert {ranks.world_size for ranks in everyone} == {first + len(everyone)}
    assert [(ranks.local_rank, ranks.local_world_size, ranks.node, ranks.nodes) for ranks in everyone] == table.places
    assert len({(ranks.job_key, ranks.attempt_key, ranks.certain) for ranks in everyone}) == 1
    assert everyone[0].certain
    assert everyone[0].key_is_process is not table.again
    if table.next_job:
        after = decide(table.common | table.ranks[0] | table.next_job, {})
        assert after.job_key != everyone[0].job_key


def test_helpers_of_tensorflow_are_never_zero() -> None:
    """Parameter servers and evaluators stand behind the ranks."""
    for task in ({"type": "ps", "index": 0}, {"type": "evaluator", "index": 0}):
        ranks = decide({"TF_CONFIG": json.dumps({"cluster": CLUSTER, "task": task})}, {})
        assert (ranks.rank, ranks.world_size) == (3, 3)


def test_single_hosts_are_alone() -> None:
    """Where SageMaker, a TPU or TF_CONFIG has a single host there is no group."""
    alone = [
        {"SM_HOSTS": '["algo-1"]', "SM_CURRENT_HOST": "algo-1"},
        {"TPU_WORKER_HOSTNAMES": "localhost", "TPU_WORKER_ID": "0"},
        {"TF_CONFIG": json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}})},
    ]
    assert [_brief(decide(environ, {})) for environ in alone] == [("alone", 0, 1, True)] * 3


def test_several_nodes_of_lightning() -> None:
    """On another node than the first, Lightning's variables do not tell the rank, only that it is not zero."""
    environ = {"NODE_RANK": "1", "LOCAL_RANK": "0", "WORLD_SIZE": "4", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "1"}
    ranks = decide(environ, {})
    assert (ranks.launcher, ranks.is_zero, ranks.certain) == ("lightning", False, False)
    first = decide(environ | {"NODE_RANK": "0"}, {})
    assert (first.rank, first.certain, first.job_key) == (0, True, ranks.job_key)


def test_deepspeed_in_a_requeued_batch_job() -> None:
    """An agent's ranks keep the job key when Slurm starts the batch job again."""
    table = TABLES["deepspeed, one node"]
    batch = {"SLURM_JOB_ID": "7", "ENVIRONMENT": "BATCH", "SLURM_PROCID": "0", "SLURM_NTASKS": "2", "PWD": "/home"}
    lives = [
        [decide(table.common | environ | batch | restart, {}) for environ in table.ranks]
        for restart in ({}, {"SLURM_RESTART_COUNT": "1"})
    ]
    assert len({ranks.job_key for life in lives for ranks in life}) == 1
    assert [len({ranks.attempt_key for ranks in life}) for life in lives] == [1, 1]
    assert [ranks.restart for life in lives for ranks in life] == [0, 0, 1, 1]
    assert not lives[0][0].key_is_process
    assert lives[0][0].attempt_key != lives[1][0].attempt_key


def _brief(ranks: Ranks) -> tuple[str, int, int, bool]:
    return ranks.launcher, ranks.rank, ranks.world_size, ranks.certain
