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
from jax.experimental import io_callback
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
@pytest.mark.parametrize("form", ["beside", "within", "carried"])
def test_parameters_are_bit_identical(run: rankzero.Run, optimizer: Any, form: str) -> None:
    """Sampled at every other step in full, training ends with the same bits."""
    captured = rankzero_jax.capture(optimizer, log="all", histograms=True, carry=form == "carried", every=2)
    exact = functools.partial(rankzero_jax.jit, every=2, exact=form == "beside")
    compile_it = jax.jit if form == "carried" else exact
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

    measured = trained(rankzero_jax.jit(with_scale(captured), every=1, exact=False), captured, params=params)
    assert_same_bits(measured, trained(jax.jit(with_scale(optimizer)), optimizer, params=params))


def test_samples_keep_the_bits_of_everything(run: rankzero.Run, jobs: Jobs) -> None:
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
    beside = functools.partial(rankzero_jax.jit, every=1, donate_argnums=(0, 1))
    assert_same_bits(fit(captured, beside), fit(bare, jax.jit))
    fit(again, functools.partial(rankzero_jax.jit, every=1, exact=False))
    run.finish()
    for name in ("grad/norm", "update/ratio/table"):
        sampled, within = points(jobs.only(), name, f"{name}@2").values()
        assert list(sampled) == list(range(20))
        assert list(sampled.values()) == pytest.approx(list(within.values()), rel=1e-4)


@pytest.mark.parametrize("options", [{}, {"donate_argnames": ("model", "optimizer")}])
def test_samples_keep_the_bits_of_flax_objects(run: rankzero.Run, options: dict[str, Any]) -> None:
    """A sample leaves a module, its random numbers and statistics, an optimizer and a metric as they were."""
    nnx = pytest.importorskip("flax.nnx", reason="Flax is not installed: pip install 'rankzero[jax]'")

    def train_step(model: Any, optimizer: Any, metric: Any, rows: Any, names: str) -> None:
        def loss_of(model: Any) -> Any:
            return ((model(rows) - 1) ** 2).mean() * len(names)

        loss, gradients = nnx.value_and_grad(loss_of)(model)
        optimizer.update(model, gradients)
        metric.update(values=loss)

    def fit(optimizer: Any, compile_it: Any) -> list[bytes]:
        rngs = nnx.Rngs(0)
        layers = (nnx.Embed(50, 8, rngs=rngs), nnx.BatchNorm(8, rngs=rngs), nnx.Dropout(0.5, rngs=rngs))
        model = nnx.Sequential(*layers, nnx.Linear(8, 4, rngs=rngs))
        objects = model, nnx.Optimizer(model, optimizer, wrt=nnx.Param), nnx.metrics.Average()
        step = compile_it(train_step, static_argnames="names", **options)
        for number in range(12):
            step(*objects, jax.random.randint(jax.random.key(number), (7,), 0, 50), names="ab")
        leaves = [leaf for leaf in jax.tree.leaves(nnx.state(objects)) if leaf.dtype != jax.random.key(0).dtype]
        return [np.asarray(leaf).tobytes() for leaf in leaves]

    bare = optax.sgd(0.1, momentum=0.9)
    beside = functools.partial(rankzero_jax.jit, every=1, using=nnx.jit)
    assert fit(rankzero_jax.capture(bare, log="all"), beside) == fit(bare, nnx.jit)


@pytest.mark.parametrize("sort", ["debug.callback", "io_callback", "no jit", "log in a loop", "capture in a loop"])
def test_a_sample_calls_nothing_twice(run: rankzero.Run, jobs: Jobs, sort: str) -> None:
    """A function that calls back to the host is sampled within the step; what `log` calls back is no reason to."""
    captured = rankzero_jax.capture(optax.sgd(0.1))
    train_step, heard = step_with(captured), []

    def hear(value: Any) -> Any:
        heard.append(value)
        return value

    def calling(params: Any, state: Any, x: Any, y: Any) -> Any:
        def turn(carried: Any, number: Any) -> Any:
            if sort == "capture in a loop":
                params, state, _ = train_step(*carried, x, y)
                return (params, state), number
            rankzero_jax.log({"turn": number}, step=number)
            return carried, number

        if sort == "debug.callback":
            jax.debug.callback(hear, x[0, 0])
        elif sort == "io_callback":
            y = y + io_callback(hear, jax.ShapeDtypeStruct((), y.dtype), x[0, 0])
        elif sort == "no jit":
            hear(1)
        else:
            (params, state), _ = jax.lax.scan(turn, (params, state), jnp.arange(3))
        return train_step(params, state, x, y) if sort != "capture in a loop" else (params, state, 0)

    with jax.disable_jit(sort == "no jit"):
        trained(rankzero_jax.jit(calling, every=2), captured, steps=4)
    jax.effects_barrier()
    run.finish()
    assert len(heard) == (0 if "loop" in sort else 4)
    norms = jobs.only().values("grad/norm")
    assert len(norms) == (6 if sort == "capture in a loop" else 2)
    if sort == "log in a loop":
        assert len(jobs.only().values("turn")) == 12


@pytest.mark.parametrize("setting", ["debug_key_reuse", "debug_nans", "disable_jit"])
def test_a_sample_is_beside_what_jax_checks(run: rankzero.Run, capfd: pytest.CaptureFixture[str], setting: str) -> None:
    """A key of random numbers is used once, NaNs of gradients that the optimizer leaves out are none, and what is not compiled runs once."""
    captured = rankzero_jax.capture(optax.apply_if_finite(optax.sgd(0.1), 9))
    ran: list[None] = []

    def train_step(params: Any, state: Any, key: Any) -> Any:
        ran.append(None)
        gradients = {"w": jax.random.normal(key, (3,)) * (jnp.nan if setting == "debug_nans" else 1.0)}
        updates, state = captured.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    step = rankzero_jax.jit(train_step, every=1)
    params = {"w": jnp.ones(3)}
    state = captured.init(params)
    with getattr(jax, setting)(True):
        for key in jax.random.split(jax.random.key(0), 3):
            params, state = step(params, state, key)
    if setting == "disable_jit":
        assert len(ran) == 3
    assert not capfd.readouterr().err


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


def test_a_ratio_to_nothing_is_no_number(run: rankzero.Run, jobs: Jobs) -> None:
    """The update of a parameter that is zero is no multiple of it, as in the other frameworks."""
    captured = rankzero_jax.capture(optax.sgd(0.1), log="parameters")
    params = {"in": fresh()["in"], "out": {"kernel": jnp.zeros((16, 4))}}
    trained(rankzero_jax.jit(step_with(captured), every=1), captured, steps=2, params=params)
    run.finish()
    first, second = jobs.only().values("update/ratio/out.kernel")
    assert np.isnan(first)
    assert second > 0


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
