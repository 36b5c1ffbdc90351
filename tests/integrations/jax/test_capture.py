"""`rankzero_jax.capture`: what it measures is right, and it changes nothing."""

from __future__ import annotations

import functools
from typing import Any

import pytest

pytest.importorskip("jax", reason="JAX is not installed: pip install 'rankzero[jax]'")
pytest.importorskip("optax", reason="optax is not installed: pip install 'rankzero[jax]'")

import jax
import jax.numpy as jnp
import numpy as np
import optax
from tests.integrations.jax.conftest import points
from tests.integrations.jax.programs_text import instructions

import rankzero
import rankzero_jax
from rankzero.testing import Jobs

KEYS = jax.random.split(jax.random.key(0), 4)
X = jax.random.normal(KEYS[2], (32, 8))
Y = jax.random.normal(KEYS[3], (32, 4))


def fresh() -> dict[str, Any]:
    """A small network's parameters."""
    return {"in": jax.random.normal(KEYS[0], (8, 16)), "out": {"kernel": jax.random.normal(KEYS[1], (16, 4))}}


def loss_of(params: Any, x: Any, y: Any) -> Any:
    return ((jnp.tanh(x @ params["in"]) @ params["out"]["kernel"] - y) ** 2).mean()


def step_with(optimizer: Any) -> Any:
    """A training step."""

    def train_step(params: Any, state: Any, x: Any, y: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(params, x, y)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, loss

    return train_step


def trained(step: Any, optimizer: Any, steps: int = 12, params: Any = None) -> Any:
    """The parameters after some steps."""
    params = fresh() if params is None else params
    state = optimizer.init(params)
    for _ in range(steps):
        params, state, _ = step(params, state, X, Y)
    return params


def assert_same_bits(one: Any, other: Any) -> None:
    for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert np.asarray(left).tobytes() == np.asarray(right).tobytes()


def test_off_the_program_is_unchanged() -> None:
    """Without a run the compiled program is, instruction for instruction, that of the bare optimizer."""
    bare, captured = optax.adam(1e-2), rankzero_jax.capture(optax.adam(1e-2), log="all", histograms=True)
    given = fresh(), bare.init(fresh()), X, Y
    assert str(jax.tree.structure(captured.init(fresh()))) == str(jax.tree.structure(bare.init(fresh())))
    plain = instructions(jax.jit(step_with(bare)).lower(*given))
    assert instructions(jax.jit(step_with(captured)).lower(*given)) == plain
    program = rankzero_jax.jit(step_with(captured), every=2)
    program(*given)
    assert instructions(program._programs["off"].lower(*given)) == plain


def test_between_samples_the_program_is_unchanged(run: rankzero.Run) -> None:
    """With a run, all calls but every n-th run the program of the bare optimizer."""
    bare, captured = optax.adam(1e-2), rankzero_jax.capture(optax.adam(1e-2), log="all")
    given = fresh(), bare.init(fresh()), X, Y
    plain = instructions(jax.jit(step_with(bare)).lower(*given))
    program = rankzero_jax.jit(step_with(captured), every=2)
    assert instructions(program._programs["plain"].lower(*given)) == plain
    assert instructions(program._programs["recorded"].lower(*given)) != plain


@pytest.mark.parametrize("optimizer", [optax.sgd(0.05, momentum=0.9), optax.adamw(1e-2), optax.lion(1e-3)])
@pytest.mark.parametrize("carry", [False, True])
def test_parameters_are_bit_identical(run: rankzero.Run, optimizer: Any, carry: bool) -> None:
    """Sampled at every other step in full, training ends with the same bits."""
    captured = rankzero_jax.capture(optimizer, log="all", histograms=True, carry=carry, every=2)
    compile_it = jax.jit if carry else lambda step: rankzero_jax.jit(step, every=2)
    assert_same_bits(
        trained(compile_it(step_with(captured)), captured), trained(jax.jit(step_with(optimizer)), optimizer)
    )


def test_parameters_with_axes_of_length_one_are_bit_identical(run: rankzero.Run) -> None:
    """So are those of a regression, whose gradients the compiler computes in another shape than the parameters have."""
    optimizer = optax.adamw(1e-2)
    captured = rankzero_jax.capture(optimizer)
    params = {"in": fresh()["in"], "out": {"kernel": fresh()["out"]["kernel"][:, :1]}, "scale": jnp.ones((1, 16))}

    def with_scale(optimizer: Any) -> Any:
        def train_step(params: Any, state: Any, x: Any, y: Any) -> Any:
            def loss_of(params: Any) -> Any:
                return (
                    ((jnp.tanh(x @ params["in"]) * params["scale"]) @ params["out"]["kernel"] - y[:, :1]) ** 2
                ).mean()

            loss, gradients = jax.value_and_grad(loss_of)(params)
            updates, state = optimizer.update(gradients, state, params)
            return optax.apply_updates(params, updates), state, loss

        return train_step

    measured = trained(rankzero_jax.jit(with_scale(captured), every=1), captured, params=params)
    assert_same_bits(measured, trained(jax.jit(with_scale(optimizer)), optimizer, params=params))


def test_exact_samples_keep_the_bits_of_everything(run: rankzero.Run, jobs: Jobs) -> None:
    """Of a model whose gradients the compiler weaves into the optimizer: samples are calls of their own, with the same numbers."""

    def fit(optimizer: Any, compile_it: Any) -> Any:
        def train_step(params: Any, state: Any, x: Any, y: Any) -> Any:
            rows = (jnp.abs(x[:, 0]) * 17).astype(int) % 50

            def loss_of(params: Any) -> Any:
                return ((params["table"][rows] @ params["out"] - 1) ** 2).mean()

            loss, gradients = jax.value_and_grad(loss_of)(params)
            updates, state = optimizer.update(gradients, state, params)
            return optax.apply_updates(params, updates), state, loss

        params = {"table": jnp.full((50, 8), 0.3), "out": jnp.full((8, 4), 0.2)}
        return trained(compile_it(train_step), optimizer, steps=20, params=params)

    bare = optax.sgd(0.1, momentum=0.9)
    captured, again = (rankzero_jax.capture(bare, log="all") for _ in range(2))
    exact = functools.partial(rankzero_jax.jit, every=1, exact=True, donate_argnums=(0, 1))
    assert_same_bits(fit(captured, exact), fit(bare, jax.jit))
    fit(again, functools.partial(rankzero_jax.jit, every=1))
    run.finish()
    for name in ("grad/norm", "update/ratio/table"):
        sampled, within = points(jobs.only(), name, f"{name}@2").values()
        assert list(sampled) == list(range(20))
        assert list(sampled.values()) == pytest.approx(list(within.values()), rel=1e-4)
    with pytest.raises(ValueError, match="once more"):
        rankzero_jax.jit(exact=True, using=jax.vmap)


def test_numbers_are_right(run: rankzero.Run, jobs: Jobs) -> None:
    """Norms, largest values, ratios and non-finite counts are those that numpy finds, at the sampled steps."""
    optimizer = optax.adam(1e-2)
    captured = rankzero_jax.capture(optimizer, log="all", histograms=True)
    trained(rankzero_jax.jit(step_with(captured), every=5), captured, steps=11)
    run.finish()
    params, state = fresh(), optimizer.init(fresh())
    names = ["grad/norm", "grad/nonfinite", "grad/norm/in", "grad/max/out.kernel", "weight/norm/in", "update/ratio/in"]
    found = points(jobs.only(), *names)
    for step in range(11):
        gradients = jax.grad(loss_of)(params, X, Y)
        updates, state = optimizer.update(gradients, state, params)
        if step % 5 == 0:
            parts = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(gradients)]
            expected = {
                "grad/norm": np.sqrt(sum((part**2).sum() for part in parts)),
                "grad/nonfinite": 0.0,
                "grad/norm/in": np.linalg.norm(parts[0]),
                "grad/max/out.kernel": np.abs(parts[1]).max(),
                "weight/norm/in": np.linalg.norm(params["in"]),
                "update/ratio/in": np.linalg.norm(updates["in"]) / np.linalg.norm(params["in"]),
            }
            for name, value in expected.items():
                assert found[name].pop(step) == pytest.approx(value, rel=1e-4), (name, step)
        params = optax.apply_updates(params, updates)
    assert not any(found.values())
    histograms = jobs.only().histograms("grad/hist/in")
    assert [(one.step, sum(one.counts)) for one in histograms] == [(0, 128), (5, 128), (10, 128)]


