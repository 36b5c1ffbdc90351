"""The loggers compared: two floors, rankzero, and other trackers with everything that is local and offline about them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

Row = dict[str, float]


class Logger(NamedTuple):
    """One way to log: `log(row, step)` in the loop, `finish()` once everything must be on disk."""

    log: Callable[[Row, int], Any]
    finish: Callable[[], Any]


def stay_local(folder: Path) -> None:
    """Point every tracker at a folder and keep it off the network; before any of them is imported."""
    os.environ.update(
        TRACKIO_DIR=str(folder), HF_HUB_OFFLINE="1", WANDB_MODE="offline", WANDB_SILENT="true", WANDB_DIR=str(folder)
    )


def _append(folder: Path) -> Logger:
    rows: list[tuple[int, Row]] = []
    return Logger(lambda row, step: rows.append((step, row.copy())), rows.clear)


def _json_write(folder: Path) -> Logger:
    file = (folder / "log.jsonl").open("wb", buffering=0)
    return Logger(lambda row, step: file.write(json.dumps([step, row]).encode() + b"\n"), file.close)


def _rankzero(folder: Path) -> Logger:
    import rankzero

    run = rankzero.init(project="bench", dir=folder)
    return Logger(run.log, run.finish)


def _trackio(folder: Path) -> Logger:
    import trackio

    run = trackio.init(project="bench", embed=False)
    return Logger(lambda row, step: run.log(row, step=step), run.finish)


def _wandb(folder: Path) -> Logger:
    import wandb

    run = wandb.init(project="bench", dir=folder)
    return Logger(lambda row, step: run.log(row, step=step), run.finish)


def _tensorboardx(folder: Path) -> Logger:
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(folder))

    def log(row: Row, step: int) -> None:
        for key, value in row.items():
            writer.add_scalar(key, value, step)

    return Logger(log, writer.close)


OPENERS: dict[str, Callable[[Path], Logger]] = {
    "list.append": _append,
    "json + write": _json_write,
    "rankzero": _rankzero,
    "tensorboardX": _tensorboardx,
    "trackio": _trackio,
    "wandb offline": _wandb,
}
