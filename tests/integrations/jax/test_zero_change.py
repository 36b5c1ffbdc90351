"""Scripts that never heard of rankzero, below `rankzero run`: what is recorded, and that they compute the same bits."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("jax", reason="JAX is not installed: pip install 'rankzero[jax]'")
pytest.importorskip("flax", reason="Flax is not installed: pip install 'rankzero[jax]'")

from tests.integrations.jax.conftest import SCRIPTS, on_devices, points

from rankzero.testing import Jobs

pytestmark = pytest.mark.slow


def results(printed: str) -> dict[str, list[float]]:
    """The numbers that a script printed, exactly."""
    lines = [line.partition(" ") for line in printed.splitlines() if line.startswith(("losses", "weights"))]
    return {name: [float.fromhex(word.strip("'[],")) for word in rest.split()] for name, _, rest in lines}


def both_ways(jobs: Jobs, script: str, *options: str, devices: int = 1, **environ: str) -> dict[str, list[float]]:
    """Run a script without and with `rankzero run`; the same bits come out. Returns what it printed."""
    command = [sys.executable, str(SCRIPTS / script), *options]
    plain = results(jobs.run(command, environ=on_devices(devices)))
    assert not jobs.root.exists()
    ours = results(jobs.run(command, below=True, environ=on_devices(devices) | environ))
    assert ours == plain
    return ours


@pytest.mark.parametrize("forms", [["one", "grad", "scan", "nested", "donate", "pmap"], ["split", "eager", "small"]])
def test_plain_jax(jobs: Jobs, forms: list[str]) -> None:
    """A jax.jit and optax script in many forms: loss, learning rate and times at every step, gradients at every fifth."""
    printed = both_ways(jobs, "plain.py", "--forms", *forms, devices=4, RANKZERO_LOG_EVERY="5")
    found = jobs.only()
    steps = list(range(1, 21))
    for number, form in enumerate(forms, 1):
        behind = f"@{number}" if number > 1 else ""
        named = points(found, *(f"{name}{behind}" for name in ("loss", "grad/norm", "optim/lr")))
        series = {name.removesuffix(behind): series for name, series in named.items()}
        assert [list(series[name]) for name in ("loss", "optim/lr")] == [steps] * 2, form
        assert list(series["grad/norm"]) == (steps if form in {"eager", "scan"} else [1, 6, 11, 16]), form
        if form not in {"grad", "pmap"}:  # prints no loss, prints the mean of the devices' losses
            assert list(series["loss"].values()) == pytest.approx(printed[f"losses/{form}"])
        assert series["grad/norm"][1] == pytest.approx(0.60711586, rel=1e-5), form
        rates = [0.05 * (1 - i / 20) for i in range(20)]
        if form == "small":  # told when two of them have made a step
            rates = [rates[max(0, step // 2 - 1)] for step in steps]
        assert list(series["optim/lr"].values()) == pytest.approx(rates, rel=1e-5), form
        assert len(found.steps(f"time/step{behind}")) == (3 if form == "scan" else 19), form
        rates = found.values(f"throughput/samples{behind}")
        times = found.values(f"time/step{behind}")
        told = {"one", "grad", "nested", "donate", "pmap", "small"}  # in the others the data is no argument of the step
        assert rates == pytest.approx([64 / one for one in times] if form in told else []), form
    assert found.values("time/compile")
    config = found.config
    assert (config["optimizer"]["class"], config["model"]["parameters"], config["lr"]) == ("adam", 640, 0.05)
    rate = config["optimizer"]["learning_rate"]
    assert (rate["schedule"], rate["init_value"], rate["transition_steps"]) == ("polynomial_schedule", 0.05, 20)
    assert len(config.get("optimizers", [1])) == (2 if "small" in forms else 1)


@pytest.mark.parametrize("script", ["flax_nnx.py", "flax_linen.py"])
def test_flax(jobs: Jobs, script: str) -> None:
    """nnx.Optimizer in nnx.jit, and linen's TrainState: the same, with parameters by their names."""
    printed = both_ways(jobs, script, RANKZERO_GRADIENTS="hist", RANKZERO_LOG_EVERY="10")
    found = jobs.only()
    assert list(points(found, "loss")["loss"].values()) == pytest.approx(printed["losses"])
    names = ("loss", "grad/norm", "optim/lr", "time/step", "throughput/samples")
    assert [len(found.values(name)) for name in names] == [20, 2, 20, 19, 19]
    assert found.values("throughput/samples")[0] == pytest.approx(64 / found.values("time/step")[0])
    layer = "hidden.kernel" if "nnx" in script else "Dense_0.kernel"
    assert sorted(found.steps(f"grad/norm/{layer}")) == [1, 11]
    assert sorted(histogram.step for histogram in found.histograms(f"grad/hist/{layer}")) == [1, 11]
    assert layer in [name for name, *_ in found.config["model"]["layers"]]


