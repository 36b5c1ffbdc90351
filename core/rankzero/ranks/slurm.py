"""What Slurm says about the job and the step of this process.

Only a step has ranks. A batch script's body and the shell of `salloc` have variables that look like a rank 0 of many, and a
job that was submitted from inside a step still carries that step's variables.
"""

from __future__ import annotations

from typing import NamedTuple

from rankzero.ranks.evidence import Evidence, count

_SPECIAL_STEPS = 0xFFFF_FFF0
_SHELLS = {"bash", "sh", "zsh", "interactive"}


class Step(NamedTuple):
    """A step that this process is a task of. `parts` tell it from all other steps of all jobs."""

    parts: tuple[str, ...]
    tasks: int
    task: int
    node_tasks: int
    node_task: int
    nodes: int
    node: int
    is_shell: bool


class Batch(NamedTuple):
    """A job that Slurm can start again. `parts` stay the same when it does; an array's tasks are jobs of their own."""

    parts: tuple[str, ...]
    restarts: int


def batch(evidence: Evidence) -> Batch | None:
    """The batch job around this process, on every node of it; None for `salloc` and for a bare `srun`."""
    if not evidence.has("SLURM_JOB_ID") or evidence.text("ENVIRONMENT") != "BATCH":
        return None
    return Batch(_job(evidence), restarts(evidence))


def restarts(evidence: Evidence) -> int:
    """How often Slurm has requeued the job."""
    return evidence.number("SLURM_RESTART_COUNT") or 0


def step(evidence: Evidence) -> Step | None:
    """The step this process is a task of, or None if it is not in one."""
    number = evidence.number("SLURM_STEP_ID", "SLURM_STEPID")
    tasks = evidence.number("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS")
    task = evidence.number("SLURM_PROCID")
    if number is None or number >= _SPECIAL_STEPS or not tasks or task is None or task >= tasks:
        return None
    node = evidence.number("SLURM_NODEID") or 0
    node_tasks = tasks_on(evidence.text("SLURM_STEP_TASKS_PER_NODE"), node) or 1
    here = evidence.text("SLURM_GTIDS").split(",") if evidence.has("SLURM_GTIDS") else None
    if here is not None and (len(here) != node_tasks or str(task) not in here):
        return None
    return Step(
        parts=(*_job(evidence), "step", str(number)),
        tasks=tasks,
        task=task,
        node_tasks=node_tasks,
        node_task=evidence.number("SLURM_LOCALID") or 0,
        nodes=evidence.number("SLURM_STEP_NUM_NODES", "SLURM_NNODES") or 1,
        node=node,
        is_shell=tasks == 1 and (evidence.has("SLURM_PTY_PORT") or evidence.text("SLURM_JOB_NAME") in _SHELLS),
    )


def tasks_on(pattern: str, node: int) -> int | None:
    """The number of tasks on a node by Slurm's pattern, `2(x3),1` for 2, 2, 2 and 1; None if it does not say."""
    for part in pattern.split(","):
        word, _, times = part.removesuffix(")").partition("(x")
        tasks, nodes = count(word), count(times or "1")
        if tasks is None or nodes is None:
            return None
        node -= nodes
        if node < 0:
            return tasks
    return None


def _job(evidence: Evidence) -> tuple[str, ...]:
    return "slurm", evidence.text("SLURM_CLUSTER_NAME"), evidence.text("SLURM_JOB_ID")
