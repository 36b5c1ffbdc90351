"""Hours and goodput: pure sums over the events of the ledger, without any input or output.

`usage(attempts)` gives a run's `Usage`; `timeline(attempts)` the same by attempt and by day; `grouped` and `total` add usages up
by project, user or anything else; `cost` and `exceeded` put money and budgets on top. What each number means is written in
docs/usage-definitions.md.
"""

from rankzero.usage.goodput import PHASES
from rankzero.usage.ledger import Attempt, Writer
from rankzero.usage.prices import Budget, Cost, Prices, cost, exceeded, read_budget, read_prices
from rankzero.usage.timeline import Timeline, timeline, usage
from rankzero.usage.totals import Usage, grouped, total

__all__ = [
    "PHASES",
    "Attempt",
    "Budget",
    "Cost",
    "Prices",
    "Timeline",
    "Usage",
    "Writer",
    "cost",
    "exceeded",
    "grouped",
    "read_budget",
    "read_prices",
    "timeline",
    "total",
    "usage",
]
