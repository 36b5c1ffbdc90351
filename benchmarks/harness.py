"""What the benchmarks share: a fresh process per measurement, medians, tables, and promises that pass or fail."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def fresh(module: str, *args: object, timeout: float = 600) -> dict[str, Any]:
    """Run `python -m benchmarks.<module> <args>` alone in a new process and return the JSON it answered."""
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else every import of an edited file would compile it
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, args)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return dict(json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{"))))


def interleaved(
    rounds: int, names: Sequence[str], measure: Callable[[str], dict[str, Any]]
) -> dict[str, dict[str, float]]:
    """Measure each name in turn, `rounds` times over, and return the median of every figure per name."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            found[name].append(measure(name))
    return {
        name: {key: statistics.median(sample[key] for sample in samples) for key in samples[0]}
        for name, samples in found.items()
    }


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def heading(text: str) -> None:
    """Print what is measured, and on what."""
    load = os.getloadavg()[0]
    print(
        f"\n{text}\n  {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load:.1f}"
    )


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows in columns as wide as they need."""
    shown = [list(columns), *[[_shown(cell) for cell in row] for row in rows]]
    widths = [max(len(row[column]) for row in shown) for column in range(len(columns))]
    for row in shown:
        figures = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        print("  " + "  ".join([row[0].ljust(widths[0]), *figures]))


def promise(text: str, measured: float, limit: float, unit: str = "") -> None:
    """Print PASS or FAIL for "measured is at most limit"."""
    word = "PASS" if measured <= limit else "FAIL"
    print(f"{word}  {text}: {_shown(measured)}{unit} (at most {_shown(limit)}{unit})", flush=True)


def promise_ratio(text: str, ours: float, theirs: float, share: float) -> None:
    """Print PASS or FAIL for "ours is at most `share` of theirs", as a ratio."""
    word = "PASS" if ours <= theirs * share else "FAIL"
    print(f"{word}  {text}: 1/{theirs / ours:.1f} (at most 1/{1 / share:.1f})", flush=True)


def promise_least(text: str, measured: float, limit: float, unit: str = "") -> None:
    """Print PASS or FAIL for "measured is at least limit"."""
    word = "PASS" if measured >= limit else "FAIL"
    print(f"{word}  {text}: {_shown(measured)}{unit} (at least {_shown(limit)}{unit})", flush=True)


def answer(**figures: float) -> None:
    """Hand figures from a fresh process back to `fresh`, also where stdout is redirected."""
    sys.__stdout__.write(json.dumps(figures) + "\n")  # type: ignore[union-attr]


def _shown(cell: object) -> str:
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:.3g}" if abs(cell) < 1000 else f"{cell:,.0f}"
