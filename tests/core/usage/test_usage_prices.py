"""Money and budgets: multiplications on top of usage, and what is said about a table that makes no sense."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from rankzero.errors import UsageError
from rankzero.usage import Budget, Cost, Prices, Usage, cost, exceeded, read_budget, read_prices

HOUR = 3600.0
TABLE = """
currency = "EUR"
process_hour = 0.05
kwh = 0.30

[device_hour]
default = 1.5
H100 = 3.9
"H100 PCIe" = 2.9
Quadro = 1.0
RTX = 9.0
"""


def test_a_table_gives_money() -> None:
    """Device-hours by kind, process-hours of jobs without devices, and energy, each at its price."""
    prices = read_prices(tomllib.loads(TABLE))
    used = Usage(
        process_s=100 * HOUR,
        cpu_process_s=10 * HOUR,
        device_kinds={
            "NVIDIA H100 80GB HBM3": 2 * HOUR,
            "NVIDIA H100 PCIe": HOUR,
            "Quadro RTX 8000": 4 * HOUR,
            "TPU v5e": HOUR,
        },
        energy_j=3.6e6,
    )
    spent = cost(used, prices)
    assert spent.amount == pytest.approx(2 * 3.9 + 2.9 + 4 * 1.0 + 1.5 + 10 * 0.05 + 0.30)
    assert (spent.currency, spent.unpriced) == ("EUR", ())


def test_a_device_without_a_price_is_named() -> None:
    """Where the table says nothing about a device its hours cost nothing, and the reader is told which."""
    prices = Prices(device_hour={"H100": 4.0})
    used = Usage(device_kinds={"TPU v5e": HOUR, "": HOUR, "h100": HOUR})
    assert cost(used, prices) == Cost(4.0, "USD", ("TPU v5e", "unknown"))


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"device_hours": {}}, "the price table knows no 'device_hours'; did you mean device_hour?"),
        ({"zz": 1}, "the price table knows no 'zz'; it may hold currency, process_hour, kwh, device_hour"),
        ({"currency": 3}, "the price table's currency is 3; write a text such as EUR"),
        ({"kwh": "a"}, "the price table's kwh is 'a'; write a number of zero or more"),
        ({"process_hour": -1}, "the price table's process_hour is -1; write a number of zero or more"),
        ({"device_hour": {"H100": True}}, "the price table's device_hour.H100 is True; write a number of zero or more"),
        (
            {"device_hour": {"H100": float("inf")}},
            "the price table's device_hour.H100 is inf; write a number of zero or more",
        ),
        (
            {"device_hour": 3},
            "the price table's device_hour is no table; write [device_hour] and below it lines such as",
        ),
    ],
)
def test_a_wrong_price_table_is_one_clear_sentence(table: dict[str, Any], sentence: str) -> None:
    """What is wrong, where, and what to write instead."""
    with pytest.raises(UsageError) as raised:
        read_prices(table)
    assert str(raised.value).startswith(sentence)


def test_a_budget_tells_when_it_is_passed() -> None:
    """One sentence per limit that is passed; a limit that is just reached or not set is silent."""
    used = Usage(wall_s=2 * HOUR, device_s=16 * HOUR, process_s=16 * HOUR)
    budget = read_budget({"wall_hours": 2, "device_hours": 10, "money": 50})
    assert exceeded(budget, used) == ["the budget of 10 device-hours is passed: 16.00 device-hours used"]
    assert exceeded(budget, used, Cost(62.4, "EUR"))[1:] == ["the budget of 50 EUR is passed: 62.40 EUR used"]
    assert exceeded(Budget(), used, Cost(62.4, "EUR")) == []


def test_a_wrong_budget_is_one_clear_sentence() -> None:
    """A misspelled limit is never a limit that is silently not there."""
    with pytest.raises(UsageError, match=r"the budget knows no 'device_hour'; did you mean device_hours\?"):
        read_budget({"device_hour": 3})
    with pytest.raises(UsageError, match="the budget's money is 'much'; write a number of zero or more"):
        read_budget({"money": "much"})
