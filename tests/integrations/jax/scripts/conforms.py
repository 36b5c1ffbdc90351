"""A plain jax.jit and optax loop, in one process or several that meet by jax.distributed, that does what a plan says."""

import atexit
import os
from pathlib import Path

import jax

RANK, RANKS = (int(os.environ.get(name, default)) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1")))
FAILED = []


@atexit.register
def leave():
    """JAX lets a process that fails wait for the others at its end, for minutes; this one does not."""
    if FAILED:
        os._exit(1)


def train(plan):
    if RANKS > 1:
        jax.distributed.initialize(f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}", RANKS, RANK)
    losses = [fit(plan, number) for number in range(plan.fits)]
    if RANKS > 1:
        jax.distributed.shutdown()
    return {"loss": losses[0], "others": losses[1:]}


def fit(plan, number):  # noqa: C901 - a script
    import numpy as np
    import optax
    import orbax.checkpoint as ocp
    from jax.sharding import Mesh, NamedSharding
    from jax.sharding import PartitionSpec as P

    mesh = Mesh(np.array(jax.devices()), ("data",))
    whole, parted = NamedSharding(mesh, P()), NamedSharding(mesh, P("data"))
    manager = ocp.CheckpointManager(Path("kept").absolute()) if plan.save_at else None
    last = manager.latest_step() if manager else None
    run = record(plan, number) if plan.by_hand else None
    optimizer = optax.adam(0.01)
    if run:
        import rankzero_jax

        optimizer = rankzero_jax.capture(optimizer, log="norm")
    params = jax.jit(lambda key: {"w": jax.random.normal(key, (4, 1))}, out_shardings=whole)(jax.random.key(number))
    state = jax.jit(optimizer.init, out_shardings=whole)(params)

    def step(params, state, x):
        def loss_of(params):
            return ((x @ params["w"] - x.sum(1, keepdims=True)) ** 2).mean()

        loss, gradients = jax.value_and_grad(loss_of)(params)
        if run:
            rankzero_jax.log({"loss" if number == 0 else f"loss@{number + 1}": loss})
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, loss

    step = rankzero_jax.jit(step, every=2) if run else jax.jit(step)
    losses = []
    if last is not None:
        kept = manager.restore(last, args=ocp.args.StandardRestore({"params": params, "state": state}))
        params, state = kept["params"], kept["state"]
    for count in range((last or 0) + 1, plan.steps + 1):
        mine = np.random.default_rng(count * 10 + RANK).normal(size=(8, 4)).astype("f")
        if count == plan.fail_at and last is None and plan.fail_rank == RANK:
            FAILED.append(count)
            raise ValueError("failed on purpose")
        params, state, loss = step(params, state, jax.make_array_from_process_local_data(parted, mine))
        losses.append(float(loss))
        if manager and count % plan.save_at == 0:
            manager.save(count, args=ocp.args.StandardSave({"params": params, "state": state}))
            manager.wait_until_finished()
    if manager:
        manager.close()
    if run and number == plan.fits - 1:
        run.finish()
    return losses


def record(plan, number):
    import rankzero
    import rankzero_jax

    rankzero_jax.listen()
    known = rankzero_jax.run_of(Path("kept").absolute())
    return rankzero.init(project="conformance", config={"lr": 0.01}, id=known or None, reinit="return_previous")
