"""A run's optimizers: what their metrics are called, their learning rates and hyperparameters."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim import Optimizer

Rates = list[Any] | None
"""An optimizer's learning rates, group by group, as they were at a step; a group may have none. None: nobody wants them."""


class Tracked:
    """One optimizer. The first of a run has plain names; those after it a suffix, "@2", "@3".

    Attributes:
        loss: the name of its loss.
    """

    def __init__(self, number: int) -> None:
        self.suffix = f"@{number}" if number > 1 else ""
        self.loss = f"loss{self.suffix}"
        self._keys: list[str] = []

    def rates(self, optimizer: Optimizer) -> list[Any]:
        """The learning rates of the groups now."""
        groups, found = optimizer.param_groups, []
        for group in groups:
            rate = group.get("lr")
            found.append(rate if type(rate) is float else number(rate))
        if len(groups) > 1 and len(self._keys) != len(groups):
            self._keys = [f"optim/lr/{group.get('name', index)}{self.suffix}" for index, group in enumerate(groups)]
        return found

    def put(self, row: dict[str, Any], rates: Rates) -> None:
        """The learning rate of the first group and, where there are several, of each under its name or number."""
        if rates is None:
            return
        if rates[0] is not None:
            row[f"optim/lr{self.suffix}"] = rates[0]
        if len(rates) > 1:
            row.update((key, rate) for key, rate in zip(self._keys, rates, strict=False) if rate is not None)

    def put_rates(self, row: dict[str, Any], optimizer: Optimizer) -> None:
        """What the learning rates are now."""
        self.put(row, self.rates(optimizer))


def hyperparameters(optimizer: Optimizer) -> dict[str, Any]:
    """The optimizer's class and settings; of several groups what they share, and for each its own and its size."""
    groups = [
        {key: number(value) for key, value in group.items() if key != "params"} for group in optimizer.param_groups
    ]
    kept = [{key: value for key, value in group.items() if value is not None} for group in groups]
    shared = {key: value for key, value in kept[0].items() if all(key in g and g[key] == value for g in kept)}
    found: dict[str, Any] = {"class": type(optimizer).__name__, **shared}
    if len(kept) > 1:
        found["groups"] = [
            {key: value for key, value in own.items() if key not in shared}
            | {"parameters": sum(tensor.numel() for tensor in group["params"])}
            for own, group in zip(kept, optimizer.param_groups, strict=True)
        ]
    return found


def number(value: Any) -> Any:
    """A tensor's number where it is on the host; anything else as it is."""
    if isinstance(value, Tensor) and value.numel() == 1 and value.device.type == "cpu":
        return value.item()
    return value