def test_no_run_without_training(jobs: Jobs, tmp_path: Path) -> None:
    """A program that imports JAX and compiles functions, but trains nothing, has no run and sees ordinary functions, in tracebacks too."""
    script = tmp_path / "no_training.py"
    script.write_text(
        "import jax, functools, jax.numpy as jnp\n"
        "@functools.partial(jax.jit, static_argnames='times')\n"
        "def f(x, times): return x * times\n"
        "assert f(jnp.ones(3), times=3).sum() == 9 and f.__name__ == 'f' and f.__wrapped__(2, 3) == 6\n"
        "assert isinstance(f, jax.stages.Wrapped)\n"
        "assert f.lower(jnp.ones(3), times=2).compile()(jnp.ones(3)).sum() == 6\n"
        "class A:\n"
        "    @functools.partial(jax.jit, static_argnums=0)\n"
        "    def g(self, x): return x + 1\n"
        "assert A().g(1) == 2 and jax.jit(lambda x: x, donate_argnums=0)(1) == 1 and jax.jit()(lambda x: x)(1) == 1\n"
        "assert jax.vmap(f, in_axes=(0, None))(jnp.ones(3), 2).sum() == 6\n"
        "assert jax.grad(lambda x: jax.jit(jnp.sin)(x))(0.0) == 1\n"
        "count = [0]\n"
        "def h(x): count[0] += 1; return x\n"
        "for _ in range(5): jax.jit(h)(1.0)\n"
        "assert count == [1]\n"
        "import traceback\n"
        "def turn(state, x): return state[None], x\n"
        "wrong = jax.jit(jax.value_and_grad(lambda x: jax.lax.scan(turn, x, jnp.arange(2.0))[0]))\n"
        "try: wrong(1.0)\n"
        "except TypeError as error: seen = error\n"
        "assert 'carry state' in str(seen) and 'rankzero_jax' not in ''.join(traceback.format_tb(seen.__traceback__))\n"
    )
    assert "nothing was recorded" in jobs.run([sys.executable, script], below=True)
    assert jobs.runs() == []


def test_parameters_spread_over_devices(jobs: Jobs, tmp_path: Path) -> None:
    """What cannot be seen is left out and the report says why: a norm that would need a collective, a rate by hand."""
    script = tmp_path / "spread.py"
    script.write_text(
        "import jax, jax.numpy as jnp, optax, numpy as np\n"
        "from jax.sharding import Mesh, NamedSharding, PartitionSpec as P\n"
        "mesh = Mesh(np.array(jax.devices()), ('d',))\n"
        "w = jax.device_put(jnp.ones((16, 4)), NamedSharding(mesh, P('d')))\n"
        "tx = optax.chain(optax.scale_by_adam(), optax.scale(-0.1))\n"
        "s = tx.init(w)\n"
        "@jax.jit\n"
        "def step(w, s):\n"
        "    l, g = jax.value_and_grad(lambda w: (w ** 2).mean())(w)\n"
        "    u, s = tx.update(g, s, w)\n"
        "    return optax.apply_updates(w, u), s\n"
        "for _ in range(5): w, s = step(w, s)\n"
    )
    told = jobs.run([sys.executable, script], below=True, environ=on_devices(4))
    assert "collective" in told
    assert "none of optax's own optimizers" in told
    found = jobs.only()
    assert len(found.values("loss")) == 5
    assert "grad/norm" not in found.series


def test_samples_keep_the_bits(jobs: Jobs) -> None:
    """Of an optimizer into whose arithmetic the compiler weaves gradients, also in a function that evaluates at first."""
    both_ways(jobs, "woven.py", RANKZERO_LOG_EVERY="3")
    found = points(jobs.only(), "loss", "grad/norm")
    assert list(found["loss"]) == list(range(1, 21))
    assert list(found["grad/norm"]) == [1, 4, 7, 10, 13, 16, 19]