def test_carried_in_the_state(run: rankzero.Run, jobs: Jobs) -> None:
    """In any compiled function, with donated states, the sample is read from the state, once."""
    captured = rankzero_jax.capture(optax.sgd(0.1), carry=True, every=4)
    step = jax.jit(step_with(captured), donate_argnums=(0, 1))
    params = fresh()
    state = captured.init(params)
    for number in range(10):
        params, state, _ = step(params, state, X, Y)
        rankzero_jax.record({"some": state}, step=number)
    jax.block_until_ready(params)
    run.finish()
    found = points(jobs.only(), "grad/norm", "grad/norm/in")
    assert list(found["grad/norm"]) == [0, 4, 8]
    assert list(found["grad/norm/in"]) == [0, 4, 8]
    assert found["grad/norm"][0] == pytest.approx(float(optax.tree.norm(jax.grad(loss_of)(fresh(), X, Y))), rel=1e-5)


def test_in_a_chain(run: rankzero.Run, jobs: Jobs) -> None:
    """As a link behind the clipping, it sees clipped gradients."""
    optimizer = optax.chain(optax.clip_by_global_norm(0.05), rankzero_jax.capture(log="norm"), optax.adam(1e-2))
    trained(rankzero_jax.jit(step_with(optimizer), every=2), optimizer, steps=3)
    run.finish()
    assert points(jobs.only(), "grad/norm")["grad/norm"] == pytest.approx({0: 0.05, 2: 0.05}, rel=1e-4)


