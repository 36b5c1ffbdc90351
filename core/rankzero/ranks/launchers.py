"""The variables of every launcher, one function each; `LAUNCHERS` is their order of precedence.

A function returns None where its launcher did not start this process or where its variables make no sense. What is nearer to
the process comes first: torchrun inside `srun`, not the other way round.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from rankzero.ranks import processes, slurm
from rankzero.ranks.evidence import Evidence, count
from rankzero.ranks.identity import is_loopback, of_address, of_group, of_leader, of_spread, of_step
from rankzero.ranks.place import Launch, Place, place
from rankzero.ranks.torchrun import torchrun


def deepspeed(evidence: Evidence) -> Launch | None:
    """The `deepspeed` command: one agent per node, found by pdsh or alone."""
    nodes = evidence.number("CROSS_SIZE")
    where = place(
        evidence.number("RANK"),
        evidence.number("WORLD_SIZE"),
        local_rank=evidence.number("LOCAL_RANK"),
        local_world_size=evidence.number("LOCAL_SIZE"),
        node=evidence.number("CROSS_RANK"),
        nodes=nodes,
    )
    if where is None or nodes is None or not evidence.has("LOCAL_SIZE"):
        return None
    if nodes > 1:
        return Launch("deepspeed", where, of_address(evidence, _master(evidence), world=where.world_size))
    agents = ("deepspeed.launcher.launch", "deepspeed/launcher/launch.py")
    agent = processes.ancestor(evidence.origin, agents) or processes.parent(evidence.origin)
    return Launch("deepspeed", where, of_leader(evidence, agent))


def ray(evidence: Evidence) -> Launch | None:
    """Ray Train: the usual variables, set inside its workers."""
    if not evidence.has("RAY_JOB_ID", "RAY_RAYLET_PID"):
        return None
    where = _usual_place(evidence)
    token = ("ray", evidence.text("RAY_JOB_ID"), _master(evidence))
    return where and Launch("ray", where, of_group(evidence, token, is_fresh=True))


def lightning(evidence: Evidence) -> Launch | None:
    """Lightning's own launcher: rank zero starts the others; nobody has RANK, and nobody the number of nodes."""
    local, node = evidence.number("LOCAL_RANK"), evidence.number("NODE_RANK")
    if local is None or node is None or evidence.has("RANK"):
        return None
    where = place(node + local, evidence.number("WORLD_SIZE"), local_rank=local, node=node, nodes=node + 1)
    if where is None:
        return None
    if node or not is_loopback(_master(evidence)):
        return Launch(
            "lightning", where, of_address(evidence, _master(evidence), world=where.world_size), is_hint=node > 0
        )
    leader = processes.parent(evidence.origin) if local else evidence.origin
    return Launch("lightning", where, of_leader(evidence, leader))


def horovod(evidence: Evidence) -> Launch | None:
    """`horovodrun` with Gloo (with MPI it is mpirun that starts the processes)."""
    where = place(
        evidence.number("HOROVOD_RANK"),
        evidence.number("HOROVOD_SIZE"),
        local_rank=evidence.number("HOROVOD_LOCAL_RANK"),
        local_world_size=evidence.number("HOROVOD_LOCAL_SIZE"),
        node=evidence.number("HOROVOD_CROSS_RANK"),
        nodes=evidence.number("HOROVOD_CROSS_SIZE"),
    )
    met = [evidence.text(f"HOROVOD_GLOO_RENDEZVOUS_{part}") for part in ("ADDR", "PORT")]
    return where and Launch("horovod", where, of_group(evidence, ("horovod", *met), is_fresh=all(met)))


def jsrun(evidence: Evidence) -> Launch | None:
    """LSF's `jsrun`; it sets Open MPI's variables too."""
    where = place(
        evidence.number("JSM_NAMESPACE_RANK"),
        evidence.number("JSM_NAMESPACE_SIZE"),
        local_rank=evidence.number("JSM_NAMESPACE_LOCAL_RANK"),
        local_world_size=evidence.number("JSM_NAMESPACE_LOCAL_SIZE"),
    )
    token = ("lsf", evidence.text("LSB_JOBID"), evidence.text("LSB_JOBINDEX"), evidence.text("PMIX_NAMESPACE"))
    return where and Launch("jsrun", where, of_group(evidence, token, is_fresh=evidence.has("LSB_JOBID")))


