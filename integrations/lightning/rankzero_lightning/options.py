"""`RankZeroCallback`, but for its base class: what a fit records beyond the usual."""

from __future__ import annotations

from rankzero import RankZeroError
from rankzero_pytorch.wanted import Wanted


class Options:
    """Put into `Trainer(callbacks=[...])` to choose what is recorded of gradients and parameters.

    With a `RankZeroLogger`, or below `rankzero run`, it only sets options; without either it makes the fit a run by itself.

    Args:
        log: "gradients" (norms of all and of each), "parameters", "all" (both, the largest gradients and update ratios), or
            None for nothing of either.
        log_freq: optimizer steps between samples; by default chosen so that they cost under 0.5 % of the time.
        histograms: True for histograms of an even sample of up to 4,096 values of each tensor, "exact" for all values.
    """

    def __init__(
        self, log: str | None = "gradients", log_freq: int | None = None, histograms: bool | str = False
    ) -> None:
        if log not in {"gradients", "parameters", "all", None}:
            raise RankZeroError(
                f'RankZeroCallback(log={log!r}) is not known; write "gradients", "parameters", "all" or None'
            )
        if histograms not in {True, False, "exact"}:
            raise RankZeroError(
                f'RankZeroCallback(histograms={histograms!r}) is not known; write True, False or "exact"'
            )
        self.log_what = log
        self.log_freq = log_freq
        self.histograms = histograms
        super().__init__()

    @property
    def wanted(self) -> Wanted | None:
        """What to sample."""
        if self.log_what is None:
            return None
        kind = "exact" if self.histograms == "exact" else "sampled" if self.histograms else "none"
        return Wanted(
            gradients=self.log_what != "parameters",
            parameters=self.log_what != "gradients",
            more=self.log_what == "all",
            histograms=kind,
        )
