"""Says which rank of which job this process is: `tell.py FOLDER [WHEN]` writes one file into the folder."""

from __future__ import annotations

import json
import os
import secrets
import sys
from dataclasses import asdict
from pathlib import Path

import rankzero.ranks


def tell(folder: str, when: str = "now") -> None:
    """Write what this process is into the folder, in one piece."""
    said = {"when": when, "pid": os.getpid(), "ranks": asdict(rankzero.ranks.current())}
    name = f"{os.getpid()}-{secrets.token_hex(4)}"
    draft = Path(folder, f"{name}.draft")
    draft.write_text(json.dumps(said))
    draft.rename(Path(folder, f"{name}.json"))


if __name__ == "__main__":
    tell(*sys.argv[1:])
