"""`rankzero_jax.log`, outside of compiled functions and in all kinds of them."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("jax", reason="JAX is not installed: pip install 'rankzero[jax]'")

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from tests.integrations.jax.conftest import points
from tests.integrations.jax.programs_text import instructions

import rankzero
import rankzero_jax
from rankzero.testing import Jobs
from rankzero_jax.internals import keeps_effects


def finished(run: rankzero.Run) -> None:
    """End the run when everything that was computed has been logged."""
    jax.effects_barrier()
    run.finish()


def mesh() -> Mesh:
    """A line of four devices."""
    if jax.device_count() < 4:
        pytest.skip("JAX was started with fewer than four devices in this process")
    return Mesh(np.array(jax.devices()[:4]), ("d",))


def test_outside_nothing_waits(run: rankzero.Run, jobs: Jobs) -> None:
    """Values that are still being computed are logged at once and recorded when they are there."""
    long = jax.jit(lambda x: jax.lax.fori_loop(0, 400, lambda _, x: jnp.sin(x @ x), x).sum() * 0 + 3)
    matrix = jnp.ones((600, 600)) / 600
    long(matrix).block_until_ready()
    value = long(matrix)
    rankzero_jax.log({"loss": value, "nested": {"accuracy": 0.5}}, step=7)
    was_ready = value.is_ready()
    value.block_until_ready()
    finished(run)
    assert not was_ready
    assert points(jobs.only(), "loss", "nested.accuracy") == {"loss": {7: 3.0}, "nested.accuracy": {7: 0.5}}


def test_a_donated_array_stays_the_programs(run: rankzero.Run, jobs: Jobs) -> None:
    """Logging an array does not keep its memory from being donated, and what follows is recorded."""
    step = jax.jit(lambda x: x + 1, donate_argnums=0)
    x = jnp.float32(1)
    for _ in range(3):
        rankzero_jax.log({"x": x})
        x, old = step(x), x
        assert old.is_deleted()
    rankzero_jax.log({"x": x}, step=9)
    finished(run)
    assert points(jobs.only(), "x")["x"][9] == 4.0


def test_in_jit_and_scan(run: rankzero.Run, jobs: Jobs) -> None:
    """A row for every turn of a loop in a compiled function, in order by its step."""

    @jax.jit
    def train(x: Any) -> Any:
        def turn(x: Any, step: Any) -> Any:
            rankzero_jax.log({"x": x, "deep": {"y": x * 2}}, step=step)
            return x + 1, None

        return jax.lax.scan(turn, x, jnp.arange(5))[0]

    train(jnp.float32(10))
    finished(run)
    assert points(jobs.only(), "x", "deep.y") == {
        "x": {step: 10.0 + step for step in range(5)},
        "deep.y": {step: 20.0 + 2 * step for step in range(5)},
    }


def test_ordered_without_a_step(run: rankzero.Run, jobs: Jobs) -> None:
    """Asked for, rows come in the order of the program, on several devices too."""

    @jax.jit
    def train(x: Any) -> Any:
        def turn(x: Any, _: Any) -> Any:
            rankzero_jax.log({"x": x.sum()}, ordered=True)
            return x + 1, None

        return jax.lax.scan(turn, x, None, length=20)[0]

    train(jax.device_put(jnp.zeros(4), NamedSharding(mesh(), P("d"))))
    finished(run)
    assert points(jobs.only(), "x")["x"] == {step: 4.0 * step for step in range(20)}


def test_once_per_event_and_not_per_device(run: rankzero.Run, jobs: Jobs, monkeypatch: Any) -> None:
    """In sharded jit, shard_map and pmap over four devices each event is one row."""
    calls: list[Any] = []
    log = run.log

    def listening(data: Any, **options: Any) -> None:
        calls.append(data)
        log(data, **options)

    monkeypatch.setattr(run, "log", listening)

    def emit(x: Any) -> Any:
        rankzero_jax.log({"x": jax.lax.psum(x.sum(), "d")}, step=1)
        return x

    spread = NamedSharding(mesh(), P("d"))
    jax.jit(jax.shard_map(emit, mesh=mesh(), in_specs=P("d"), out_specs=P("d")))(jnp.arange(8.0))
    jax.pmap(emit, axis_name="d")(jnp.arange(8.0).reshape(4, 2))
    jax.jit(lambda x: (rankzero_jax.log({"x": x.sum()}, step=2), x)[1])(jax.device_put(jnp.arange(8.0), spread))
    finished(run)
    assert len(calls) == 3
    assert points(jobs.only(), "x")["x"] == {1: 28.0, 2: 28.0}


def test_differentiated(run: rankzero.Run, jobs: Jobs) -> None:
    """A function that logs can be differentiated and checkpointed."""

    def loss(x: Any) -> Any:
        rankzero_jax.log({"x": x.sum()}, step=3)
        return (x**2).sum()

    gradients = jax.jit(jax.grad(jax.checkpoint(loss)))(jnp.ones(3))
    finished(run)
    assert gradients.tolist() == [2.0, 2.0, 2.0]
    assert points(jobs.only(), "x")["x"] == {3: 3.0}


@pytest.mark.skipif(
    not keeps_effects(), reason="this release of JAX leaves callbacks in a custom_vmap out: one row a lane"
)
def test_mapped_it_is_one_event(run: rankzero.Run, jobs: Jobs) -> None:
    """Under vmap there is one row: what differs from lane to lane as a distribution, unless the lanes are steps."""

    def loss(x: Any, step: Any) -> Any:
        rankzero_jax.log({"x": x.sum(), "same": 2.0 * jnp.ones(())}, step=step)
        return (x**2).sum()

    lanes = jnp.arange(6.0).reshape(2, 3)
    values = jax.jit(jax.vmap(jax.value_and_grad(loss), in_axes=(0, None)))(lanes, 3)[0]
    jax.jit(jax.vmap(loss))(lanes, jnp.arange(10, 12))
    finished(run)
    assert values.tolist() == [5.0, 50.0]
    assert points(jobs.only(), "x", "same") == {"x": {10: 3.0, 11: 12.0}, "same": {3: 2.0, 10: 2.0, 11: 2.0}}
    (histogram,) = jobs.only().histograms("x")
    assert (histogram.step, sum(histogram.counts)) == (3, 2)


def test_an_error_leaves_the_step_alone(run: rankzero.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails in recording, the compiled step goes on."""
    monkeypatch.setenv("RANKZERO_STRICT", "0")

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(run, "log", broken)

    @jax.jit
    def step(x: Any) -> Any:
        rankzero_jax.log({"x": x}, step=0)
        return x + 1

    assert float(step(jnp.float32(1))) == 2.0
    jax.effects_barrier()


