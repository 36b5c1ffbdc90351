"""Data parallel training in processes that meet by jax.distributed. It has never heard of any tracker unless told to."""

import argparse

import jax

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int)
parser.add_argument("--processes", type=int)
parser.add_argument("--rank", type=int)
parser.add_argument("--by-hand", action="store_true")
asked = parser.parse_args()
if asked.by_hand:
    import rankzero
    import rankzero_jax

    rankzero.init(project="by-hand")
jax.distributed.initialize(f"127.0.0.1:{asked.port}", asked.processes, asked.rank)

import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

mesh = Mesh(np.array(jax.devices()), ("data",))
whole, parted = NamedSharding(mesh, P()), NamedSharding(mesh, P("data"))
optimizer = optax.adam(0.05)
if asked.by_hand:
    optimizer = rankzero_jax.capture(optimizer, log="norm")
params = jax.jit(lambda key: {"w": jax.random.normal(key, (16, 4))}, out_shardings=whole)(jax.random.key(0))
state = jax.jit(optimizer.init, out_shardings=whole)(params)


def step(params, state, x):
    loss, gradients = jax.value_and_grad(lambda params: ((x @ params["w"]) ** 2).mean())(params)
    updates, state = optimizer.update(gradients, state, params)
    if asked.by_hand:
        rankzero_jax.log({"inside": loss})
    return optax.apply_updates(params, updates), state, loss


step = rankzero_jax.jit(step, every=5) if asked.by_hand else jax.jit(step)
mine = np.random.default_rng(asked.rank).normal(size=(8, 16)).astype("f")
x = jax.make_array_from_process_local_data(parted, mine)
for number in range(20):
    params, state, loss = step(params, state, x)
    if asked.by_hand:
        rankzero_jax.log({"loss": loss}, step=number)
        rankzero_jax.log({"local": float(asked.rank)}, step=number, ranks="all")
print("losses", [float(loss).hex()])