def test_two_functions_are_sampled_each(jobs: Jobs, tmp_path: Path) -> None:
    """Steps of two trainings in turn: each has its samples, whatever their distance; those of its own first step among them."""
    script = tmp_path / "turns.py"
    script.write_text(
        "import jax, jax.numpy as jnp, optax\n"
        "def training(tx):\n"
        "    w = jnp.ones((4, 3))\n"
        "    @jax.jit\n"
        "    def step(w, s):\n"
        "        u, s = tx.update(jax.grad(lambda w: (w ** 2).mean())(w), s, w)\n"
        "        return optax.apply_updates(w, u), s\n"
        "    return step, (w, tx.init(w))\n"
        "one, first = training(optax.adam(0.1))\n"
        "other, second = training(optax.sgd(0.1))\n"
        "for _ in range(7): first, second = one(*first), other(*second)\n"
    )
    jobs.run([sys.executable, script], below=True, environ={"RANKZERO_LOG_EVERY": "4"})
    assert [list(series) for series in points(jobs.only(), "grad/norm", "grad/norm@2").values()] == [[1, 5]] * 2


@pytest.mark.parametrize("calls_back", [False, True])
def test_second_program(jobs: Jobs, tmp_path: Path, calls_back: bool) -> None:
    """The step is traced once, as without us.

    Samples are a program of their own, compiled with the first; of a step that calls back they are its own, and it has one without
    them when as many steps as lie between two were run.
    """
    script = tmp_path / "programs.py"
    script.write_text(
        "import jax, jax.numpy as jnp, optax\n"
        "from functools import partial\n"
        "compiled, traced, called = [], [], []\n"
        "def heard(event, seconds, **about):\n"
        "    if event.endswith('backend_compile_duration') and about['fun_name'] == 'jit(step)': compiled.append(i)\n"
        "jax.monitoring.register_event_duration_secs_listener(heard)\n"
        "tx = optax.sgd(0.1)\n"
        "w = jnp.ones((16, 4))\n"
        "s = tx.init(w)\n"
        "options = {'xla_cpu_enable_fast_math': False}\n"
        "@partial(jax.jit, static_argnames='power', donate_argnums=(0, 1), compiler_options=options)\n"
        "def step(w, s, power):\n"
        "    traced.append(i)\n"
        f"    if {calls_back}: jax.debug.callback(called.append, w[0, 0])\n"
        "    g = jax.grad(lambda w: (w ** power).mean())(w)\n"
        "    u, s = tx.update(g, s, w)\n"
        "    return optax.apply_updates(w, u), s\n"
        "for i in range(1, 33): w, s = step(w, s, power=2)\n"
        "jax.effects_barrier()\n"
        "print('traced', *traced, 'compiled', *compiled, 'called', len(called))\n"
    )
    command = [sys.executable, str(script)]
    called = 32 if calls_back else 0
    assert f"traced 1 compiled 1 called {called}\n" in jobs.run(command)
    told = jobs.run(command, below=True, environ={"RANKZERO_LOG_EVERY": "10"})
    assert f"traced 1 compiled 1 {12 if calls_back else 1} called {called}\n" in told
    assert points(jobs.only(), "grad/norm")["grad/norm"].keys() == {1, 11, 21, 31}


def test_each_loss_belongs_to_its_gradients(jobs: Jobs, tmp_path: Path) -> None:
    """Two losses differentiated before either update, a line search told of its loss: each training has its own."""
    script = tmp_path / "adversaries.py"
    script.write_text(
        "import jax, jax.numpy as jnp, optax\n"
        "one, other, search = optax.adam(0.1), optax.sgd(0.1), optax.lbfgs()\n"
        "v, w = jnp.ones((4, 3)), 2 * jnp.ones(5)\n"
        "square = lambda x: (x ** 2).sum()\n"
        "searched = optax.value_and_grad_from_state(square)\n"
        "@jax.jit\n"
        "def both(v, w, s, t):\n"
        "    (_, f), (_, g) = jax.value_and_grad(square)(v), jax.value_and_grad(square)(w)\n"
        "    u, s = one.update(jax.tree.map(lambda part: part.clip(-1, 1), f), s, v)\n"
        "    x, t = other.update(g, t, w)\n"
        "    return v + u, w + x, s, t\n"
        "@jax.jit\n"
        "def third(v, s):\n"
        "    loss, g = searched(v, state=s)\n"
        "    u, s = search.update(g, s, v, value=loss, grad=g, value_fn=square)\n"
        "    return v + u, s\n"
        "for _ in range(2): both(v, w, one.init(v), other.init(w))\n"
        "for _ in range(2): third(v, search.init(v))\n"
    )
    jobs.run([sys.executable, script], below=True)
    found = points(jobs.only(), "loss", "loss@2", "loss@3")
    assert [list(series.values()) for series in found.values()] == [[12.0] * 2, [20.0] * 2, [12.0] * 2]