def test_without_a_run_the_program_is_unchanged(capfd: pytest.CaptureFixture[str]) -> None:
    """Traced while there is no run, or a disabled one, log() leaves no trace in the program."""

    def step(x: Any, log: Any) -> Any:
        log({"x": x}, step=0)
        return x * 2 + 1

    def program(log: Any) -> tuple[str, str]:
        return instructions(jax.jit(lambda x: step(x, log)).lower(jnp.ones(3)))

    plain = program(lambda *_, **__: None)
    assert program(rankzero_jax.log) == plain
    rankzero.init(mode="disabled")
    assert program(rankzero_jax.log) == plain


def test_further_outputs_instead_of_callbacks(run: rankzero.Run, jobs: Jobs) -> None:
    """In `rankzero_jax.jit` values come out at every call and no callback is compiled in."""

    @rankzero_jax.jit
    def step(x: Any) -> Any:
        rankzero_jax.log({"x": x, "norm": jnp.sqrt(x)})
        return x + 1

    x = jnp.float32(0)
    for _ in range(5):
        x = step(x)
    text = step._programs["plain"].lower(x).as_text()
    finished(run)
    assert float(x) == 5.0
    assert "callback" not in text
    assert points(jobs.only(), "x")["x"] == {step: float(step) for step in range(5)}
