"""Names of parameters, and this rank's part of them."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from rankzero_pytorch.parameters import Layout, flat, layout, local, named_parameters, unwrapped

ALONE = Layout()


class Tied(nn.Module):
    """An embedding whose weight is the output layer's too."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.output = nn.Linear(3, 5, bias=False)
        self.output.weight = self.embedding.weight


def test_a_tied_weight_is_named_once() -> None:
    """Counting it twice would make every norm of the model too large."""
    assert [parameter.name for parameter in named_parameters(Tied())] == ["embedding.weight"]


def test_wrappers_leave_no_trace_in_names() -> None:
    """The names are those of the user's model, compiled or wrapped for several devices or not."""
    model = nn.Sequential(nn.Linear(2, 2))
    plain = [parameter.name for parameter in named_parameters(model)]
    compiled = cast("nn.Module", torch.compile(model, backend="eager"))
    assert [p.name for p in named_parameters(compiled)] == plain
    assert [p.name for p in named_parameters(nn.DataParallel(model))] == plain
    inside = nn.Sequential(compiled)
    assert [p.name for p in named_parameters(inside)] == [f"0.{name}" for name in plain]
    assert unwrapped(compiled) is model


def test_tensors_without_numbers_have_no_part() -> None:
    """Meta tensors, empty ones and integers are left out instead of breaking a norm."""
    for tensor in (torch.ones(3, device="meta"), torch.empty(0, 4), torch.ones(3, dtype=torch.int64)):
        assert local(tensor, ALONE) is None


def test_sparse_gradients_are_added_up_first() -> None:
    """Two gradients of one row are one gradient, whose square is not the sum of theirs."""
    indices = torch.tensor([[1, 1, 3]])
    sparse = torch.sparse_coo_tensor(
        indices, torch.tensor([[3.0, 0.0], [0.0, 4.0], [1.0, 1.0]]), (5, 2), check_invariants=True
    )
    found = local(sparse, ALONE)
    assert found is not None
    assert found.tensor.tolist() == [[3.0, 4.0], [1.0, 1.0]]
    assert not sparse.is_coalesced()


def test_complex_numbers_become_pairs() -> None:
    """Their norm is that of real and imaginary parts together, conjugated or not."""
    tensor = torch.tensor([3 + 4j]).conj()
    found = local(tensor, ALONE)
    assert found is not None
    assert found.tensor.norm().item() == 5.0


def test_a_flat_view_copies_only_where_there_are_gaps() -> None:
    """Any dense layout is looked at in place."""
    whole = torch.randn(4, 6, 3)
    for tensor in (whole, whole.permute(2, 0, 1), whole.transpose(0, 1)):
        assert flat(tensor).data_ptr() == whole.data_ptr()
        assert sorted(flat(tensor).tolist()) == sorted(whole.flatten().tolist())
    gaps = whole[:, ::2]
    assert sorted(flat(gaps).tolist()) == sorted(gaps.flatten().tolist())


def test_a_model_of_plain_tensors_is_not_spread() -> None:
    """Every rank holds all of it: rank zero can speak alone."""
    model = nn.Linear(2, 2)
    assert layout(model, list(model.parameters())) == Layout(spread=False, copies=1, around=1)