SEVERAL = {
    "added": 1, "weighted": 1, "averaged": 1, "summed": 1, "nested": 1, "parts": 1, "sharpness": 1, "attacked": 1, "magnified": 1,
    "unsteady": 0, "added-apart": 1, "sharpness-apart": 1, "small-apart": 0, "attacked-apart": 1,
    "adversaries": 2, "adversaries-apart": 2,
}  # fmt: skip
"""Forms of the script, and how many optimizers in each have a loss."""


def test_several_values_in_a_step(jobs: Jobs) -> None:
    """The loss is what the optimizer's gradients are those of: a sum, a mean, one of several values; none where that cannot be seen."""
    printed = both_ways(jobs, "losses.py", "--forms", *SEVERAL)
    found = jobs.only()
    number = 0
    for form, having in SEVERAL.items():
        recorded: list[float] = []
        for _ in range(having or 1):
            number += 1
            key = f"loss@{number}" if number > 1 else "loss"
            recorded += points(found, key).get(key, {}).values()
        assert recorded == pytest.approx(printed[f"losses/{form}"]), form


@pytest.mark.parametrize("form", ["unsteady", "small-apart"])
def test_a_loss_that_cannot_be_told(jobs: Jobs, form: str) -> None:
    """There is none, and the report says why."""
    told = jobs.run([sys.executable, SCRIPTS / "losses.py", "--forms", form], below=True)
    assert "several values were differentiated before each step" in told
    found = jobs.only()
    assert "loss" not in found.series
    assert len(found.values("optim/lr")) == 3


def test_several_steps_in_a_call(jobs: Jobs, tmp_path: Path) -> None:
    """Steps that a function takes one after the other are counted from one, as any are."""
    script = tmp_path / "unrolled.py"
    script.write_text(
        "import jax, jax.numpy as jnp, optax\n"
        "tx = optax.adam(0.1); w = jnp.ones(4); s = tx.init(w)\n"
        "@jax.jit\n"
        "def steps(w, s):\n"
        "    for _ in range(3):\n"
        "        l, g = jax.value_and_grad(lambda w: (w ** 2).mean())(w)\n"
        "        u, s = tx.update(g, s, w)\n"
        "        w = optax.apply_updates(w, u)\n"
        "    return w, s\n"
        "for _ in range(2): w, s = steps(w, s)\n"
    )
    jobs.run([sys.executable, script], below=True)
    found = points(jobs.only(), "loss", "optim/lr")
    assert [list(series) for series in found.values()] == [[1, 2, 3, 4, 5, 6]] * 2


def test_an_optimizer_made_in_the_step(jobs: Jobs, tmp_path: Path) -> None:
    """Each time that the step is traced it is made anew, and the training is the same; of two in a step each is its own."""
    script = tmp_path / "inner.py"
    script.write_text(
        "import jax, jax.numpy as jnp, optax\n"
        "def made(): return optax.chain(optax.clip(1.0), optax.sgd(0.1))\n"
        "def loss(w, x): return ((x @ w['w']) ** 2).mean()\n"
        "def update(w, x):\n"
        "    tx = made()\n"
        "    l, g = jax.value_and_grad(loss)(w, x)\n"
        "    u, _ = tx.update(g, tx.init(w), w)\n"
        "    return optax.apply_updates(w, u), l\n"
        "@jax.jit\n"
        "def step(v, w, x): return update(v, x), update(w, 2 * x)\n"
        "@jax.jit\n"
        "def several(w, xs): return jax.lax.scan(update, w, xs)\n"
        "v = w = {'w': jnp.ones((4, 3))}\n"
        "seen = []\n"
        "for size in (8, 8, 5):\n"
        "    (v, one), (w, other) = step(v, w, jnp.ones((size, 4)))\n"
        "    seen.append((one, other))\n"
        "for size in (8, 5): w, more = several(w, jnp.ones((2, size, 4)))\n"
        "print('losses', *[float(loss).hex() for both in zip(*seen) for loss in both])\n"
    )
    printed = results(jobs.run([sys.executable, script], below=True))
    found = points(jobs.only(), "loss", "loss@2", "loss@3", "loss@4")
    assert [list(series) for series in found.values()] == [[1, 2, 3], [1, 2, 3], [1, 2, 3, 4]]
    assert [*found["loss"].values(), *found["loss@2"].values()] == pytest.approx(printed["losses"])


