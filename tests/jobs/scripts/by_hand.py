"""A job that logs by hand; options make one rank fail, die or dawdle."""

import argparse
import os
import signal
import sys
import time
from pathlib import Path

import rankzero

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=10)
parser.add_argument("--pause", type=float, default=0.01)
parser.add_argument("--at", type=int, default=5, help="the step at which it happens")
parser.add_argument("--rank", type=int, default=-1, help="the rank to which it happens")
parser.add_argument("--what", choices=["raise", "kill", "exit", "hang", "requeue"], default="raise")
parser.add_argument("--only-first-attempt", action="store_true")
parser.add_argument("--pids", help="a folder in which every rank leaves its process id")
asked = parser.parse_args()

run = rankzero.init(project="jobs", config={"steps": asked.steps})
me = run.rank
if asked.pids:
    folder = Path(asked.pids)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / str(me)).write_text(str(os.getpid()))


def happen() -> None:
    restarts = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) + int(os.environ.get("SLURM_RESTART_COUNT", "0"))
    if me != asked.rank or (asked.only_first_attempt and restarts):
        return
    if asked.what == "raise":
        raise RuntimeError(f"rank {me} has had enough")
    if asked.what == "kill":
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)
    if asked.what == "exit":
        sys.exit(3)
    if asked.what == "hang":
        time.sleep(3600)


for step in range(asked.steps):
    if step == asked.at:
        happen()
    time.sleep(asked.pause)
    run.log({"loss": 1 / (step + 1)}, step=step)
    run.log({"time/step": asked.pause * (1 + me)}, step=step, ranks="all")
