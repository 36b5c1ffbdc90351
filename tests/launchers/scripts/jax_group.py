"""One process of a JAX job that only `jax.distributed.initialize` knows of: `jax_group.py ADDRESS COUNT INDEX FOLDER`."""

from __future__ import annotations

import sys

import jax
from tell import tell

if __name__ == "__main__":
    address, count, index, folder = sys.argv[1:]
    tell(folder, "before")
    jax.distributed.initialize(address, int(count), int(index))
    tell(folder, "after")
    jax.distributed.shutdown()
