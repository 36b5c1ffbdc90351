"""Plain jax.jit and optax on random numbers, in one form after the other. It has never heard of any tracker."""

import argparse

import jax
import jax.numpy as jnp
import optax

FORMS = ["one", "split", "grad", "scan", "nested", "eager", "donate", "pmap", "small"]
parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=20)
parser.add_argument("--lr", type=float, default=0.05)
parser.add_argument("--forms", nargs="+", choices=FORMS, default=["one"])
asked = parser.parse_args()

keys = jax.random.split(jax.random.key(0), 4)
weights = {"hidden": jax.random.normal(keys[0], (16, 32)) * 0.2, "out": jax.random.normal(keys[1], (32, 4)) * 0.2}
data = jax.random.normal(keys[2], (64, 16))
labels = jax.random.randint(keys[3], (64,), 0, 4)


def loss_of(params, data, labels):
    logits = jnp.tanh(data @ params["hidden"]) @ params["out"]
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def train(form):  # noqa: C901 - a script
    params = jax.tree.map(jnp.copy, weights)
    schedule = optax.linear_schedule(asked.lr, 0.0, asked.steps)
    optimizer = optax.adam(schedule)
    if form == "small":
        optimizer = optax.MultiSteps(optax.inject_hyperparams(optax.adam)(learning_rate=schedule), 2)
    state = optimizer.init(params)
    losses = []

    def apply(params, state, gradients):
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    def step(params, state, data, labels):
        if form == "grad":
            loss, gradients = jnp.zeros(()), jax.grad(loss_of)(params, data, labels)
        else:
            loss, gradients = jax.value_and_grad(loss_of)(params, data, labels)
        if form == "pmap":
            loss, gradients = jax.lax.pmean((loss, gradients), "devices")
        update = jax.jit(apply) if form == "nested" else apply
        return *update(params, state, gradients), loss

    if form == "scan":

        @jax.jit
        def epoch(params, state):
            def turn(carry, _):
                *carry, loss = step(*carry, data, labels)
                return tuple(carry), loss

            return jax.lax.scan(turn, (params, state), None, length=asked.steps // 4)

        for _ in range(4):
            (params, state), found = epoch(params, state)
            losses += found.tolist()
    elif form == "split":
        differentiate, apply = jax.jit(jax.value_and_grad(loss_of)), jax.jit(apply)
        for _ in range(asked.steps):
            loss, gradients = differentiate(params, data, labels)
            params, state = apply(params, state, gradients)
            losses.append(loss)
    elif form == "pmap":
        count = jax.local_device_count()
        params, state = jax.tree.map(lambda leaf: jnp.stack([leaf] * count), (params, state))
        parallel = jax.pmap(step, axis_name="devices")
        shards = data.reshape(count, -1, 16), labels.reshape(count, -1)
        for _ in range(asked.steps):
            params, state, loss = parallel(params, state, *shards)
            losses.append(loss[0])
    else:
        if form != "eager":
            step = jax.jit(step, donate_argnums=(0, 1) if form == "donate" else ())
        for _ in range(asked.steps):
            params, state, loss = step(params, state, data, labels)
            losses.append(loss)
    print(f"losses/{form}", [float(loss).hex() for loss in losses])
    print(f"weights/{form}", [float(leaf.sum()).hex() for leaf in jax.tree.leaves(params)])


for form in asked.forms:
    train(form)