def openmpi(evidence: Evidence) -> Launch | None:
    """Open MPI's `mpirun`: a namespace from the launcher's process id, beside a random number drawn for the job."""
    where = place(
        evidence.number("OMPI_COMM_WORLD_RANK"),
        evidence.number("OMPI_COMM_WORLD_SIZE"),
        local_rank=evidence.number("OMPI_COMM_WORLD_LOCAL_RANK"),
        local_world_size=evidence.number("OMPI_COMM_WORLD_LOCAL_SIZE"),
        nodes=evidence.number("OMPI_MCA_orte_num_nodes"),
    )
    drawn = evidence.text("OMPI_MCA_orte_precondition_transports")
    token = ("openmpi", evidence.text("PMIX_NAMESPACE"), drawn)
    is_fresh = bool(drawn) or evidence.has("PMIX_NAMESPACE")
    return where and Launch("openmpi", where, of_group(evidence, token, is_fresh=is_fresh))


def mvapich(evidence: Evidence) -> Launch | None:
    """MVAPICH's `mpirun_rsh`."""
    where = place(
        evidence.number("MV2_COMM_WORLD_RANK"),
        evidence.number("MV2_COMM_WORLD_SIZE"),
        local_rank=evidence.number("MV2_COMM_WORLD_LOCAL_RANK"),
        local_world_size=evidence.number("MV2_COMM_WORLD_LOCAL_SIZE"),
    )
    said = [evidence.text(f"MPISPAWN_{part}") for part in ("MPIRUN_HOST", "CHECKIN_PORT", "MPIRUN_ID")]
    if where and where.nodes == 1 and not any(said):
        return Launch("mvapich", where, of_leader(evidence, processes.parent(evidence.origin)))
    return where and Launch("mvapich", where, of_group(evidence, ("mvapich", *said), is_fresh=any(said)))


def hydra(evidence: Evidence) -> Launch | None:
    """MPICH's and Intel MPI's `mpiexec`: its address stands in the command line of the proxy that it has on every node."""
    local = evidence.number("MPI_LOCALRANKID", "PMI_LOCAL_RANK")
    if local is None and slurm.step(evidence):
        return None
    where = place(
        evidence.number("PMI_RANK"),
        evidence.number("PMI_SIZE"),
        local_rank=local,
        local_world_size=evidence.number("MPI_LOCALNRANKS", "PMI_LOCAL_SIZE"),
    )
    if where is None:
        return None
    name = "intelmpi" if any(variable.startswith("I_MPI_") for variable in evidence.environ) else "mpich"
    proxy = processes.ancestor(evidence.origin, ("--control-port", "--upstream-port"))
    if where.nodes == 1 and proxy:
        return Launch(name, where, of_group(evidence, ("hydra", *processes.identity(proxy)), is_fresh=True))
    said = _option_values(processes.command(proxy), ("--control-port", "--upstream-host", "--upstream-port"))
    token = ("hydra", *said, evidence.text("PALS_APID"))
    return Launch(name, where, of_group(evidence, token, is_fresh=any(token[1:])))


def slurm_step(evidence: Evidence) -> Launch | None:
    """`srun`. A step that is one task with a shell in it starts no job by itself."""
    step = slurm.step(evidence)
    if step is None or step.is_shell:
        return None
    where = place(
        step.task,
        step.tasks,
        local_rank=step.node_task,
        local_world_size=step.node_tasks,
        node=step.node,
        nodes=step.nodes,
    )
    identity = of_step(evidence, step) if step.tasks > 1 else of_leader(evidence, evidence.origin)
    return where and Launch("slurm", where, identity)


def by_hand(evidence: Evidence) -> Launch | None:
    """RANK and WORLD_SIZE, set by Kubeflow in a pod or by anybody's script; a script may only repeat a launcher's."""
    is_pod = evidence.has("KUBERNETES_SERVICE_HOST")
    where = _usual_place(evidence, local_world_size=1 if is_pod and not evidence.has("LOCAL_RANK") else None)
    if where is None or where.world_size == 1:
        return None
    for launcher in (horovod, jsrun, openmpi, mvapich, hydra, slurm_step):
        said = launcher(evidence)
        if said and (said.place.rank, said.place.world_size) == (where.rank, where.world_size):
            return said
    name = "kubeflow" if is_pod else "environment"
    return Launch(name, where, of_address(evidence, _master(evidence), world=where.world_size), is_weak=True)


