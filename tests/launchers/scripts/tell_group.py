"""Tells before and after joining torchrun's process group: `tell_group.py [--group] [--fail RANK] FOLDER`.

With `--fail` that rank fails in the job's first life once all ranks have told, so that torchrun starts all of them again.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from tell import tell


def fail_once(folder: Path, rank: int, tells: int) -> None:
    """In the first life end as the given rank with an error when all have told, or wait for the end as another."""
    deadline = time.monotonic() + 60
    while len(list(folder.glob("*.json"))) < tells and time.monotonic() < deadline:
        time.sleep(0.05)
    if int(os.environ["RANK"]) == rank:
        (folder / "failed-once").touch()
        sys.exit(3)
    time.sleep(60)


def main() -> None:
    """Tell once or twice in every life."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--group", action="store_true")
    parser.add_argument("--fail", type=int, default=-1)
    parser.add_argument("folder")
    arguments = parser.parse_args()
    folder = Path(arguments.folder)
    life = "second" if (folder / "failed-once").exists() else "first"
    tell(arguments.folder, f"{life} before")
    if arguments.group:
        import torch.distributed

        torch.distributed.init_process_group("gloo")
        tell(arguments.folder, f"{life} after")
    if arguments.fail >= 0 and life == "first":
        fail_once(folder, arguments.fail, int(os.environ["WORLD_SIZE"]) * (1 + arguments.group))


if __name__ == "__main__":
    main()
