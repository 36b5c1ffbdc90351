"""Configs of the real libraries: pydantic, attrs, OmegaConf, argparse, absl, numpy, torch, jax."""

from __future__ import annotations

import argparse
from typing import Any

import absl.flags
import attrs
import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import omegaconf
import pydantic
import pydantic.v1
import torch

from rankzero.run.config.hyperparameters import plain


def test_pydantic() -> None:
    """Models of version 2 and 1 are their fields, extras included; a secret stays masked."""

    class Optim(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")
        lr: float = 0.1
        key: pydantic.SecretStr = pydantic.SecretStr("hunter2")

    class Train(pydantic.BaseModel):
        optim: Optim
        epochs: int = 3

    model = Train(optim=Optim.model_validate({"momentum": 0.9}))
    assert plain(model) == {
        "optim": {"lr": 0.1, "key": "<SecretStr('**********')>", "momentum": 0.9},
        "epochs": 3,
    }


def test_attrs_and_msgspec() -> None:
    """Attrs classes, with and without slots, and msgspec structs are their fields."""

    @attrs.define
    class Slotted:
        lr: float = 0.1

    @attrs.frozen(slots=False)
    class Plain:
        inner: Slotted = attrs.Factory(Slotted)

    class Struct(msgspec.Struct):
        width: int = 8

    assert plain(Plain()) == {"inner": {"lr": 0.1}}
    assert plain({"model": Struct()}) == {"model": {"width": 8}}


def test_omegaconf() -> None:
    """Interpolations are resolved; what is missing or cannot be resolved says so and costs nothing else."""
    given: dict[str, Any] = {
        "lr": 0.1,
        "twice": "${lr}",
        "gone": "${nowhere}",
        "todo": "???",
        "list": [1, "${lr}"],
        "none": None,
    }
    config = omegaconf.OmegaConf.create(given)
    assert plain(config) == {
        "lr": 0.1,
        "twice": 0.1,
        "gone": "<unreadable: InterpolationKeyError>",
        "todo": "???",
        "list": [1, 0.1],
        "none": None,
    }
    assert plain({"cfg": config})["cfg"]["twice"] == 0.1


def test_argparse() -> None:
    """A parsed command line is its arguments, at the top or nested."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--out", type=argparse.FileType("w"), default=None)
    arguments = parser.parse_args([])
    assert plain(arguments) == {"lr": 0.1, "out": None}
    assert plain({"args": arguments}) == {"args": {"lr": 0.1, "out": None}}


def test_absl_flags() -> None:
    """Absl flags are those the program defined, not absl's own; before and after parsing."""
    flags = absl.flags.FlagValues()  # type: ignore[no-untyped-call]
    absl.flags.DEFINE_float("lr", 0.1, "the rate", flag_values=flags)
    absl.flags.DEFINE_list("layers", ["1"], "sizes", flag_values=flags)
    assert plain(flags) == {"lr": 0.1, "layers": ["1"]}
    flags(["prog", "--lr=0.2"])
    assert plain(flags) == {"lr": 0.2, "layers": ["1"]}
    assert "logtostderr" not in plain(absl.flags.FLAGS)


def test_numpy() -> None:
    """Numpy scalars are numbers, dtypes their names, arrays marked with shape and type."""
    assert plain(
        {
            "float": np.float32(0.5),
            "double": np.float64("nan"),
            "int": np.int64(3),
            "bool": np.True_,
            "text": np.str_("x"),
            "zero-d": np.array(2.5),
            "dtype": np.dtype("float32"),
            "class": np.float32,
            "array": np.zeros((3, 4), np.float32),
            "time": np.datetime64("2026-01-02"),
            "objects": np.array([object()]),
            np.int64(7): 1,
        }
    ) == {
        "float": 0.5,
        "double": "NaN",
        "int": 3,
        "bool": True,
        "text": "x",
        "zero-d": 2.5,
        "dtype": "float32",
        "class": "<class numpy.float32>",
        "array": "<numpy.ndarray shape=(3, 4) float32>",
        "time": "<numpy.datetime64 2026-01-02>",
        "objects": "<numpy.ndarray shape=(1,) object>",
        "7": 1,
    }


def test_torch() -> None:
    """Torch scalars are numbers; dtypes, devices, tensors, modules and meta tensors are readable."""
    converted = plain(
        {
            "scalar": torch.tensor(0.5, requires_grad=True),
            "half": torch.tensor(0.5, dtype=torch.bfloat16),
            "tensor": torch.zeros(3, 4),
            "meta": torch.zeros((), device="meta"),
            "dtype": torch.bfloat16,
            "device": torch.device("cpu"),
            "size": torch.Size([1, 2]),
            "module": torch.nn.Linear(2, 3),
            "optimizer": torch.optim.AdamW,
        }
    )
    assert converted.pop("meta").startswith("<torch.Tensor ")
    assert converted == {
        "scalar": 0.5,
        "half": 0.5,
        "tensor": "<torch.Tensor shape=(3, 4) float32>",
        "dtype": "torch.bfloat16",
        "device": "cpu",
        "size": [1, 2],
        "module": "<Linear(in_features=2, out_features=3, bias=True)>",
        "optimizer": "<class torch.optim.adamw.AdamW>",
    }


def test_jax() -> None:
    """Jax scalars are numbers, arrays marked; a tracer inside a jitted function does no harm."""
    seen: list[dict[str, Any]] = []

    @jax.jit
    def traced(value: Any) -> Any:
        seen.append(plain({"value": value}))
        return value

    traced(jnp.float32(1.0))
    assert plain({"scalar": jnp.float32(0.5), "array": jnp.zeros((2, 3))}) == {
        "scalar": 0.5,
        "array": "<jax.Array shape=(2, 3) float32>",
    }
    assert seen[0]["value"].startswith("<jax.")
