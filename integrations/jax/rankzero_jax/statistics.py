"""What is measured of gradients, parameters and updates, in the program that computes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from rankzero.plugin import Histogram
from rankzero_jax.taps import Tap
from rankzero_jax.trees import named_leaves

BINS = 64
SAMPLE = 4096
"""Elements of a tensor that a histogram counts at most: an even sample, and it says so."""

_TINY = 1.2e-38  # the smallest normal float32


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to measure: of gradients, of parameters and updates; each leaf by itself; histograms."""

    gradients: bool
    parameters: bool
    each: bool
    histograms: bool


def measure(wanted: Wanted, gradients: Any, updates: Any, params: Any, done: Any = None) -> Tap:
    """A tap with everything wanted, of the step that so many have been `done` with.

    What is measured stands behind a barrier, so that the compiler does not weave it into the computation that it measures;
    without axes of length one, for beside one more user it would not take them out of that computation as it does by itself.
    """
    measured = gradients if wanted.gradients else None, *((updates, params) if wanted.parameters else (None, None))
    gradients, updates, params = jax.lax.optimization_barrier(jax.tree.map(jnp.squeeze, measured))
    named: dict[str, Any] = {}
    values: dict[str, Any] = {}
    if wanted.gradients:
        _of_gradients(wanted, named, values, named_leaves(gradients))
    if wanted.parameters and params is not None:
        _of_parameters(wanted, named, values, named_leaves(params), None if updates is None else named_leaves(updates))
    numbers = jnp.stack([jnp.asarray(value, jnp.float32) for value in named.values()]) if named else jnp.zeros(0)
    return Tap("capture", names=tuple(named), numbers=numbers, values=values, step=done)


def _of_gradients(wanted: Wanted, named: dict[str, Any], values: dict[str, Any], leaves: list[tuple[str, Any]]) -> None:
    squares = [square_sum(leaf) for _, leaf in leaves]
    total = sum(squares, start=jnp.float32(0))
    named["grad/norm"] = jnp.sqrt(total)
    named["grad/nonfinite"] = _nonfinite(total, [leaf for _, leaf in leaves])
    if wanted.each:
        for (name, leaf), square in zip(leaves, squares, strict=True):
            named[f"grad/norm/{name}"] = jnp.sqrt(square)
            named[f"grad/max/{name}"] = jnp.max(jnp.abs(leaf), initial=0.0).astype(jnp.float32)
    if wanted.histograms:
        values.update({f"grad/hist/{name}": count(leaf) for name, leaf in leaves})


def _of_parameters(
    wanted: Wanted,
    named: dict[str, Any],
    values: dict[str, Any],
    leaves: list[tuple[str, Any]],
    updates: list[tuple[str, Any]] | None,
) -> None:
    norms = {name: jnp.sqrt(square_sum(leaf)) for name, leaf in leaves}
    named.update({f"weight/norm/{name}": norm for name, norm in norms.items()} if wanted.each else {})
    for name, change in updates or ():
        if wanted.each and name in norms:
            ratio = jnp.sqrt(square_sum(change)) / norms[name]
            named[f"update/ratio/{name}"] = jnp.where(norms[name] > 0, ratio, jnp.nan)
    if wanted.histograms:
        values.update({f"weight/hist/{name}": count(leaf) for name, leaf in leaves})


def square_sum(leaf: Any) -> Array:
    """The sum of a tensor's squared magnitudes, in float32."""
    wide = jnp.abs(leaf).astype(jnp.float32)
    return jnp.sum(wide * wide)


def _nonfinite(total: Array, leaves: list[Any]) -> Array:
    """How many elements are NaN or infinite. On CPUs, where that takes longer than all norms, only if there can be any."""

    def counted() -> Array:
        return sum((jnp.sum(~jnp.isfinite(leaf)).astype(jnp.float32) for leaf in leaves), start=jnp.float32(0))

    if jax.default_backend() != "cpu":
        return counted()
    return jnp.asarray(jax.lax.cond(jnp.isfinite(total), lambda: jnp.float32(0), counted))


def count(leaf: Any) -> Array:
    """A histogram of a tensor: lowest and highest finite value, number of non-finite ones, and the counts between."""
    flat = jnp.abs(leaf).reshape(-1) if jnp.iscomplexobj(leaf) else leaf.reshape(-1)
    if flat.shape[0] > SAMPLE:
        flat = flat[:: -(-flat.shape[0] // SAMPLE)]
    flat = flat.astype(jnp.float32)
    good = jnp.isfinite(flat)
    low = jnp.min(flat, initial=jnp.inf, where=good)
    high = jnp.max(flat, initial=-jnp.inf, where=good)
    scale = BINS / jnp.maximum(high - low, _TINY)
    bins = jnp.clip(jnp.nan_to_num((flat - low) * scale), 0, BINS - 1).astype(jnp.int32)
    counts = jnp.zeros(BINS, jnp.float32).at[bins].add(good.astype(jnp.float32))
    bad = jnp.float32(flat.shape[0]) - jnp.sum(good).astype(jnp.float32)
    return jnp.concatenate([jnp.stack([low, high, bad, jnp.float32(leaf.size > SAMPLE)]), counts])


def histogram(counted: Any) -> Histogram:
    """The histogram that `count` made, on the host."""
    low, high, bad, sampled, *counts = (float(number) for number in counted)
    return Histogram.between(low, high, counts, sampled=bool(sampled), nonfinite=int(bad))
