"""Reading back: runs, their attempts and ranks, their metrics and their usage, from the journals alone.

`find_run(root, "latest")` or `all_runs(root)` give `RunView`s; `view.series(key)` gives the points of a metric. Nothing here
writes, and a run can be read while it goes on.
"""

from rankzero.query.attempts import Attempt
from rankzero.query.documents import details, listing, points
from rankzero.query.failure import Failure
from rankzero.query.find import all_runs, find_key, find_launch, find_run, nearest, open_run
from rankzero.query.ranks import RankView, Slowest
from rankzero.query.runs import RunView
from rankzero.query.series import Metric, Series

__all__ = [
    "Attempt",
    "Failure",
    "Metric",
    "RankView",
    "RunView",
    "Series",
    "Slowest",
    "all_runs",
    "details",
    "find_key",
    "find_launch",
    "find_run",
    "listing",
    "nearest",
    "open_run",
    "points",
]
