"""What is printed is kept, and printing is what it was."""

from __future__ import annotations

import contextlib
import io
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from rankzero.run.facts import console as module
from rankzero.run.facts.console import Console

tqdm = pytest.importorskip("tqdm").tqdm

Streams = Callable[[], tuple[io.TextIOWrapper, io.TextIOWrapper]]


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> Streams:
    """Put fresh real text streams in place of pytest's; called in the test, as pytest sets its own before each."""

    def fresh() -> tuple[io.TextIOWrapper, io.TextIOWrapper]:
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        return out, err

    return fresh


def _shown(stream: io.TextIOWrapper) -> str:
    buffer: Any = stream.buffer
    return str(buffer.getvalue().decode())


def test_print_and_logging_are_kept_and_still_shown(streams: Streams) -> None:
    """Everything printed reaches the terminal as before and, line by line, what is drained."""
    out, err = streams()
    console = Console()
    console.start()
    print("hello", 1)
    handler = logging.StreamHandler(sys.stderr)
    handler.emit(logging.LogRecord("x", logging.INFO, "", 0, "logged", (), None))
    sys.stdout.writelines(["a\n", "b\n"])
    assert console.drain() == "hello 1\na\nb\nlogged\n"
    assert console.drain() == ""
    assert _shown(out) == "hello 1\na\nb\n"
    assert _shown(err) == "logged\n"
    console.stop()


def test_streams_stay_the_same_objects_and_are_restored(streams: Streams) -> None:
    """The streams' identity, methods and attributes are those of before, and after stop() exactly so."""
    out, _ = streams()
    before = dict(vars(out))
    console = Console()
    console.start()
    console.start()
    assert sys.stdout is out
    assert sys.stdout.isatty() is False
    assert sys.stdout.write("12345\n") == 6
    console.stop()
    assert vars(out) == before
    print("after")
    assert console.drain() == "12345\n"


def test_a_write_of_somebody_else_survives(streams: Streams) -> None:
    """Another tool's write on the same stream is called through, put back, and never removed if it came later."""
    out, _ = streams()
    seen: list[str] = []
    original = out.write

    def theirs(text: str) -> int:
        seen.append(text)
        return original(text)

    out.write = theirs  # type: ignore[method-assign]
    console = Console()
    console.start()
    print("one", end="\n")
    console.stop()
    assert out.write is theirs
    console.start()
    ours = out.write

    def later(text: str) -> int:
        return ours(text)

    out.write = later  # type: ignore[method-assign]
    console.stop()
    assert out.write is later
    print("two", end="\n")
    assert "".join(seen) == "one\ntwo\n"
    assert console.drain() == "one\n"


def test_progress_bars_collapse(streams: Streams) -> None:
    """Of a line rewritten by carriage returns the last state is kept, however it was cut into drains."""
    streams()
    console = Console()
    console.start()
    sys.stderr.write("\r 10%")
    assert console.drain() == ""
    sys.stderr.write("\r 50%")
    print("printed meanwhile")
    assert console.drain() == "printed meanwhile\n"
    sys.stderr.write("\r100%\n")
    assert console.drain() == "100%\n"
    sys.stderr.write("gone\r      \rkept\r\n")
    assert console.drain() == "kept\n"
    for _ in tqdm(range(500), desc="outer", mininterval=0, file=sys.stderr):
        pass
    lines = console.drain().splitlines()
    assert len(lines) == 1
    assert "500/500" in lines[0]
    console.stop()


def test_nested_bars_leave_few_lines(streams: Streams) -> None:
    """Inner bars that are overwritten on the terminal do not pile up."""
    streams()
    console = Console()
    console.start()
    for _ in tqdm(range(5), desc="outer", mininterval=0, file=sys.stderr):
        for _ in tqdm(range(50), desc="inner", mininterval=0, leave=False, file=sys.stderr):
            pass
    console.stop()
    kept = console.drain()
    assert "5/5" in kept.splitlines()[-1]
    assert len(kept) < 2000


def test_unfinished_lines_come_at_the_end(streams: Streams) -> None:
    """A line without its end waits for it, and comes out after stop() or when it grows too long."""
    streams()
    console = Console()
    console.start()
    print("no end", end="")
    assert console.drain() == ""
    console.stop()
    assert console.drain() == "no end\n"
    console.start()
    print("x" * (module.LONGEST_LINE + 1), end="")
    assert len(console.drain()) == module.LONGEST_LINE + 2
    console.stop()


def test_memory_is_bounded(streams: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed faster than it is drained is cut, and said to be."""
    monkeypatch.setattr(module, "MOST_PENDING", 100)
    streams()
    console = Console()
    console.start()
    for _ in range(50):
        print("123456789")
    kept = console.drain()
    assert kept.startswith("123456789\n" * 10)
    assert "400 characters" in kept
    monkeypatch.setattr(module, "MOST_CHUNKS", 4)
    for _ in range(50):
        sys.stdout.write("\n")
    assert console.drain().startswith("\n" * 4 + "<rankzero: 46 characters")
    print("again")
    assert console.drain() == "again\n"
    console.stop()


def test_a_forked_child_is_not_kept() -> None:
    """What a forked child prints goes to its stream alone, not into what the child inherited to drain."""
    code = (
        "import os, sys\n"
        "from rankzero.run.facts.console import Console\n"
        "console = Console(); console.start()\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    print('child', flush=True)\n"
        "    os._exit(len(console.drain()))\n"
        "print('parent', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)\n"
        "console.stop(); print(repr(console.drain()))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "child\nparent 0\n'parent 0\\n'\n"


def test_threads_and_re_entrance(streams: Streams) -> None:
    """Lines of several threads are all kept, also when a stream prints while it prints."""
    streams()
    console = Console()
    console.start()
    threads = [
        threading.Thread(target=lambda: [sys.stdout.write("0123456789\n") for _ in range(500)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    drained = ""
    while any(thread.is_alive() for thread in threads):
        drained += console.drain()
    console.stop()
    drained += console.drain()
    assert drained == "0123456789\n" * 2000


def test_streams_that_cannot_be_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """No stream at all, one stream for both, or one without room for attributes do no harm."""

    class Closed:
        __slots__ = ()

        def write(self, text: str) -> int:
            return len(text)

        def flush(self) -> None:
            """Do nothing."""

    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", Closed())
    console = Console()
    console.start()
    sys.stderr.write("x\n")
    console.stop()
    assert console.drain() == ""
    both = io.StringIO()
    with contextlib.redirect_stdout(both), contextlib.redirect_stderr(both):
        console.start()
        print("once")
        console.stop()
    assert console.drain() == "once\n"
    assert both.getvalue() == "once\n"


def test_errors_of_the_stream_are_the_users(streams: Streams) -> None:
    """A broken pipe or a wrong type raises what it always raised and keeps nothing."""
    streams()
    console = Console()
    console.start()
    with pytest.raises(TypeError):
        sys.stdout.write(1)  # type: ignore[arg-type]
    console.stop()
    assert console.drain() == ""
