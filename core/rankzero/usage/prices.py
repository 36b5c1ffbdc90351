"""Money: a price table that the user gives, and the multiplications on top of usage.

As TOML:

    currency = "EUR"
    process_hour = 0.05          # a process of a job without devices
    kwh = 0.30                   # energy that devices reported

    [device_hour]
    default = 1.50               # every kind not named below
    H100 = 3.90                  # every device whose name contains it; the longest such name wins
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from rankzero.errors import UsageError
from rankzero.usage.totals import Usage

HOUR_S = 3600.0
KWH_J = 3.6e6
DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What an hour of a device by its kind, an hour of a process without devices and a kilowatt-hour cost."""

    currency: str = "USD"
    process_hour: float = 0.0
    kwh: float = 0.0
    device_hour: Mapping[str, float] = field(default_factory=dict)

    def of_device(self, kind: str) -> float | None:
        """The price of an hour of a device, None if the table says nothing about it."""
        named = [name for name in self.device_hour if name != DEFAULT and name.lower() in kind.lower()]
        return self.device_hour.get(max(named, key=len, default=DEFAULT))


@dataclass(frozen=True, slots=True)
class Cost:
    """An amount of money; `unpriced` names the kinds of device that the table says nothing about."""

    amount: float
    currency: str
    unpriced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What may be used; None sets no limit. `money` is in the currency of the price table."""

    wall_hours: float | None = None
    device_hours: float | None = None
    process_hours: float | None = None
    money: float | None = None


def cost(usage: Usage, prices: Prices) -> Cost:
    """What the usage costs."""
    amount = usage.cpu_process_s / HOUR_S * prices.process_hour + usage.energy_j / KWH_J * prices.kwh
    unpriced = []
    for kind, seconds in usage.device_kinds.items():
        price = prices.of_device(kind)
        if price is None:
            unpriced.append(kind or "unknown")
        else:
            amount += seconds / HOUR_S * price
    return Cost(amount, prices.currency, tuple(sorted(unpriced)))


def exceeded(budget: Budget, usage: Usage, spent: Cost | None = None) -> list[str]:
    """One sentence for each limit of the budget that the usage has passed."""
    hours = {"wall_hours": usage.wall_s, "device_hours": usage.device_s, "process_hours": usage.process_s}
    used = {name: (seconds / HOUR_S, name.replace("_", "-")) for name, seconds in hours.items()}
    if spent is not None:
        used["money"] = (spent.amount, spent.currency)
    limits = {name: getattr(budget, name) for name in used}
    return [
        f"the budget of {limits[name]:g} {unit} is passed: {amount:.2f} {unit} used"
        for name, (amount, unit) in used.items()
        if limits[name] is not None and amount > limits[name]
    ]


def read_prices(table: Mapping[str, Any]) -> Prices:
    """The price table in a parsed TOML file; see the head of this file.

    Raises:
        UsageError: an unknown name, or a price that is no number of zero or more.
    """
    _check_names(table, [each.name for each in fields(Prices)], "price table")
    currency = table.get("currency", "USD")
    if not isinstance(currency, str):
        raise UsageError(f"the price table's currency is {currency!r}; write a text such as EUR")
    devices = table.get("device_hour", {})
    if not isinstance(devices, Mapping):
        raise UsageError(
            'the price table\'s device_hour is no table; write [device_hour] and below it lines such as "H100" = 3.9'
        )
    return Prices(
        currency=currency,
        process_hour=_amount(table.get("process_hour", 0.0), "price table's process_hour"),
        kwh=_amount(table.get("kwh", 0.0), "price table's kwh"),
        device_hour={str(kind): _amount(price, f"price table's device_hour.{kind}") for kind, price in devices.items()},
    )


def read_budget(table: Mapping[str, Any]) -> Budget:
    """A budget in a parsed TOML file: any of wall_hours, device_hours, process_hours, money.

    Raises:
        UsageError: an unknown name, or a limit that is no number of zero or more.
    """
    _check_names(table, [each.name for each in fields(Budget)], "budget")
    return Budget(**{name: _amount(limit, f"budget's {name}") for name, limit in table.items()})


def _check_names(given: Iterable[str], known: list[str], what: str) -> None:
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"it may hold {', '.join(known)}"
            raise UsageError(f"the {what} knows no {name!r}; {hint}")


def _amount(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise UsageError(f"the {what} is {value!r}; write a number of zero or more")
    return float(value)
