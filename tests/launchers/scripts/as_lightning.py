"""Starts its other ranks the way Lightning does: `as_lightning.py FOLDER`.

The script begins alone; when it comes to fit it sets variables for itself and runs itself again for every other rank, with
LOCAL_RANK, NODE_RANK and WORLD_SIZE but without RANK.
"""

from __future__ import annotations

import os
import subprocess
import sys

from tell import tell

WORLD_SIZE = 3

if __name__ == "__main__":
    tell(sys.argv[1], "start")
    if "LOCAL_RANK" not in os.environ:
        common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "12910", "NODE_RANK": "0", "WORLD_SIZE": str(WORLD_SIZE)}
        os.environ.update(common, LOCAL_RANK="0")
        children = [
            subprocess.Popen([sys.executable, *sys.argv], env=os.environ | {"LOCAL_RANK": str(local_rank)})
            for local_rank in range(1, WORLD_SIZE)
        ]
        tell(sys.argv[1], "fit")
        sys.exit(max(child.wait() for child in children))
    tell(sys.argv[1], "fit")
