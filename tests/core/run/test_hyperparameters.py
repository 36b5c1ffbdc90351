"""Any config in, readable JSON data out, whatever it holds and whatever it does when looked at."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import fractions
import json
import math
import subprocess
import sys
import uuid
from collections import OrderedDict, deque, namedtuple
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankzero import errors
from rankzero.run.config.hyperparameters import flatten, plain


class Color(enum.Enum):
    """An enum of numbers."""

    RED = 1


class Schedule(enum.StrEnum):
    """An enum of texts."""

    COSINE = "cosine"


class Hostile:
    """Raises in everything a curious reader might call."""

    def __init__(self) -> None:
        self.lr = 0.1

    @property
    def shape(self) -> Any:
        """Raise."""
        raise OSError("no shape")

    def __repr__(self) -> str:
        raise KeyError("no repr")

    __str__ = __repr__

    def __getattr__(self, name: str) -> Any:
        raise SystemError(name)


class Masked:
    """Lies about its class by raising."""

    @property
    def __class__(self) -> Any:
        raise LookupError("who asks?")

    @__class__.setter
    def __class__(self, value: Any) -> None:
        raise LookupError


def _is_json(value: Any) -> bool:
    """Whether the journal's encoder and a strict JSON reader keep `value` exactly."""
    return bool(json.loads(msgspec.json.encode(value), parse_constant=pytest.fail) == value)


def _schedule() -> None:
    """Stand for a callable in a config."""


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(exclude_categories=())),
    st.binary(),
    st.complex_numbers(),
    st.decimals(),
    st.fractions(),
    st.dates(),
    st.datetimes(),
    st.timedeltas(),
    st.uuids(),
    st.sampled_from([Color.RED, Schedule.COSINE, int, len, math, _schedule, range(3), object(), ...]),
)
keys = st.one_of(
    st.text(st.characters(exclude_categories=())), st.integers(), st.floats(), st.none(), st.booleans(), st.dates()
)
anything = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(keys, inner, max_size=4),
        st.tuples(inner, inner),
        st.builds(deque, st.lists(inner, max_size=3)),
        st.frozensets(st.one_of(st.integers(), st.text(), st.floats()), max_size=4),
    ),
    max_leaves=20,
)


@settings(max_examples=200)
@given(anything)
def test_anything_becomes_json(value: Any) -> None:
    """Whatever goes in, a dict that the journal and any JSON reader keep exactly comes out, with no exception."""
    assert _is_json(plain(value))
    assert _is_json(plain({"nested": [value, Hostile(), Masked()]}))


@settings(max_examples=100)
@given(
    st.recursive(
        st.integers(-(2**63) + 1, 2**63 - 1) | st.text("abcé", max_size=9),
        lambda inner: st.dictionaries(st.text("abc"), inner),
    )
)
def test_plain_data_is_untouched(value: Any) -> None:
    """Nested dicts of plain values come out as they went in."""
    assert plain({"value": value}) == {"value": value}


def test_everyday_values_are_kept_readable() -> None:
    """Enums, paths, dates, sets, bytes, callables and odd numbers each have their one spelling."""
    Betas = namedtuple("Betas", ["first", "second"])  # noqa: PYI024 - an untyped one, as people write them
    given_config = {
        "color": Color.RED,
        "schedule": Schedule.COSINE,
        "path": PurePosixPath("/data/x"),
        "day": dt.date(2026, 1, 2),
        "time": dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
        "id": uuid.UUID(int=5),
        "set": {3, 1, 2},
        "words": frozenset({"b", "a"}),
        "betas": Betas(0.9, 0.999),
        "bytes": b"\x00hi",
        "function": _schedule,
        "builtin": math.sqrt,
        "class": fractions.Fraction,
        "module": math,
        "nan": math.nan,
        "inf": -math.inf,
        "big": 2**80,
        "bigger": 10**6000,
        "third": fractions.Fraction(1, 4),
        "complex": 1 + 2j,
        "range": range(3),
        "ordered": OrderedDict(a=1),
        "lone surrogate": "\ud800",
    }
    assert plain(given_config) == {
        "color": "RED",
        "schedule": "cosine",
        "path": "/data/x",
        "day": "2026-01-02",
        "time": "2026-01-02 03:04:05+00:00",
        "id": "00000000-0000-0000-0000-000000000005",
        "set": [1, 2, 3],
        "words": ["a", "b"],
        "betas": {"first": 0.9, "second": 0.999},
        "bytes": "<bytes: b'\\x00hi'>",
        "function": f"<function {__name__}._schedule>",
        "builtin": "<function math.sqrt>",
        "class": "<class fractions.Fraction>",
        "module": "<module math>",
        "nan": "NaN",
        "inf": "-Infinity",
        "big": str(2**80),
        "bigger": f"<int of {(10**6000).bit_length()} bits>",
        "third": 0.25,
        "complex": "(1+2j)",
        "range": "range(0, 3)",
        "ordered": {"a": 1},
        "lone surrogate": "\\ud800",
    }


def test_keys_of_any_type_stay_apart() -> None:
    """Keys become texts; where two would be one, the later names its type."""
    assert plain({1: "int", "1": "text", None: 0, (1, 2): 0, Color.RED: 0}) == {
        "1": "int",
        "1 <str>": "text",
        "None": 0,
        "(1, 2)": 0,
        "RED": 0,
    }
    long = "k" * 5000
    assert len(plain({long + "a": 1, long + "b": 2})) == 2


