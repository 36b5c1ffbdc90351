"""Rank 1 leaves the loop early, rank 0 waits for it in a collective."""

import sys
import time
from pathlib import Path

import torch
import torch.distributed as dist

import rankzero

dist.init_process_group("gloo")
run = rankzero.init(project="jobs")
Path(sys.argv[1]).mkdir(exist_ok=True)
for step in range(10):
    dist.all_reduce(torch.ones(1))
    run.log({"time/step": 0.1}, step=step, ranks="all")
if dist.get_rank() == 0:
    dist.all_reduce(torch.ones(1))
time.sleep(600)
