"""Ranks that `torch.multiprocessing` starts: `spawn.py [--method M] [--leave-rank] FOLDER`.

Nothing is in the environment but, with `--leave-rank`, what accelerate's debug_launcher leaves there in every process. The
parent tells too, and so does a data worker of every rank.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import random
import socket

import torch.distributed
import torch.multiprocessing
from tell import tell

WORLD_SIZE = 3


def free_port() -> int:
    """A port that nobody listens on, and that the system gives to nobody who does not name it."""
    while True:
        with socket.socket() as free, contextlib.suppress(OSError):
            free.bind(("127.0.0.1", port := random.randrange(15_000, 30_000)))
            return port


def work(rank: int, port: int, folder: str) -> None:
    """One rank: tells before and after the group is there, and then from a process that it starts itself."""
    tell(folder, "before")
    torch.distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=WORLD_SIZE
    )
    torch.distributed.barrier()  # nobody leaves while others are still connecting
    tell(folder, "after")
    worker = multiprocessing.get_context("spawn").Process(target=tell, args=(folder, "data worker"), daemon=True)
    if rank == 0:
        worker.start()
        worker.join()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--method", default="spawn")
    parser.add_argument("--leave-rank", action="store_true")
    parser.add_argument("folder")
    arguments = parser.parse_args()
    tell(arguments.folder, "parent")
    if arguments.leave_rank:
        left = {"RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
        os.environ.update(left, WORLD_SIZE=str(WORLD_SIZE), ACCELERATE_USE_CPU="yes")
    torch.multiprocessing.start_processes(
        work, args=(free_port(), arguments.folder), nprocs=WORLD_SIZE, daemon=False, start_method=arguments.method
    )
    tell(arguments.folder, "parent afterwards")