def test_in_a_loop_of_the_program(run: rankzero.Run, jobs: Jobs) -> None:
    """In a scan every turn of a sampled call is a row, under the optimizer's own count."""
    optimizer = rankzero_jax.capture(optax.adam(1e-2), log="norm")
    single = step_with(optimizer)

    def train(params: Any, state: Any) -> Any:
        def turn(carry: Any, _: Any) -> Any:
            params, state, loss = single(*carry, X, Y)
            return (params, state), loss

        return jax.lax.scan(turn, (params, state), None, length=4)[0]

    program = rankzero_jax.jit(train, every=2)
    carry = fresh(), optimizer.init(fresh())
    for _ in range(3):
        carry = program(*carry)
    jax.effects_barrier()
    run.finish()
    assert sorted(points(jobs.only(), "grad/norm")["grad/norm"]) == [0, 1, 2, 3, 8, 9, 10, 11]


def test_nonfinite_gradients_are_counted(run: rankzero.Run, jobs: Jobs) -> None:
    """NaN and infinite elements are counted; the histogram leaves them out."""
    captured = rankzero_jax.capture(optax.sgd(0.1), histograms=True)

    def step(params: Any, state: Any, gradients: Any) -> Any:
        return captured.update(gradients, state, params)

    program = rankzero_jax.jit(step)
    program(jnp.ones(4), captured.init(jnp.ones(4)), jnp.array([1.0, jnp.nan, jnp.inf, 2.0]))
    run.finish()
    assert points(jobs.only(), "grad/nonfinite")["grad/nonfinite"] == {0: 2.0}


def test_said_where_nothing_is_measured(run: rankzero.Run, capfd: pytest.CaptureFixture[str]) -> None:
    """Compiled by jax.jit it says what to do instead."""
    captured = rankzero_jax.capture(optax.sgd(0.1))
    trained(jax.jit(step_with(captured)), captured, steps=1)
    assert "rankzero_jax.jit" in capfd.readouterr().err


def test_bad_arguments_are_named() -> None:
    """What cannot be is refused in one sentence."""
    with pytest.raises(rankzero.RankZeroError, match="norm"):
        rankzero_jax.capture(log="everything")
    with pytest.raises(rankzero.RankZeroError, match="every"):
        rankzero_jax.capture(every=0)
