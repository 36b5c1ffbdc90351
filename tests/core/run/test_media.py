"""Images pixel by pixel, histograms as numpy counts them, files and texts as they are."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pil

from rankzero.errors import UsageError
from rankzero.run.values import media
from rankzero.run.values.histogram import Histogram, count
from rankzero.run.values.media import File, Image, Text
from rankzero.run.values.png import encode_png, png_size

GENERATOR = np.random.default_rng(0)


def decoded(image: Image) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The pixels that PIL reads from what was encoded."""
    encoded = image.encode()
    assert encoded.extension == ".png"
    with Pil.open(io.BytesIO(encoded.data)) as opened:
        opened.verify()
    with Pil.open(io.BytesIO(encoded.data)) as opened:
        return np.asarray(opened)


def uint8(*shape: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Random pixels."""
    return GENERATOR.integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png(channels: int) -> None:
    """Every number of channels and any width is read back by PIL pixel by pixel."""
    for height, width in [(1, 1), (3, 7), (64, 33)]:
        pixels = uint8(height, width, channels)
        content = encode_png(width, height, channels, pixels.tobytes())
        assert png_size(content) == (width, height)
        with Pil.open(io.BytesIO(content)) as opened:
            assert opened.mode == {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
            assert (np.asarray(opened).reshape(height, width, channels) == pixels).all()
    assert png_size(b"no png") is None


def test_arrays_any_way_round() -> None:
    """Rows and columns, channels first or last, of numpy, torch and jax, give the same picture."""
    pixels = uint8(5, 6, 3)
    assert (decoded(Image(pixels)) == pixels).all()
    assert (decoded(Image(pixels.transpose(2, 0, 1))) == pixels).all()
    assert (decoded(Image(pixels[None])) == pixels).all()
    assert (decoded(Image(pixels[:, :, 0])) == pixels[:, :, 0]).all()
    assert (decoded(Image(torch.from_numpy(pixels).permute(2, 0, 1))) == pixels).all()
    assert (decoded(Image(jnp.asarray(pixels))) == pixels).all()
    assert (decoded(Image(np.asfortranarray(pixels)[::-1])) == pixels[::-1]).all()
    ambiguous = uint8(3, 9, 3)
    assert (decoded(Image(ambiguous)) == ambiguous).all()
    assert (decoded(Image(torch.from_numpy(ambiguous))) == ambiguous.transpose(1, 2, 0)).all()


def test_values_of_any_type() -> None:
    """Floats are 0 to 1, integers 0 to 255, both clipped; booleans are black and white; NaN is black."""
    floats = np.array([[0.0, 0.5, 1.0], [-1.0, 2.0, np.nan]])
    expected = [[0, 128, 255], [0, 255, 0]]
    assert decoded(Image(floats)).tolist() == expected
    assert decoded(Image(torch.tensor(floats, dtype=torch.bfloat16, requires_grad=True))).tolist() == expected
    assert decoded(Image(jnp.asarray(floats, jnp.bfloat16))).tolist() == expected
    assert decoded(Image(np.array([[-5, 7, 300]]))).tolist() == [[0, 7, 255]]
    assert decoded(Image(np.array([[True, False]]))).tolist() == [[255, 0]]


def test_pil_images() -> None:
    """PIL images of the modes that PNG knows come back exactly, others as RGB."""
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "HSV", "F"):
        given_image = Pil.fromarray(uint8(4, 5, 3)).convert(mode if mode != "LA" else "RGBA").convert(mode)
        expected = given_image if mode in media._SAVED_MODES else given_image.convert("RGB")
        assert (decoded(Image(given_image)) == np.asarray(expected)).all()


def test_matplotlib_figure() -> None:
    """A figure is what savefig draws, and keeps its canvas."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2, 1), dpi=50)
    figure.add_subplot().plot([1, 3, 2])
    canvas = figure.canvas
    pixels = decoded(Image(figure, caption="a curve"))
    assert pixels.shape == (50, 100, 4)
    assert pixels.min() < 100
    assert figure.canvas is canvas


def test_files(tmp_path: Path) -> None:
    """An image file is kept byte by byte, read when it is named; a file that is no image, or is not there, says so."""
    for extension, kind in [
        (".png", "PNG"),
        (".jpg", "JPEG"),
        (".gif", "GIF"),
        (".bmp", "BMP"),
        (".webp", "WEBP"),
        (".tif", "TIFF"),
    ]:
        path = tmp_path / f"image{extension}"
        Pil.fromarray(uint8(4, 5, 3)).save(path, kind)
        content = path.read_bytes()
        image = Image(path, caption="c")
        path.unlink()
        assert image.encode().data == content
        assert image.encode().extension == extension
        assert image.caption == "c"
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(UsageError, match=r"log it with rankzero\.File"):
        Image(tmp_path / "text.png").encode()
    with pytest.raises(UsageError, match="cannot be read"):
        Image(str(tmp_path / "missing.png")).encode()
    file = File(tmp_path / "text.png")
    assert file.encode() == (b"no image", ".png", {"name": "text.png"})
    with pytest.raises(UsageError, match="cannot be read"):
        File(tmp_path / "missing").encode()


def test_large_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A logged file is read into memory, so there is an end to its size; the sentence says what to do."""
    monkeypatch.setattr(media, "LARGEST_FILE", 10)
    (tmp_path / "large").write_bytes(b"x" * 11)
    with pytest.raises(UsageError, match=r"run\.save"):
        File(tmp_path / "large").encode()


@pytest.mark.parametrize(
    "bad",
    [np.zeros((2, 2, 7)), np.zeros(3), np.zeros((0, 3)), np.array([["a"]]), object(), 3, None, np.zeros((2, 3, 4, 3))],
)
def test_what_is_no_picture_says_so_when_encoded(bad: Any) -> None:
    """Making an Image never raises in the training; encoding it does, in a sentence."""
    image = Image(bad)
    with pytest.raises(UsageError, match="image"):
        image.encode()


def test_input_may_change_afterwards() -> None:
    """What becomes of an array after it was given does not matter."""
    for array in (np.full((2, 2), 7), torch.full((2, 2), 7)):
        image, histogram = Image(array), Histogram(array)
        array[:] = 0
        assert decoded(image).tolist() == [[7, 7], [7, 7]]
        assert histogram.encode().edges[0] == 6.5
    values = [1.0, 2.0]
    histogram = Histogram(values)
    values.clear()
    assert sum(histogram.encode().counts) == 2


floats = st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=60)


@settings(max_examples=150)
@given(floats, st.integers(1, 70))
def test_histogram_is_numpys(values: list[float], bins: int) -> None:
    """The bins are those of numpy.histogram, from lists without numpy as from arrays with it."""
    try:
        counts, edges = np.histogram(np.array(values), bins=bins)
    except ValueError:  # numpy refuses where floats are too few for so many bins; ours are fewer or wider then
        for counted in (count(values, bins), count(np.array(values), bins)):
            assert sum(counted.counts) == len(values)
            assert len(counted.counts) <= bins
        return
    if not np.all(np.diff(edges) > 0):
        return
    for counted in (count(values, bins), count(np.array(values), bins)):
        assert counted.counts == counts.tolist()
        assert counted.edges == pytest.approx(edges.tolist(), rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("wrap", [np.array, torch.tensor, list, jnp.array])
def test_nonfinite_values_are_counted_apart(wrap: Any) -> None:
    """NaN and infinities lie in no bin and are not lost."""
    counted = Histogram(wrap([1.0, float("nan"), 2.0, float("inf"), -float("inf")]), num_bins=2, nonfinite=1).encode()
    assert counted == ([1.0, 1.5, 2.0], [1.0, 1.0], 4)


@pytest.mark.parametrize("value", [0.0, 1.0, -3.5, 1e300, -1e-300, 3e-320, 1.7976931348623157e308, 2.0**53])
def test_a_single_value_has_a_bin_around_it(value: float) -> None:
    """All equal values, however large or small, lie in one of rising finite bins."""
    for given_values in ([value] * 3, np.array([value] * 3)):
        counted = count(given_values, 10)
        assert sum(counted.counts) == 3
        assert all(low < high for low, high in zip(counted.edges, counted.edges[1:], strict=False))


def test_neighbours_in_single_precision() -> None:
    """Two neighbouring float32 values are told apart."""
    values = np.array([1e8, 1e8 + 8], np.float32)
    assert [number for number in count(values, 10).counts if number] == [1.0, 1.0]


def test_the_whole_range_of_floats() -> None:
    """Where the range is larger than any float there is one bin for all."""
    for values in ([-1.7e308, 1.7e308], np.array([-1.7e308, 1.7e308])):
        assert count(values, 10).counts == [2.0]


def test_types_of_values() -> None:
    """Integers, booleans, half precision, sparse tensors, nested and empty ones."""
    assert sum(Histogram(np.arange(10, dtype=np.uint8)).encode().counts) == 10
    assert sum(Histogram(torch.tensor([True, False])).encode().counts) == 2
    assert sum(Histogram(torch.ones(3, 4, dtype=torch.bfloat16)).encode().counts) == 12
    assert sum(Histogram(torch.eye(3).to_sparse()).encode().counts) == 9
    assert sum(Histogram(jnp.ones(3, jnp.bfloat16)).encode().counts) == 3
    for nothing in ([], np.zeros(0), [float("nan")], np.full(3, np.nan)):
        with pytest.raises(UsageError, match="at least one finite number"):
            Histogram(nothing).encode()
    for wrong in (["a"], np.array(["a"]), object(), None, [1j], np.array([1j])):
        with pytest.raises(UsageError, match="a histogram needs numbers"):
            Histogram(wrong).encode()


def test_counted_between_two_numbers() -> None:
    """What a device has counted lies in equal bins; values that are all alike in one, and no finite one in none."""
    assert Histogram.between(-1.0, 1.0, [1.0, 2.0, 3.0, 4.0]).encode() == ([-1, -0.5, 0, 0.5, 1], [1, 2, 3, 4], 0)
    assert Histogram.between(2.0, 2.0, [3.0, 0.0]).encode() == ([1.5, 2.5], [3.0], 0)
    for low, high in ((math.inf, -math.inf), (math.nan, math.nan)):
        empty = Histogram.between(low, high, [0.0, 0.0], nonfinite=3, sampled=True)
        assert (sum(empty.encode().counts), empty.encode().nonfinite, empty.sampled) == (0, 3, True)


def test_counted_elsewhere() -> None:
    """Edges and counts are taken as they are, by position, by name, or as numpy.histogram returns them."""
    values = GENERATOR.normal(size=100)
    counts, edges = np.histogram(values)
    expected = (edges.tolist(), counts.tolist(), 2)
    assert Histogram(edges, counts, nonfinite=2).encode() == expected
    assert Histogram(edges=edges.tolist(), counts=counts.tolist(), nonfinite=2).encode() == expected
    assert Histogram(np_histogram=(counts, edges), nonfinite=2).encode() == expected
    assert Histogram(torch.tensor(edges), torch.tensor(counts), nonfinite=2).encode() == expected
    assert Histogram(values, sampled=True).sampled
    with pytest.raises(UsageError, match="rising edges"):
        Histogram([1, 2], [1, 2]).encode()
    with pytest.raises(UsageError, match="rising edges"):
        Histogram([2, 1], [1]).encode()


def test_bins_are_bounded() -> None:
    """Asking for a million bins, or for none, gives a number that can be drawn."""
    assert len(Histogram([1, 2], num_bins=10**6).encode().counts) == 512
    assert len(Histogram([1, 2], num_bins=0).encode().counts) == 1


def test_texts() -> None:
    """A text is its text."""
    assert Text("a").text == "a"
    assert Text(3).text == "3"


def test_without_numpy() -> None:
    """Lists are counted where numpy is not loaded; nothing loads it."""
    code = (
        "import sys\n"
        "from rankzero.run.values.media import Histogram, Image\n"
        "print(Histogram([1, 2, 3], num_bins=2).encode())\n"
        "print('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["Bins(edges=[1.0, 2.0, 3.0], counts=[1.0, 2.0], nonfinite=0)", "False"]