def test_hostile_objects_are_marked() -> None:
    """Objects that raise when read, printed or even asked for their class are marked, and their neighbours kept."""
    converted = plain({"before": 1, "bad": [Masked()], "after": 2})
    assert (converted["before"], converted["after"]) == (1, 2)
    assert converted["bad"][0].startswith("<unreadable: ")
    assert plain({"bad": Hostile()})["bad"].startswith("<unreadable: ")
    assert plain(Hostile())  # its __getattr__ raises SystemError
    assert plain(Masked())["config"].startswith("<unreadable: ")


def test_cycles_and_depth_end() -> None:
    """What holds itself, or is nested beyond all reason, ends in a mark."""
    cyclic: dict[str, Any] = {"a": 1}
    cyclic["self"] = [cyclic]
    assert plain(cyclic) == {"a": 1, "self": ["<cycle: dict>"]}
    shared = {"x": 1}
    assert plain({"one": shared, "two": shared}) == {"one": {"x": 1}, "two": {"x": 1}}
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"down": deep}
    assert "<too deep: dict>" in json.dumps(plain(deep))
    assert plain(vars(sys)) is not None


def test_size_is_bounded() -> None:
    """Megabyte texts, a hundred thousand keys and exploding references are kept in part, and say so."""
    text = plain({"text": "x" * 1_000_000})["text"]
    assert text.startswith("xxx")
    assert text.endswith("<truncated: 1000000 characters>")
    assert len(text) < 11_000
    many = plain({f"key{number}": number for number in range(100_000)})
    assert many["key9999"] == 9999
    assert many["<truncated>"] == "<90000 more>"
    assert plain({"list": list(range(100_000))})["list"][-1] == "<truncated: 90000 more>"
    bomb: list[Any] = ["x" * 100]
    for _ in range(30):
        bomb = [bomb] * 10
    assert len(json.dumps(plain({"bomb": bomb}))) < 20_000_000


def test_dataclasses_and_plain_objects() -> None:
    """Dataclasses by their fields, classes and other objects by their public data."""

    @dataclasses.dataclass
    class Optim:
        lr: float = 0.1
        betas: tuple[float, float] = (0.9, 0.99)

    @dataclasses.dataclass
    class Train:
        optim: Optim = dataclasses.field(default_factory=Optim)

    class Settings:
        epochs = 3
        _private = 1

        def method(self) -> None:
            """Be no setting."""

    class Slotted:
        __slots__ = ("missing", "width")
        width: int

    instance = Settings()
    instance.depth = 2  # type: ignore[attr-defined]
    slotted = Slotted()
    slotted.width = 8
    assert plain(Train()) == {"optim": {"lr": 0.1, "betas": [0.9, 0.99]}}
    assert plain(instance) == {"epochs": 3, "depth": 2}
    assert plain({"nested": instance}) == {"nested": {"epochs": 3, "depth": 2}}
    assert plain(Settings) == {"epochs": 3}
    assert plain(slotted) == {"missing": "<unreadable: AttributeError>", "width": 8}


def test_what_is_no_config_stands_under_one_key() -> None:
    """None is empty; a list, a number or a text is kept under "config"."""
    assert plain(None) == {}
    assert plain([1, 2]) == {"config": [1, 2]}
    assert plain("just text") == {"config": "just text"}


def test_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A path to YAML or JSON is the config in it; a file that cannot be read is named in one sentence."""
    (tmp_path / "a.yaml").write_text("optim:\n  lr: 0.1\n  day: 2026-01-02\n")
    (tmp_path / "a.json").write_text('{"lr": NaN, "list": [1]}')
    (tmp_path / "list.yml").write_text("- 1\n- 2\n")
    (tmp_path / "bad.yaml").write_text("a: [1,\nb: }")
    assert plain(str(tmp_path / "a.yaml")) == {"optim": {"lr": 0.1, "day": "2026-01-02"}}
    assert plain(tmp_path / "a.json") == {"lr": "NaN", "list": [1]}
    assert plain(tmp_path / "list.yml") == {"config_file": str(tmp_path / "list.yml"), "config": [1, 2]}
    assert capsys.readouterr().err == ""
    assert plain(tmp_path / "bad.yaml")["config"].startswith("<unreadable: ")
    assert plain(str(tmp_path / "missing.yaml")) == {"config": str(tmp_path / "missing.yaml")}
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert "bad.yaml" in told[0]
    assert "Give an existing file or a dict" in told[1]
    monkeypatch.setitem(sys.modules, "yaml", None)
    errors._warned.discard(f"config {tmp_path / 'a.yaml'}")
    assert plain(tmp_path / "a.yaml")["config_file"] == str(tmp_path / "a.yaml")
    assert "pip install pyyaml" in capsys.readouterr().err


def test_no_library_is_imported_for_it() -> None:
    """Converting a config loads neither numpy nor any config library."""
    code = (
        "import sys, dataclasses\n"
        "from rankzero.run.config.hyperparameters import plain\n"
        "plain({'a': [1, {2}, object()], 'b': print})\n"
        "print(sorted({'numpy', 'torch', 'yaml', 'pydantic', 'attr', 'omegaconf', 'absl', 'argparse'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_flatten() -> None:
    """Nested dicts get dotted names; lists and empty dicts are values; nothing is lost to a clash or a cycle."""
    assert flatten({"a": {"b": 1, "c": {}}, "d": [1, {"e": 2}]}) == {"a.b": 1, "a.c": {}, "d": [1, {"e": 2}]}
    assert flatten({"a": {"b": 1}}, sep="/") == {"a/b": 1}
    assert flatten({"a.b": 1, "a": {"b": 2}}) == {"a.b": 1, "a.b <2>": 2}
    cyclic: dict[str, Any] = {"x": 1}
    cyclic["self"] = cyclic
    assert flatten(cyclic) == {"x": 1, "self": "<cycle>"}