@pytest.mark.parametrize("form", ["whole", "apart"])
def test_checks_for_nans(jobs: Jobs, tmp_path: Path, form: str) -> None:
    """`jax_debug_nans` says what it says without us, also after a sample; the step that it runs once more, as Python, is no other one."""
    script = tmp_path / "checked.py"
    script.write_text(
        "import sys, jax, jax.numpy as jnp, optax\n"
        "jax.config.update('jax_debug_nans', True)\n"
        "tx = optax.sgd(0.1)\n"
        "@jax.jit\n"
        "def loss(w, x): return jnp.log(w * x).mean()\n"
        "@jax.jit\n"
        "def apply(w, s, g):\n"
        "    u, s = tx.update(g, s, w)\n"
        "    return optax.apply_updates(w, u), s\n"
        "differentiate = jax.value_and_grad(loss) if 'whole' in sys.argv else jax.jit(jax.value_and_grad(loss))\n"
        "def step(w, s, x):\n"
        "    l, g = differentiate(w, x)\n"
        "    return *apply(w, s, g), l\n"
        "if 'whole' in sys.argv: step = jax.jit(step)\n"
        "w = jnp.ones(4); s = tx.init(w)\n"
        "for i in range(5):\n"
        "    x = jnp.ones(4) if i != 3 else -jnp.ones(4)\n"
        "    try: w, s, l = step(w, s, x)\n"
        "    except FloatingPointError as error: print('raised', i, error)\n"
        "    else: print('losses', float(l).hex())\n"
    )
    command = [sys.executable, str(script), form]

    def said(printed: str) -> list[str]:
        return [line for line in printed.splitlines() if line.startswith(("losses", "raised"))]

    plain = said(jobs.run(command))
    assert plain[3] == "raised 3 invalid value (nan) encountered in log"
    assert said(jobs.run(command, below=True, environ={"RANKZERO_LOG_EVERY": "2"})) == plain
    found = points(jobs.only(), "loss", "optim/lr", "grad/norm")
    assert [list(series) for series in found.values()] == [[1, 2, 3, 4]] * 2 + [[1, 3]]
    losses = [float.fromhex(line.split()[1]) for line in plain if line.startswith("losses")]
    assert list(found["loss"].values()) == pytest.approx(losses)


def test_the_rate_of_sharpness_aware_training(jobs: Jobs, tmp_path: Path) -> None:
    """Of `optax.contrib.sam` it is the outer optimizer's, not how far is looked; alone, in a chain, and where the step looks itself."""
    pytest.importorskip("optax.contrib", reason="this optax has no contrib")
    script = tmp_path / "sam.py"
    script.write_text(
        "import jax, jax.numpy as jnp, optax\n"
        "from optax import contrib\n"
        "looking = optax.chain(contrib.normalize(), optax.sgd(0.05))\n"
        "loss = lambda w: (w ** 2).mean()\n"
        "def train(tx, **more):\n"
        "    @jax.jit\n"
        "    def step(w, s):\n"
        "        u, s = tx.update(jax.grad(loss)(w), s, w, **more)\n"
        "        return optax.apply_updates(w, u), s\n"
        "    w = jnp.ones(4); s = tx.init(w)\n"
        "    for _ in range(2): w, s = step(w, s)\n"
        "train(contrib.sam(optax.adam(0.3), looking))\n"
        "train(optax.chain(optax.clip(1.0), contrib.sam(optax.sgd(0.2), looking)))\n"
        "train(contrib.sam(optax.sgd(0.1), looking, opaque_mode=True), grad_fn=lambda w, _: jax.grad(loss)(w))\n"
    )
    jobs.run([sys.executable, script], below=True)
    found = points(jobs.only(), "optim/lr", "optim/lr@2", "optim/lr@3")
    assert [list(series.values()) for series in found.values()] == [
        pytest.approx([rate] * 2) for rate in (0.3, 0.2, 0.1)
    ]


def test_what_jax_says_of_wrong_functions(jobs: Jobs, tmp_path: Path) -> None:
    """Functions that return no pair where JAX asks for one, and arguments by position: the same words as without us."""
    script = tmp_path / "wrong.py"
    script.write_text(
        "import jax, jax.numpy as jnp\n"
        "def told(function):\n"
        "    try: print(jax.jit(function)(jnp.ones(2)))\n"
        "    except TypeError as error: print(str(error).partition(', but got')[0])\n"
        "told(lambda x: jax.grad(lambda x: x.sum(), has_aux=True)(x))\n"
        "told(lambda x: jax.grad(lambda x: (x.sum(), 1, 2), has_aux=True)(x))\n"
        "told(lambda x: jax.grad(lambda x: (x * x).sum(), 0, False, True)(x + 1j))\n"
        "told(lambda x: jax.lax.scan(lambda c, _: (c, c, c), x, length=2))\n"
    )
    command = [sys.executable, str(script)]
    assert jobs.run(command, below=True).startswith(jobs.run(command))
