"""Norms and counts of many tensors at once."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from rankzero_pytorch import norms
from rankzero_pytorch.norms import Kinds


def _norms(tensors: list[Tensor]) -> list[float]:
    kinds = Kinds(tensors)
    return kinds.sorted([value for vector in kinds.each(norms.norms) for value in vector.tolist()])


def test_norms_keep_the_order_of_mixed_dtypes() -> None:
    """Tensors of several dtypes are measured together and come back in the order in which they were given."""
    tensors = [torch.full((4,), 2.0), torch.full((9,), 1.0, dtype=torch.float64), torch.full((16,), 0.5)]
    assert _norms(tensors) == [4.0, 3.0, 2.0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_summed_in_single(dtype: torch.dtype) -> None:
    """A norm beyond what the tensor's own dtype can hold or resolve is right."""
    tensor = torch.full((100_000,), 300.0, dtype=dtype)
    assert _norms([tensor])[0] == pytest.approx(300 * math.sqrt(100_000), rel=1e-3)


def test_a_large_tensor_does_not_drift() -> None:
    """Twenty million elements: float32 sums drift by more than 1e-3 when they are added in one go."""
    tensor = torch.randn(20_000_000, generator=torch.Generator().manual_seed(0)).view(20_000, 1_000)
    assert _norms([tensor, tensor[0]])[0] == pytest.approx(tensor.double().norm().item(), rel=1e-4)


def test_overflow_is_told_from_infinity() -> None:
    """Large finite numbers whose squares overflow are finite: counted as such, and measured in double precision."""
    tensor = torch.full((10,), 1e25)
    assert _norms([tensor]) == [math.inf]
    assert norms.count_nonfinite([tensor]).tolist() == [0]
    assert norms.norms_in_double([tensor]).tolist() == pytest.approx([math.sqrt(10) * 1e25])


def test_nonfinite_elements_are_counted() -> None:
    """NaN and both infinities count, each element once."""
    tensor = torch.tensor([1.0, math.nan, math.inf, -math.inf, 0.0])
    assert norms.count_nonfinite([tensor, torch.ones(3)]).tolist() == [3, 0]
    assert norms.finite([torch.tensor([1.0, math.nan])]) is False
    assert norms.finite([torch.ones(2)]) is True


def test_nobody_asks_a_device_whether_its_numbers_are_finite() -> None:
    """On anything but a CPU the question is not asked, since the answer would make the host wait."""
    assert norms.finite([torch.ones(2, device="meta")]) is None


def test_largest_is_the_largest_magnitude() -> None:
    """Sign does not matter; NaN stays visible."""
    found = norms.largest([torch.tensor([1.0, -3.0]), torch.tensor([2.0, 1.0]), torch.tensor([1.0, math.nan])])
    assert found[:2].tolist() == [3.0, 2.0]
    assert math.isnan(found[2])
