"""`import rankzero` is light."""

from __future__ import annotations

import json
import subprocess
import sys

_LOADED = """
import json, sys
before = set(sys.modules)
import rankzero
tops = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps(sorted(tops - set(sys.stdlib_module_names))))
"""

_CPU = """
import time
before = time.process_time()
import rankzero
print(time.process_time() - before)
"""


def _python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_import_loads_only_msgspec_beside_the_standard_library() -> None:
    """A training process that imports rankzero gets no third-party module but msgspec."""
    assert set(json.loads(_python(_LOADED))) <= {"rankzero", "msgspec"}


def test_import_costs_little_cpu() -> None:
    """Importing costs a fraction of what other trackers' imports cost, even on a busy machine."""
    assert min(float(_python(_CPU)) for _ in range(3)) < 0.2
