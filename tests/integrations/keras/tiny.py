"""A tiny model, compiled, and data for it."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

Arrays = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def data(size: int = 64) -> Arrays:
    """Numbers and a function of them."""
    x = np.random.default_rng(0).random((size, 8), dtype=np.float32)
    return x, x.sum(1, keepdims=True)


def model(optimizer: Any = "adam", kind: Any = keras.Sequential, **compiled: Any) -> Any:
    """Two dense layers, the same weights every time."""
    keras.utils.set_random_seed(0)
    layers = [
        keras.Input((8,)),
        keras.layers.Dense(16, activation="relu", name="hidden"),
        keras.layers.Dense(1, name="out"),
    ]
    if kind is keras.Sequential:
        made = keras.Sequential(layers, name="tiny")
    else:
        made = kind(layers[0], layers[2](layers[1](layers[0])), name="tiny")
    made.compile(optimizer, "mse", **{"metrics": ["mae"], **compiled})
    return made
