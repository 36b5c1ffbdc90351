"""Numbers of every library are numbers, everything else is not; what is logged is one of few things."""

from __future__ import annotations

import decimal
import enum
import fractions
import math
import subprocess
import sys
from typing import Any

import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rankzero.run.values.arrays import Unsupported
from rankzero.run.values.classify import classify
from rankzero.run.values.histogram import Histogram
from rankzero.run.values.media import File, Image, Text
from rankzero.run.values.scalars import scalar


class Level(enum.IntEnum):
    """A number with a name."""

    HIGH = 3


class Odd(float):
    """A float that lies about itself."""

    def __float__(self) -> float:
        return -1.0


class Convertible:
    """Knows its own value."""

    def __float__(self) -> float:
        return 2.5


NUMBERS: list[tuple[Any, Any]] = [
    (1, 1),
    (1.5, 1.5),
    (True, True),
    (2**100, 2**100),
    (Level.HIGH, 3),
    (Odd(4.0), 4.0),
    (Convertible(), 2.5),
    (decimal.Decimal("0.25"), 0.25),
    (fractions.Fraction(1, 4), 0.25),
    (np.float16(0.5), 0.5),
    (np.float64(0.5), 0.5),
    (np.longdouble(0.5), 0.5),
    (np.int8(-3), -3),
    (np.uint64(2**63), 2**63),
    (np.bool_(True), True),
    (np.array(3), 3),
    (np.array([[2.5]]), 2.5),
    (ml_dtypes.bfloat16(0.5), 0.5),
    (torch.tensor(0.5, requires_grad=True), 0.5),
    (torch.tensor([7]), 7),
    (torch.tensor(True), True),
    (torch.tensor(0.5, dtype=torch.bfloat16), 0.5),
    (jnp.float32(0.5), 0.5),
    (jnp.asarray([3], dtype=jnp.int32), 3),
    (jnp.bfloat16(0.5), 0.5),
]

NOT_NUMBERS: list[Any] = [
    None,
    "1",
    b"1",
    1j,
    np.complex64(1),
    np.zeros(2),
    np.zeros(0),
    np.array("x"),
    np.array([None]),
    np.datetime64("2026-01-01"),
    torch.zeros(2),
    torch.tensor(1j),
    torch.zeros((), device="meta"),
    jnp.zeros(2),
    decimal.Decimal("sNaN"),
    [1],
    {},
    object(),
    int,
]


@pytest.mark.parametrize(
    ("value", "number"), NUMBERS, ids=[type(value).__name__ + str(i) for i, (value, _) in enumerate(NUMBERS)]
)
def test_numbers(value: Any, number: Any) -> None:
    """A number of any library is the plain number, of a plain type."""
    found = scalar(value)
    assert found == number
    assert type(found) is type(number)


@pytest.mark.parametrize(
    "value", NOT_NUMBERS, ids=[type(value).__name__ + str(i) for i, value in enumerate(NOT_NUMBERS)]
)
def test_not_numbers(value: Any) -> None:
    """Texts, complex numbers, times, arrays of several elements and everything else are no numbers, and no error."""
    assert scalar(value) is None


@given(st.floats())
def test_floats_survive(value: float) -> None:
    """Every float, NaN and infinities among them, is the same through numpy and torch."""
    for wrapped in (np.float64(value), np.array(value), torch.tensor(value, dtype=torch.float64)):
        found = scalar(wrapped)
        assert found == value or (math.isnan(value) and isinstance(found, float) and math.isnan(found))


class TensorFlowLike:
    """A FAKE tensorflow tensor: no item(), a numpy() instead."""

    shape = (1, 1)
    dtype = "float32"

    def numpy(self) -> Any:
        """The value."""
        return np.array([[0.5]], np.float32)


def test_tensorflow() -> None:
    """A tensor that is read by numpy() is a number too."""
    assert scalar(TensorFlowLike()) == 0.5


def test_classify_numbers_and_texts() -> None:
    """Plain things stay plain."""
    assert classify(np.float32(0.5)) == 0.5
    assert classify([np.float32(0.5)]) == 0.5
    assert classify("text") == "text"
    assert classify(Text(3)) == "3"
    assert classify(np.str_("text")) == "text"


@pytest.mark.parametrize(
    "value",
    [[1, 2.5], (1, torch.tensor(2.5)), np.array([1, 2.5]), torch.tensor([[1, 2.5]]), jnp.array([1, 2.5]), [True, 2.5]],
)
def test_classify_several_numbers(value: Any) -> None:
    """Several numbers are a histogram."""
    histogram = classify(value)
    assert isinstance(histogram, Histogram)
    counted = histogram.encode()
    assert sum(counted.counts) == 2
    assert (counted.edges[0], counted.edges[-1]) == (1.0, 2.5)


def test_classify_media_and_dicts() -> None:
    """Media stay what they are, alone or in a list; dicts get dotted names."""
    from PIL import Image as Pil

    image, file = Image(np.zeros((2, 2))), File(__file__)
    assert classify(image) is image
    assert classify([image, file]) == [image, file]
    pictures = classify([Pil.new("L", (1, 1))])
    assert isinstance(pictures, list)
    assert isinstance(pictures[0], Image)
    assert isinstance(classify(Pil.new("L", (1, 1))), Image)
    assert classify({"a": {"b": 1}, "c": "x"}) == {"a.b": 1, "c": "x"}


@pytest.mark.parametrize(
    "value",
    [
        None,
        np.complex64(1),
        torch.zeros((), device="meta"),
        object(),
        set(),
        [],
        {},
        ["a"],
        [1, "a"],
        1j,
        b"x",
        lambda: 1,
    ],
)
def test_classify_what_cannot_be_recorded(value: Any) -> None:
    """Everything else is refused in a sentence, without an exception."""
    refused = classify(value)
    assert isinstance(refused, Unsupported)
    assert len(refused.reason.split()) > 5


def test_no_library_is_imported() -> None:
    """Looking for numbers loads nothing."""
    code = (
        "import sys, fractions\n"
        "from rankzero.run.values.scalars import scalar\n"
        "scalar(fractions.Fraction(1, 2)); scalar('x'); scalar(object())\n"
        "print(sorted({'numpy', 'torch', 'jax'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
