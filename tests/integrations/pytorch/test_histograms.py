"""Histograms of sampled and of all values."""

from __future__ import annotations

import math

import pytest
import torch

from rankzero_pytorch import histograms
from rankzero_pytorch.histograms import BINS, SAMPLE, Sampler


@pytest.mark.parametrize("shape", [(7,), (64, 3), (4096,)])
def test_a_small_tensor_is_taken_whole(shape: tuple[int, ...]) -> None:
    """Up to 4,096 elements the sample is the tensor, and its histogram the tensor's."""
    tensor = torch.randn(shape)
    (matrix,) = Sampler().take([tensor])
    row = histograms.count(matrix.rows)[0]
    assert row[3:].tolist() == torch.histc(tensor, BINS).tolist()
    assert row[:3].tolist() == [tensor.min(), tensor.max(), 0]


def test_a_large_tensor_is_sampled_evenly() -> None:
    """Of more, 4,096 elements are taken from all over the tensor, the same ones each time."""
    sampler, tensor = Sampler(), torch.arange(1_000_000.0)
    (matrix,) = sampler.take([tensor])
    assert matrix.rows.shape == (1, SAMPLE)
    gaps = matrix.rows[0].diff()
    assert gaps.min() >= 244
    assert gaps.max() <= 245
    assert matrix.rows[0, -1] > 999_000
    assert torch.equal(sampler.take([tensor])[0].rows, matrix.rows)


def test_samples_of_one_size_share_a_matrix() -> None:
    """A few matrices stand for any number of tensors, and each row knows whose it is."""
    tensors = [torch.full((5000,), 0.0), torch.full((9,), 1.0), torch.full((300, 300), 2.0), torch.full((9,), 3.0)]
    matrices = Sampler().take(tensors)
    assert sorted((m.positions, m.rows[:, 0].tolist()) for m in matrices) == [
        ([0, 2], [0.0, 2.0]),
        ([1, 3], [1.0, 3.0]),
    ]


def test_memory_order_needs_no_copy() -> None:
    """Channels-last and transposed tensors are sampled as they lie."""
    whole = torch.randn(8, 4, 5, 5)
    for tensor in (whole.to(memory_format=torch.channels_last), whole.transpose(0, 1), whole[:, ::2]):
        (matrix,) = Sampler().take([tensor])
        assert sorted(matrix.rows[0].tolist()) == sorted(tensor.flatten().tolist())


@pytest.mark.parametrize("bad", [[math.nan], [math.inf, -math.inf, math.nan]])
def test_values_that_are_not_finite_are_counted_apart(bad: list[float]) -> None:
    """They are in no bin and do not stretch the range; how many there are is kept."""
    good = torch.linspace(-1, 1, 50)
    tensor = torch.cat([good, torch.tensor(bad)])
    for row in (histograms.count(tensor[None])[0], histograms.count_all(tensor)):
        assert row[3:].tolist() == torch.histc(good, BINS).tolist()
        assert row[:3].tolist() == [-1.0, 1.0, len(bad)]
        assert histograms.decode(row.tolist(), sampled=False).encode().nonfinite == len(bad)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_all_values_are_counted_on_request(dtype: torch.dtype) -> None:
    """An exact histogram holds every element, whatever the tensor's size."""
    tensor = torch.randn(3_000_000, generator=torch.Generator().manual_seed(0)).to(dtype)
    row = histograms.count_all(tensor)
    assert row[3:].sum() == tensor.numel()
    reference = torch.histc(tensor.double(), BINS)
    assert (row[3:] - reference).abs().max() <= 2


@pytest.mark.parametrize("value", [0.0, 3.5, -1e30])
def test_a_constant_has_one_bin(value: float) -> None:
    """All values alike make one bin around them."""
    row = histograms.count(torch.full((1, 10), value))[0].tolist()
    encoded = histograms.decode(row, sampled=False).encode()
    assert encoded.counts == [10.0]


def test_nothing_finite_makes_an_empty_histogram() -> None:
    """A tensor of NaN has no range; its histogram is empty and says how many there were."""
    encoded = histograms.decode(histograms.count(torch.full((1, 4), math.nan))[0].tolist(), sampled=True).encode()
    assert sum(encoded.counts) == 0
    assert encoded.nonfinite == 4