def tf_config(evidence: Evidence) -> Launch | None:
    """TF_CONFIG: the chief first, then the workers. Parameter servers and evaluators stand behind them and are no ranks."""
    config = _json(evidence.text("TF_CONFIG"))
    cluster, task = (config.get(name) if isinstance(config, dict) else None for name in ("cluster", "task"))
    if not isinstance(cluster, dict) or not isinstance(task, dict):
        return None
    hosts = {kind: listed for kind in ("chief", "master", "worker") if isinstance(listed := cluster.get(kind), list)}
    sizes = {kind: len(listed) for kind, listed in hosts.items()}
    world = sum(sizes.values())
    heads = world - sizes.get("worker", 0)
    index, kind = count(str(task.get("index", ""))), task.get("type")
    if index is None or world < 2:  # noqa: PLR2004 - one process is no group
        return None
    if kind not in sizes:
        where: Place | None = Place(world + index, world, 0, 1, world + index, world)
    else:
        where = place(index + (heads if kind == "worker" else 0), world, local_world_size=1)
    token = ("tf_config", *(str(host) for kind in sorted(hosts) for host in (kind, *hosts[kind])))
    identity = of_spread(evidence, token, world=world, nodes=world, is_fresh=False)
    return where and Launch("tf_config", where, identity, is_weak=True)


def tpu(evidence: Evidence) -> Launch | None:
    """TPU pods: a process per host, the hosts of all slices in order."""
    hosts = [host for host in evidence.text("TPU_WORKER_HOSTNAMES").split(",") if host]
    worker = evidence.number("TPU_WORKER_ID")
    slices, number = evidence.number("MEGASCALE_NUM_SLICES") or 1, evidence.number("MEGASCALE_SLICE_ID") or 0
    if worker is None or worker >= len(hosts) or number >= slices or len(hosts) * slices == 1:
        return None
    world = len(hosts) * slices
    where = place(number * len(hosts) + worker, world, local_world_size=1)
    met = (evidence.text("MEGASCALE_COORDINATOR_ADDRESS"),) if slices > 1 else tuple(hosts)
    return where and Launch("tpu", where, of_group(evidence, ("tpu", *met), is_fresh=False), is_weak=True)


def sagemaker(evidence: Evidence) -> Launch | None:
    """SageMaker with no launcher of its own: a process per host."""
    hosts, here = _json(evidence.text("SM_HOSTS")), evidence.text("SM_CURRENT_HOST")
    if not isinstance(hosts, list) or here not in hosts or len(hosts) == 1:
        return None
    name = evidence.text("TRAINING_JOB_NAME") or evidence.text("SAGEMAKER_JOB_NAME")
    hosts = sorted(map(str, hosts))
    where = place(hosts.index(here), len(hosts), local_world_size=1)
    token = ("sagemaker", name, *hosts)
    return where and Launch("sagemaker", where, of_group(evidence, token, is_fresh=bool(name)), is_weak=True)


LAUNCHERS: tuple[Callable[[Evidence], Launch | None], ...] = (
    torchrun,
    deepspeed,
    ray,
    lightning,
    by_hand,
    horovod,
    jsrun,
    openmpi,
    mvapich,
    hydra,
    slurm_step,
    tf_config,
    tpu,
    sagemaker,
)


def launched(evidence: Evidence) -> Launch | None:
    """What the nearest launcher says, if there is one."""
    return next((launch for launcher in LAUNCHERS if (launch := launcher(evidence))), None)


def _usual_place(evidence: Evidence, *, local_world_size: int | None = None) -> Place | None:
    return place(
        evidence.number("RANK"),
        evidence.number("WORLD_SIZE"),
        local_rank=evidence.number("LOCAL_RANK"),
        local_world_size=local_world_size or evidence.number("LOCAL_WORLD_SIZE"),
        node=evidence.number("NODE_RANK", "GROUP_RANK"),
    )


def _master(evidence: Evidence) -> str:
    return f"{evidence.text('MASTER_ADDR') or 'localhost'}:{evidence.text('MASTER_PORT')}"


def _option_values(command: tuple[str, ...], options: tuple[str, ...]) -> list[str]:
    return [value for option, value in itertools.pairwise(command) if option in options]


def _json(text: str) -> Any:
    if not text:
        return None
    import json

    try:
        return json.loads(text)
    except ValueError:
        return None
