"""What `run.watch` records, beside a plain computation of the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

import pytest
import torch
from torch import Tensor, nn

import rankzero

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integrations.pytorch.conftest import Recorded

CLOSE = 1e-3


def _model() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))


def _loss(model: nn.Module) -> Tensor:
    out = model(torch.randn(4, 6))
    loss: Tensor = out.float().square().mean()
    return loss


def _norm(tensors: Iterable[Tensor | None]) -> float:
    return math.sqrt(sum(t.detach().double().norm().item() ** 2 for t in tensors if t is not None))


def _grads(model: nn.Module) -> list[Tensor]:
    return [p.grad for p in model.parameters() if p.grad is not None]


def test_gradients_of_every_parameter(run: rankzero.Run, recorded: Callable[[], Recorded]) -> None:
    """Each parameter's norm, all of them together, and that none is NaN: once per optimizer step, from step 0."""
    model = _model()
    run.watch(model, log_freq=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    expected: dict[str, list[float]] = {}
    for _ in range(3):
        _loss(model).backward()
        for name, parameter in model.named_parameters():
            expected.setdefault(name, []).append(_norm([parameter.grad]))
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        run.log({"mine": 1})
    found = recorded()
    for name, values in expected.items():
        assert found.values(f"grad/norm/{name}") == pytest.approx(values, rel=CLOSE)
    squares = [math.sqrt(sum(v * v for v in step)) for step in zip(*expected.values(), strict=True)]
    assert found.values("grad/norm") == pytest.approx(squares, rel=CLOSE)
    assert found.values("grad/nonfinite") == [0, 0, 0]
    assert found.steps("grad/norm") == found.steps("mine") == [0, 1, 2]
    assert not [key for key in found.series if key.startswith(("weight/", "update/", "grad/max/"))]


def test_parameters_and_updates(run: rankzero.Run, recorded: Callable[[], Recorded]) -> None:
    """With "all": parameters after the step, how far it moved them, and the largest gradients."""
    model = _model()
    run.watch(model, log="all", log_freq=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    _loss(model).backward()
    weight = cast("nn.Linear", model[0]).weight
    before, gradient = weight.detach().clone(), weight.grad
    assert gradient is not None
    largest = gradient.abs().max().item()
    optimizer.step()
    found = recorded()
    assert found.values("weight/norm/0.weight") == pytest.approx([_norm([weight])], rel=CLOSE)
    assert found.values("weight/norm") == pytest.approx([_norm(model.parameters())], rel=CLOSE)
    assert found.values("update/ratio/0.weight") == pytest.approx(
        [_norm([weight.detach() - before]) / _norm([before])], rel=CLOSE
    )
    assert found.values("grad/max/0.weight") == pytest.approx([largest])


def test_rows_without_a_step_keep_their_numbers(run: rankzero.Run, recorded: Callable[[], Recorded]) -> None:
    """A loop that logs every fifth step counts its own rows, whatever is sampled in between."""
    model = _model()
    run.watch(model, log_freq=2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for step in range(15):
        _loss(model).backward()
        optimizer.step()
        if step % 5 == 4:
            run.log({"mine": step})
    found = recorded()
    assert found.steps("mine") == [0, 1, 2]
    assert found.steps("grad/norm") == list(range(0, 15, 2))


def test_accumulated_gradients_are_read_once(run: rankzero.Run, recorded: Callable[[], Recorded]) -> None:
    """Three backward passes and one step make one sample, of their sum."""
    model = _model()
    run.watch(model, log_freq=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        (_loss(model) / 3).backward()
    expected = _norm(_grads(model))
    optimizer.step()
    assert recorded().values("grad/norm") == pytest.approx([expected], rel=CLOSE)


def test_clipping_is_seen_before_and_after(run: rankzero.Run, recorded: Callable[[], Recorded]) -> None:
    """The norm the optimizer uses, and the one that `clip_grad_norm_` found; only where it was called for this step."""
    model = _model()
    run.watch(model, log_freq=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    totals = []
    for clipped in (True, False, True):
        _loss(model).backward()
        if clipped:
            totals.append(nn.utils.clip_grad_norm_(model.parameters(), 1e-3).item())
        optimizer.step()
        optimizer.zero_grad()
    found = recorded()
    assert found.values("grad/norm_unclipped") == pytest.approx(totals, rel=CLOSE)
    assert found.steps("grad/norm_unclipped") == [0, 2]
    assert [found.values("grad/norm")[i] for i in (0, 2)] == pytest.approx([1e-3, 1e-3], rel=1e-2)


def test_parts_clipped_apart_are_one_norm(run: rankzero.Run, recorded: Callable[[], Recorded]) -> None:
    """A model whose halves are clipped each by itself has the norm of both before; clipping twice counts once."""
    model = _model()
    run.watch(model, log_freq=1)
    _loss(model).backward()
    expected = _norm(_grads(model))
    for part in (model[0], model[2], model[2]):
        nn.utils.clip_grad_norm_(part.parameters(), 1e-3)
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert recorded().values("grad/norm_unclipped") == pytest.approx([expected], rel=CLOSE)


def test_a_clip_to_another_norm_is_not_taken_for_this_one(run: rankzero.Run, recorded: Callable[[], Recorded]) -> None:
    """`grad/norm_unclipped` is a 2-norm or nothing."""
    model = _model()
    run.watch(model, log_freq=1)
    _loss(model).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0, norm_type=math.inf)
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert "grad/norm_unclipped" not in recorded().series


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("unscaled", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_scaled_gradients_are_unscaled(
    run: rankzero.Run, recorded: Callable[[], Recorded], fused: bool, unscaled: bool, dtype: torch.dtype
) -> None:
    """Under a GradScaler the norms are those of the real gradients, whoever divides: the scaler, the user or the optimizer."""
    model = _model()
    run.watch(model, log_freq=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    expected = []
    for _ in range(2):
        state, batch = torch.get_rng_state(), torch.randn(4, 6)
        with torch.autocast("cpu", dtype=dtype):
            loss = model(batch).float().square().mean()
        plain = torch.autograd.grad(loss, list(model.parameters()), retain_graph=True)
        expected.append(_norm(plain))
        torch.set_rng_state(state)
        scaler.scale(loss).backward()
        if unscaled:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 1e6)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
    found = recorded()
    assert found.values("grad/norm") == pytest.approx(expected, rel=5e-3)
    if unscaled:
        assert found.values("grad/norm_unclipped") == pytest.approx(expected, rel=5e-3)


@pytest.mark.parametrize("fused", [False, True])
def test_a_skipped_step_is_no_sample(run: rankzero.Run, recorded: Callable[[], Recorded], fused: bool) -> None:
    """A step that the scaler skips because gradients overflowed is neither recorded nor called an accident."""
    model = _model()
    run.watch(model, log_freq=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    for overflow in (True, False):
        scaler.scale(_loss(model) * (math.inf if overflow else 1.0)).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
    found = recorded()
    assert len(found.values("grad/norm")) == 1
    assert math.isfinite(found.values("grad/norm")[0])
    assert found.events("nonfinite") == []


def test_a_closure_driven_optimizer(run: rankzero.Run, recorded: Callable[[], Recorded]) -> None:
    """LBFGS computes its gradients while it steps: the last of them are recorded, not the step's before."""
    model = _model()
    run.watch(model, log_freq=1)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=3)
    batch = torch.randn(4, 6)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss: Tensor = model(batch).square().mean()
        loss.backward()
        return loss

    expected = []
    for _ in range(2):
        optimizer.step(closure)
        expected.append(_norm(_grads(model)))
    assert recorded().values("grad/norm") == pytest.approx(expected, rel=CLOSE)


def test_sparse_frozen_and_tied_parameters(run: rankzero.Run, recorded: Callable[[], Recorded]) -> None:
    """A sparse gradient counts its rows, a frozen parameter is left out, a tied one counts once."""

    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(20, 4, sparse=True)
            self.frozen = nn.Linear(4, 4).requires_grad_(requires_grad=False)
            self.tied = nn.Linear(4, 4)
            self.again = self.tied

        def forward(self, words: Tensor) -> Tensor:
            out: Tensor = self.again(self.tied(self.frozen(self.words(words))))
            return out

    model = Tagger()
    run.watch(model, log_freq=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.tensor([1, 1, 3])).square().mean().backward()
    expected = _norm(grad.to_dense() if grad.is_sparse else grad for grad in _grads(model))
    optimizer.step()
    found = recorded()
    assert found.values("grad/norm") == pytest.approx([expected], rel=CLOSE)
    assert {key for key in found.series if key.startswith("grad/norm/")} == {
        "grad/norm/words.weight", "grad/norm/tied.weight", "grad/norm/tied.bias",
    }  # fmt: skip


def test_several_optimizers_share_a_model(run: rankzero.Run, recorded: Callable[[], Recorded]) -> None:
    """The norm of all gradients covers what each of the model's optimizers used."""
    model = _model()
    run.watch(model, log_freq=1)
    matrices = [p for p in model.parameters() if p.ndim == 2]
    others = [p for p in model.parameters() if p.ndim != 2]
    optimizers = [torch.optim.SGD(matrices, lr=0.1), torch.optim.AdamW(others, lr=0.1)]
    expected = []
    for _ in range(2):
        _loss(model).backward()
        expected.append(_norm(_grads(model)))
        for optimizer in optimizers:
            optimizer.step()
        model.zero_grad()
    found = recorded()
    assert found.values("grad/norm") == pytest.approx(expected, rel=CLOSE)
    assert len(found.values("grad/norm/0.weight")) == len(found.values("grad/norm/0.bias")) == 2


def test_two_models_do_not_mix(run: rankzero.Run, recorded: Callable[[], Recorded]) -> None:
    """The second model's metrics carry its number, or the name it was given, and cover its own optimizer's steps."""
    generator, critic = _model(), _model()
    run.watch(generator, log_freq=1)
    run.watch(critic, log_freq=1, name="critic")
    optimizers = [torch.optim.SGD(model.parameters(), lr=0.1) for model in (generator, critic)]
    expected: list[list[float]] = [[], []]
    for _ in range(2):
        for index, model in enumerate((generator, critic)):
            _loss(model).backward()
            expected[index].append(_norm(_grads(model)))
            optimizers[index].step()
            model.zero_grad()
    found = recorded()
    assert found.values("grad/norm") == pytest.approx(expected[0], rel=CLOSE)
    assert found.values("grad/norm@critic") == pytest.approx(expected[1], rel=CLOSE)
    assert found.steps("grad/norm@critic") == [0, 1]
    assert found.values("grad/norm/0.weight@critic") != found.values("grad/norm/0.weight")


@pytest.mark.parametrize("kind", [True, "exact"])
def test_histograms(run: rankzero.Run, recorded: Callable[[], Recorded], kind: Any) -> None:
    """Of gradients and parameters; a sample of a large tensor says that it is one, everything else is exact."""
    model = nn.Linear(100, 60)
    run.watch(model, log="all", log_freq=1, histograms=kind)
    model(torch.randn(4, 100)).square().mean().backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    found = recorded()
    for key, tensor in (("grad/hist/weight", model.weight.grad), ("weight/hist/weight", model.weight)):
        (histogram,) = found.histograms(key)
        assert tensor is not None
        assert histogram.sampled == (kind is True)
        assert sum(histogram.counts) == (4096 if kind is True else 6000)
        assert tensor.min().item() <= histogram.edges[0] < histogram.edges[-1] <= tensor.max().item()
    (small,) = found.histograms("grad/hist/bias")
    assert not small.sampled
    assert sum(small.counts) == 60


def test_the_first_parameter_that_is_not_finite_is_named(
    run: rankzero.Run, recorded: Callable[[], Recorded], capfd: pytest.CaptureFixture[str]
) -> None:
    """One event and one warning name the first parameter, in the model's order, with a bad gradient; elements are counted."""
    model = _model()
    run.watch(model, log_freq=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    for bad in (False, True, True):
        _loss(model).backward()
        if bad:
            for index in (2, 0):
                gradient = cast("nn.Linear", model[index]).weight.grad
                assert gradient is not None
                gradient[:2, 0] = math.nan
        optimizer.step()
        optimizer.zero_grad()
    found = recorded()
    (event,) = found.events("nonfinite")
    assert event.data == {"parameter": "0.weight", "optimizer_step": event.data["optimizer_step"]}
    assert found.values("grad/nonfinite")[:2] == [0, 4]
    assert math.isnan(found.values("grad/norm")[1])
    assert capfd.readouterr().err.count("the gradient of 0.weight is not finite") == 1


def test_large_finite_gradients_are_no_accident(run: rankzero.Run, recorded: Callable[[], Recorded]) -> None:
    """A gradient whose square overflows single precision has its norm, and nothing is called infinite."""
    model = nn.Linear(3, 1, bias=False)
    run.watch(model, log_freq=1)
    (model(torch.ones(1, 3)) * 1e25).sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.0).step()
    found = recorded()
    assert found.values("grad/norm") == pytest.approx([math.sqrt(3) * 1e25])
    assert found.values("grad/nonfinite") == [0]
    assert found.events("nonfinite") == []


def test_unwatch_ends_it(run: rankzero.Run, recorded: Callable[[], Recorded]) -> None:
    """Nothing is recorded of a model that is no longer watched, and no hook stays."""
    from torch.optim import optimizer as hooks

    before = len(hooks._global_optimizer_pre_hooks)
    model = _model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    run.watch(model, log_freq=1)
    for watched in (True, False, False):
        if not watched:
            run.unwatch(model)
        _loss(model).backward()
        optimizer.step()
    run.unwatch()
    assert len(hooks._global_optimizer_pre_hooks) == before
    assert len(recorded().values("grad/norm")) == 1


def test_a_run_that_is_over_watches_nothing(root: Path) -> None:
    """`finish()` ends what `watch` began, and so does leaving the `with` of a run."""
    from torch.optim import optimizer as hooks

    before = len(hooks._global_optimizer_pre_hooks)
    finished = rankzero.init(project="test", dir=root)
    finished.watch(_model())
    assert len(hooks._global_optimizer_pre_hooks) > before
    finished.finish()
    assert len(hooks._global_optimizer_pre_hooks) == before
    with rankzero.init(project="test", dir=root) as left:
        left.watch(_model())
        assert len(hooks._global_optimizer_pre_hooks) > before
    assert len(hooks._global_optimizer_pre_hooks) == before


def test_numbers_go_on_after_a_checkpoint(run: rankzero.Run, recorded: Callable[[], Recorded]) -> None:
    """An optimizer that says it has done five steps is at its sixth: rows of steps done again carry their old numbers."""
    model = _model()
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(5):
        _loss(model).backward()
        optimizer.step()
    saved = optimizer.state_dict()
    again = torch.optim.Adam(model.parameters())
    again.load_state_dict(saved)
    run.watch(model, log_freq=1)
    for _ in range(2):
        _loss(model).backward()
        again.step()
    assert recorded().steps("grad/norm") == [5, 6]


def test_a_wrong_argument_is_one_sentence(run: rankzero.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what can be written instead."""
    with pytest.raises(rankzero.RankZeroError, match='write "gradients", "parameters", "all" or None'):
        run.watch(_model(), log="everything")
    with pytest.raises(rankzero.RankZeroError, match='write True, False or "exact"'):
        run.watch(_model(), histograms="rough")
