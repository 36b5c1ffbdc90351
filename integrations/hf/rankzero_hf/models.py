"""Models kept with the run, where the user asks for it."""

from __future__ import annotations

import tempfile
from glob import escape
from pathlib import Path
from typing import Any

from rankzero import RankZeroError
from rankzero.plugin import Run, report, warn_once

FOLDER = "model"
"""Of the run's files: where the model lies as it is at the end."""

KNOWN = {False: "off", True: "end", "end": "end", "checkpoint": "checkpoint", "off": "off", "false": "off"}


def wanted(log_model: bool | str) -> str:
    """What is to be kept: "off", "end" or "checkpoint".

    Raises:
        RankZeroError: it is something else.
    """
    if log_model not in KNOWN:
        raise RankZeroError(f'log_model={log_model!r} is not known; write False, "end" or "checkpoint"')
    return KNOWN[log_model]


def keep_checkpoint(run: Run, checkpoint: Path) -> None:
    """Copy a checkpoint, all files of its folder, into the run's files."""
    run.save(f"{escape(str(checkpoint))}/**", checkpoint.parent)
    report("checkpoints' files", "recorded", "transformers")


def keep_model(run: Run, args: Any, model: Any, processing: Any) -> None:
    """Save the model, and what prepares its input, into the run's files, in the form that `from_pretrained` reads."""
    if getattr(args, "fsdp", None) or getattr(args, "deepspeed", None):
        warn_once(
            "log_model", 'log_model="end" needs the whole model on one rank; log_model="checkpoint" keeps its parts'
        )
        return
    with tempfile.TemporaryDirectory(prefix="rankzero-") as place, run.phase("checkpoint"):
        folder = Path(place, FOLDER)
        for part in (model, processing):
            if hasattr(part, "save_pretrained"):
                part.save_pretrained(folder)
        run.save(f"{escape(str(folder))}/**", folder.parent)
    report("the model's files", "recorded", "transformers")
