"""Run every benchmark, then list all promises in one place.

python -m benchmarks.all
"""

from __future__ import annotations

import subprocess
import sys

from benchmarks import harness

BENCHMARKS = [
    "bench_import", "bench_log", "bench_watch", "bench_capture", "bench_keras", "bench_keras_loops", "bench_lightning", "bench_hf",
    "bench_jax_capture", "bench_jax_loggers",
]  # fmt: skip


def main() -> None:
    promises: list[str] = []
    for name in BENCHMARKS:
        command = [sys.executable, "-u", "-m", f"benchmarks.{name}"]
        process = subprocess.Popen(command, cwd=harness.ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            if line.startswith(("PASS", "FAIL")):
                promises.append(f"{line[:4]}  {name[6:]:8}{line[4:].rstrip()}")
        if process.wait() != 0:
            promises.append(f"FAIL  {name[6:]:8}  stopped with exit code {process.returncode}")
    print("\nAll promises\n" + "\n".join(promises))


if __name__ == "__main__":
    main()
