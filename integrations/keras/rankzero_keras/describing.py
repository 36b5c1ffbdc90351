"""What a training is configured with: the model's layout, optimizer and compile configuration, versions and devices."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from typing import Any

import keras

MOST_LAYERS = 200


def model_facts(model: Any) -> dict[str, Any]:
    """A model's class, size and layers: path, class and number of parameters of each that has its own, at most 200.

    Of one that is built by its first batch, no more than its class.
    """
    if not model.variables:
        return {"class": type(model).__name__, "name": model.name}
    layers = [
        [layer.path if getattr(layer, "path", None) else layer.name, type(layer).__name__, size]
        for layer in _layers(model)
        if (size := _elements(_own_weights(layer)))
    ]
    trainable = _elements(model.trainable_variables)
    facts: dict[str, Any] = {
        "class": type(model).__name__,
        "name": model.name,
        "parameters": trainable + _elements(model.non_trainable_variables),
        "trainable": trainable,
        "layers": layers[:MOST_LAYERS],
    }
    if len(layers) > MOST_LAYERS:
        facts["more_layers"] = len(layers) - MOST_LAYERS
    return facts


def optimizer_facts(optimizer: Any) -> dict[str, Any]:
    """An optimizer's class and its own configuration, a learning rate schedule's included.

    Of one whose variables hold no numbers now, as in a function that is being compiled, no more than its class.
    """
    try:
        with keras.StatelessScope():  # variables are what they are outside of it, whatever one around this says
            config = optimizer.get_config()
    except (TypeError, RuntimeError):  # JAX's, for an array that is traced, or was donated
        config = {}
    return {"class": type(optimizer).__name__, **_simple(config)}


def compile_facts(model: Any) -> dict[str, Any]:
    """What `compile` was told, but for the optimizer."""
    facts: dict[str, Any] = {
        name: getattr(model, name, None) for name in ("jit_compile", "run_eagerly", "steps_per_execution")
    }
    told = getattr(model, "_compile_config", None)
    config = getattr(told, "config", None)
    if isinstance(config, dict):
        wanted = ("loss", "loss_weights", "metrics", "weighted_metrics")
        facts |= {name: _named(config[name]) for name in wanted if config.get(name) is not None}
    return {name: value for name, value in facts.items() if value is not None}


def versions() -> dict[str, str]:
    """Of Keras, its backend and numpy."""
    backend = str(keras.backend.backend())
    package = sys.modules.get(backend)
    found = {"keras": keras.__version__, "numpy": sys.modules["numpy"].__version__}
    if package is not None:
        found[backend] = str(package.__version__)
    return found


def devices() -> list[str]:
    """The devices that the backend sees."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        tensorflow = sys.modules["tensorflow"]
        return [device.name for device in tensorflow.config.list_logical_devices()]
    if backend == "jax":
        return [str(device) for device in sys.modules["jax"].local_devices()]
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return ["cpu"]


def goals(callbacks: Iterable[Any]) -> dict[str, str]:
    """What callbacks watch, and which way is better, where they say."""
    found = {}
    for callback in callbacks:
        monitor, mode = getattr(callback, "monitor", None), getattr(callback, "mode", None)
        if isinstance(monitor, str):
            better = {"min": "minimize", "max": "maximize"}.get(str(mode)) or _goal_of(callback)
            found[monitor] = better
    return {name: goal for name, goal in found.items() if goal}


def _goal_of(callback: Any) -> str:
    """What a callback made of mode="auto", as far as it shows."""
    name = getattr(getattr(callback, "monitor_op", None), "__name__", "")
    return {"less": "minimize", "greater": "maximize"}.get(name, "")


def _layers(model: Any) -> list[Any]:
    return [layer for layer in model._flatten_layers() if layer is not model]  # noqa: SLF001 - as Model.summary does


def _own_weights(layer: Any) -> list[Any]:
    return [*getattr(layer, "_trainable_variables", ()), *getattr(layer, "_non_trainable_variables", ())]


def _elements(variables: Iterable[Any]) -> int:
    return sum(math.prod(variable.shape) for variable in variables)


def _simple(config: dict[str, Any]) -> dict[str, Any]:
    """Without what is unset, and a serialised object as its class and its own configuration."""
    return {name: _named(value) for name, value in config.items() if value is not None and name != "name"}


def _named(value: Any) -> Any:
    if isinstance(value, dict) and "class_name" in value and "config" in value:
        own = value["config"]
        if not isinstance(own, dict):
            return own
        kept = _simple({key: item for key, item in own.items() if key not in {"dtype", "reduction"}})
        return {"class": value["class_name"], **kept}
    if isinstance(value, list | tuple):
        return [_named(item) for item in value]
    if isinstance(value, dict):
        return {name: _named(item) for name, item in value.items()}
    return value
