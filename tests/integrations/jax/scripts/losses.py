"""Steps that differentiate several values, one form after the other. It has never heard of any tracker.

Of each form it prints the values that its optimizers take their steps on, in turn.
"""

import argparse
from functools import partial

import jax
import jax.numpy as jnp
import optax

STEPS = 3
keys = jax.random.split(jax.random.key(0), 3)
data = jax.random.normal(keys[0], (8, 4))
weights = {"w": jax.random.normal(keys[1], (4, 2)), "b": jnp.zeros(2)}
others = {"w": jax.random.normal(keys[2], (4, 2)), "b": jnp.ones(2)}


def near(params, x):
    return (jnp.tanh(x @ params["w"] + params["b"]) ** 2).mean()


def far(params, x):
    return (jnp.cos(x @ params["w"] + params["b"]) - 2).mean() ** 2


def total(*trees):
    return jax.tree.map(lambda *leaves: sum(leaves), *trees)


def scaled(tree, factor):
    return jax.tree.map(lambda leaf: leaf * factor, tree)


def clipped(tree):
    length = optax.global_norm(tree)
    return jax.tree.map(lambda leaf: leaf * jnp.minimum(1.0, 0.1 / (length + 1e-6)), tree)


def added(params, x):
    (one, f), (other, g) = jax.value_and_grad(near)(params, x), jax.value_and_grad(far)(params, x)
    return one + other, clipped(total(f, g))


def weighted(params, x):
    (one, f), (other, g) = jax.value_and_grad(near)(params, x), jax.value_and_grad(far)(params, x)
    return one + other / 10, jax.tree.map(lambda f, g: jnp.clip(f + 0.1 * g, -1, 1), f, g)


def averaged(params, x):
    values, gradients = zip(*(jax.value_and_grad(near)(params, part) for part in jnp.split(x, 4)), strict=True)
    return sum(values) / 4, jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *gradients)


def summed(params, x):
    value, gradients = 0.0, jax.tree.map(jnp.zeros_like, params)
    for part in jnp.split(x, 4):
        more, found = jax.value_and_grad(near)(params, part)
        value, gradients = value + more, jax.tree.map(jnp.add, gradients, found)
    return value, gradients


def nested(params, x):
    (one, f), (other, g) = jax.jit(jax.value_and_grad(near))(params, x), jax.jit(jax.value_and_grad(far))(params, x)
    return one + other, jax.jit(total)(f, g)


def parts(params, x):
    one, f = jax.value_and_grad(lambda w: near({**params, "w": w}, x))(params["w"])
    other, g = jax.value_and_grad(lambda b: far({**params, "b": b}, x))(params["b"])
    return one + other, {"w": f, "b": g}


def sharpness(params, x):
    upward = clipped(jax.grad(near)(params, x))
    value, gradients = jax.value_and_grad(near)(total(params, upward), x)
    return value, clipped(gradients)


def attacked(params, x):
    return jax.value_and_grad(near)(params, x + 0.1 * jnp.sign(jax.grad(near, 1)(params, x)))


def magnified(params, x):
    """So that gradients of few bits do not vanish."""
    value, gradients = jax.value_and_grad(lambda params: 1024 * near(params, x))(params)
    return value / 1024, jax.tree.map(lambda leaf: leaf / 1024, gradients)


def unsteady(params, x):
    """How much there is of each is found out by the program."""
    (one, f), (_, g) = jax.value_and_grad(near)(params, x), jax.value_and_grad(far)(params, x)
    return None, total(f, scaled(g, one))


WITHIN = [added, weighted, averaged, summed, nested, parts, sharpness, attacked, magnified, unsteady]


def train_within(compute):
    """All of a step in one function."""
    optimizer = optax.adam(0.05)
    params, state = weights, optimizer.init(weights)

    @jax.jit
    def step(params, state):
        value, gradients = compute(params, data)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, value

    for _ in range(STEPS):
        params, state, value = step(params, state)
        yield params, [value]


def train_apart(compute, *, whole):
    """A function differentiates, what the program makes of it is not compiled, another function steps."""
    optimizer = optax.adam(0.05)
    params, state = weights, optimizer.init(weights)
    differentiate = jax.jit(compute) if whole else partial(compute_apart, jax.jit(jax.value_and_grad(near)))

    @jax.jit
    def apply(params, state, gradients):
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(STEPS):
        value, gradients = differentiate(params, data)
        params, state = apply(params, state, gradients)
        yield params, [value]


def compute_apart(differentiate, params, x):
    """In small batches; what is made of them nobody can see."""
    _, gradients = zip(*(differentiate(params, part) for part in jnp.split(x, 4)), strict=True)
    return None, scaled(total(*gradients), 1 / 4)


def train_attacked():
    """An attack on the data, in a function of its own, before each step."""
    attack = jax.jit(lambda params, x: x + 0.1 * jnp.sign(jax.grad(near, 1)(params, x)))

    def compute(differentiate, params, x):
        return differentiate(params, attack(params, attack(params, x)))

    differentiate = partial(compute, jax.jit(jax.value_and_grad(near)))
    optimizer = optax.adam(0.05)
    params, state = weights, optimizer.init(weights)
    for _ in range(STEPS):
        value, gradients = differentiate(params, data)
        updates, state = jax.jit(optimizer.update)(gradients, state)
        params = optax.apply_updates(params, updates)
        yield params, [value]


def train_adversaries(*, apart):
    """Two models of the same shapes: each has its own, whether it is stepped in the same function or not."""
    pair = [optax.adam(0.05), optax.sgd(0.05)]
    models, states = [weights, others], [pair[0].init(weights), pair[1].init(others)]

    def apply(which, gradients, model, state):
        updates, state = pair[which].update(clipped(gradients), state, model)
        return optax.apply_updates(model, updates), state

    @jax.jit
    def both(models, states):
        found = [jax.value_and_grad(loss)(model, data) for loss, model in zip([near, far], models, strict=True)]
        stepped = [apply(which, found[which][1], models[which], states[which]) for which in range(2)]
        return [model for model, _ in stepped], [state for _, state in stepped], [value for value, _ in found]

    functions = [
        (jax.jit(jax.value_and_grad(loss)), jax.jit(partial(apply, which))) for which, loss in enumerate([near, far])
    ]
    for _ in range(STEPS):
        if apart:
            values = []
            for which, (differentiate, update) in enumerate(functions):
                value, gradients = differentiate(models[which], data)
                models[which], states[which] = update(gradients, models[which], states[which])
                values.append(value)
        else:
            models, states, values = both(models, states)
        yield models, values


FORMS = {
    **{compute.__name__: partial(train_within, compute) for compute in WITHIN},
    "added-apart": partial(train_apart, added, whole=True),
    "sharpness-apart": partial(train_apart, sharpness, whole=True),
    "small-apart": partial(train_apart, None, whole=False),
    "attacked-apart": train_attacked,
    "adversaries": partial(train_adversaries, apart=False),
    "adversaries-apart": partial(train_adversaries, apart=True),
}
parser = argparse.ArgumentParser()
parser.add_argument("--forms", nargs="+", choices=FORMS, default=["added"])
for form in parser.parse_args().forms:
    models, values = zip(*FORMS[form](), strict=True)
    steps = [[value for value in each if value is not None] for each in values]
    print(f"losses/{form}", *[float(value).hex() for each in zip(*steps, strict=True) for value in each])
    print(f"weights/{form}", *[float(leaf.sum()).hex() for leaf in jax.tree.leaves(models[-1])])
