"""A real Slurm on this machine for the tests: munge, one controller and two nodes on loopback, without systemd.

Every cluster has folders and ports of its own, so that several may run at once (one per worker of pytest-xdist) and nothing
of the machine's own Slurm is touched. The nodes claim more processors than the machine has.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.launchers.commands import clean_environ, free_ports

NODES = ("n1", "n2")
CPUS = 8
_PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "salloc", "scontrol", "setpriv")
_PATIENCE_SECONDS = 60.0
_CONFIGURATION = """
ClusterName=rankzero
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={root}/munge/socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={root}/state
SlurmdSpoolDir={root}/spool-%n
SlurmctldPidFile={root}/slurmctld.pid
SlurmdPidFile={root}/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobRequeue=1
KillWait=2
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs={cpus} State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs={cpus} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


class SlurmCluster:
    """Two nodes with eight processors each; jobs find it by the environment that `environ()` returns."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="rankzero-slurm-"))
        self.root.chmod(0o755)
        self._daemons: list[subprocess.Popen[bytes]] = []

    def environ(self) -> dict[str, str]:
        """The environment in which Slurm's commands reach this cluster."""
        return clean_environ() | {"SLURM_CONF": str(self.root / "slurm.conf")}

    def run(self, *command: str, cwd: Path | None = None, timeout: float = 120.0) -> str:
        """Run one of Slurm's commands to its end and return what it printed."""
        done = subprocess.run(
            command,
            cwd=cwd or self.root,
            env=self.environ(),
            timeout=timeout,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def requeue(self, job: str) -> None:
        """Requeue a running job and let it start again soon; by itself Slurm waits for two minutes."""
        self.run("scontrol", "requeue", job)
        self.until(lambda: self.state(job) == "PENDING", f"the requeue of job {job}")
        time.sleep(2.0)  # a node takes no job that it has ended in the same second
        self.until(lambda: self._begins(job), f"the next start of job {job}")

    def _begins(self, job: str) -> bool:
        """Whether a job has begun; asks for it again if not, for a node that is late to end the last one makes it wait anew."""
        if self.state(job) == "PENDING":
            with contextlib.suppress(AssertionError):  # it began meanwhile
                self.run("scontrol", "update", f"JobId={job}", "StartTime=now")
            time.sleep(1.0)
        return self.state(job) != "PENDING"

    def state(self, job: str) -> str:
        """The state of a job: PENDING, RUNNING, COMPLETED, ..."""
        told = self.run("scontrol", "--oneliner", "show", "job", job)
        return next(word.partition("=")[2] for word in told.split() if word.startswith("JobState="))

    def wait(self, job: str) -> str:
        """Wait until a job is over; its last state."""
        self.until(lambda: self.state(job) not in {"PENDING", "RUNNING", "COMPLETING", "CONFIGURING"}, f"job {job}")
        return self.state(job)

    def until(self, ready: Callable[[], bool], what: str) -> None:
        """Wait until something is so; `what` names it for the day when it does not become so."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not ready():
            dead = [daemon.args for daemon in self._daemons if daemon.poll() is not None]
            if dead or time.monotonic() > deadline:
                logs = "\n".join(path.read_text(errors="replace") for path in sorted(self.root.glob("*.out")))
                raise AssertionError(f"{what}: waited in vain; ended daemons: {dead}\n{logs[-4000:]}")
            time.sleep(0.1)

    def start(self) -> None:
        """Start the daemons and wait until both nodes are idle."""
        munge = self.root / "munge"
        munge.mkdir(mode=0o711)
        (self.root / "state").mkdir()
        key = munge / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        ports = free_ports(3)
        host = socket.gethostname().partition(".")[0]
        configuration = _CONFIGURATION.format(host=host, root=self.root, ports=ports, cpus=CPUS)
        (self.root / "slurm.conf").write_text(configuration)
        names = ("key-file", "socket", "pid-file", "log-file", "seed-file")
        self._daemon("munged", "--foreground", *(f"--{name}={munge / name.partition('-')[0]}" for name in names))
        self.until((munge / "socket").exists, "munged")
        self._daemon("slurmctld", "-D", "-f", str(self.root / "slurm.conf"))
        for node in NODES:
            self._daemon("slurmd", "-D", "-N", node, "-f", str(self.root / "slurm.conf"))
        self.until(self._is_idle, "the nodes")

    def stop(self) -> None:
        """End all jobs and daemons and remove the folders."""
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            self.run("scancel", "--user=root", timeout=10)
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    def _daemon(self, program: str, *arguments: str) -> None:
        log = (self.root / f"{program}-{len(self._daemons)}.out").open("wb")
        command = ["setpriv", "--pdeathsig=TERM", program, *arguments]
        with log:
            self._daemons.append(subprocess.Popen(command, env=self.environ(), stdout=log, stderr=log))

    def _is_idle(self) -> bool:
        told = subprocess.run(
            ["sinfo", "-h", "-o", "%D %T"], env=self.environ(), capture_output=True, text=True, check=False
        )
        return told.stdout.split() == [str(len(NODES)), "idle"]


def why_no_slurm() -> str:
    """Why Slurm cannot be started here; empty if it can."""
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"{', '.join(missing)} not installed: run tests/launchers/install.sh as root"
    return "" if os.geteuid() == 0 else "slurmd needs root"


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[SlurmCluster]:
    """A running Slurm with two nodes; the test is skipped where none can be had."""
    if reason := why_no_slurm():
        pytest.skip(reason)
    cluster = SlurmCluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
