"""What a model looks like: its class, size and parameters."""

from __future__ import annotations

import math
import sys
from typing import Any

from rankzero_jax.trees import named_leaves

MOST_PARAMETERS = 200


def parameters_of(obj: Any) -> Any:
    """The parameters of an nnx module, a linen TrainState or a tree of arrays; None for anything else."""
    nnx = sys.modules.get("flax.nnx")
    if nnx is not None and isinstance(obj, nnx.Module):
        return nnx.state(obj, nnx.Param)
    params = getattr(obj, "params", None)
    if params is not None and hasattr(obj, "apply_gradients"):
        return params
    return obj if isinstance(obj, dict) and named_leaves(obj) else None


def describe(obj: Any, params: Any) -> dict[str, Any]:
    """The model's class, number of parameters, and name, shape and type of each, at most 200."""
    leaves = named_leaves(params)
    found: dict[str, Any] = {
        "class": _class_of(obj),
        "parameters": sum(math.prod(leaf.shape) for _, leaf in leaves),
        "layers": [[name, list(leaf.shape), str(leaf.dtype)] for name, leaf in leaves[:MOST_PARAMETERS]],
    }
    if len(leaves) > MOST_PARAMETERS:
        found["more_layers"] = len(leaves) - MOST_PARAMETERS
    return found


def _class_of(obj: Any) -> str:
    """Of a TrainState the module whose `apply` it holds."""
    owner = getattr(getattr(obj, "apply_fn", None), "__self__", None)
    return type(obj if owner is None else owner).__name__
