"""A launcher of local processes with nothing but the standard library: it speaks torchrun's variables.

    python launcher.py [--ranks N] [--restarts N] [--unrecorded-rank R] COMMAND...

When one process fails the others are stopped; then all are started again, up to so many times. It runs below `rankzero run`
like any launcher, and by its path, so that no package is loaded in it.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

POLL_SECONDS = 0.05
STOP_SECONDS = 10


def environ_of(rank: int, ranks: int, port: int, restart: int) -> dict[str, str]:
    """What the launcher tells a process."""
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(ranks),
        "LOCAL_WORLD_SIZE": str(ranks),
        "GROUP_RANK": "0",
        "GROUP_WORLD_SIZE": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "TORCHELASTIC_RUN_ID": "none",
        "TORCHELASTIC_RESTART_COUNT": str(restart),
        "TORCHELASTIC_USE_AGENT_STORE": "False",
    }


def without_recording(environ: dict[str, str]) -> dict[str, str]:
    """An environment as it would be without `rankzero run`, with recording by hand disabled."""
    kept = {name: value for name, value in environ.items() if not name.startswith("RANKZERO_")}
    startup = str(Path(__file__).parents[1] / "launch" / "startup")
    places = kept.pop("PYTHONPATH", "").split(os.pathsep)
    kept["PYTHONPATH"] = os.pathsep.join(place for place in places if place != startup)
    return kept | {"RANKZERO_MODE": "disabled"}


def start(command: list[str], ranks: int, restart: int, unrecorded: int) -> list[subprocess.Popen[bytes]]:
    """Start every rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(ranks):
        environ = without_recording(dict(os.environ)) if rank == unrecorded else dict(os.environ)
        started.append(subprocess.Popen(command, env=environ | environ_of(rank, ranks, port, restart)))
    return started


def wait(processes: list[subprocess.Popen[bytes]]) -> int:
    """Wait for all, or for the first that fails and then stop the others; the exit code."""
    while True:
        codes = [process.poll() for process in processes]
        failed = [code for code in codes if code]
        if failed:
            stop(processes)
            return failed[0] if failed[0] > 0 else 128 - failed[0]
        if all(code == 0 for code in codes):
            return 0
        time.sleep(POLL_SECONDS)


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """Ask the processes to end, then end them."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main() -> int:
    """Run the job; its exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--restarts", type=int, default=0)
    parser.add_argument("--unrecorded-rank", type=int, default=-1)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    asked = parser.parse_args()
    code = 0
    for restart in range(asked.restarts + 1):
        code = wait(start(asked.command, asked.ranks, restart, asked.unrecorded_rank))
        if code == 0:
            break
    return code


if __name__ == "__main__":
    sys.exit(main())
