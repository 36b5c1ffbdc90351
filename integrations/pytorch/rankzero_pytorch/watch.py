"""`run.watch(model)`: gradients and parameters of a model as the optimizer is about to use them."""

from __future__ import annotations

from torch import nn

from rankzero import RankZeroError
from rankzero.plugin import Run, claim, release
from rankzero_pytorch.clipping import clipping
from rankzero_pytorch.numbering import Numbering
from rankzero_pytorch.sampling import Sampling
from rankzero_pytorch.steps import steps
from rankzero_pytorch.wanted import Wanted

NAME = "pytorch.watch"
PRECEDENCE = 100
"""What the user asked for by hand stands before what any integration would record."""

QUANTITIES = ("grad/norm", "grad/nonfinite", "grad/norm_unclipped")


class Watched:
    """The models that are watched, by whatever runs."""

    def __init__(self) -> None:
        self._samplings: list[Sampling] = []

    def add(
        self,
        run: Run,
        model: nn.Module,
        *,
        log: str | None = "gradients",
        log_freq: int | None = None,
        histograms: bool | str = False,
        name: str = "",
    ) -> None:
        """Watch a model; one that was watched already is watched as it says now.

        Args:
            run: that records.
            model: any module; nothing is attached to it.
            log: "gradients", "parameters", "all" (both, the largest gradients and update ratios) or None.
            log_freq: optimizer steps between samples; by default chosen so that they cost under 0.5 % of the time.
            histograms: True for histograms of an even sample of up to 4,096 values of each tensor, "exact" for all values.
            name: tells a run's models apart in metrics' names, "grad/norm@name"; the second is "@2" by itself.
        """
        self.remove(run, model)
        wanted = _wanted(log, histograms)
        if wanted is None:
            return
        others = [sampling for sampling in self._samplings if sampling.run is run]
        label = name or (str(len(others) + 1) if others else "")
        sampling = Sampling(
            run,
            model,
            wanted,
            every=log_freq,
            suffix=f"@{label}" if label else "",
            numbering=Numbering(run, first=0),
        )
        self._samplings.append(sampling)
        clipping.install()
        clipping.go_on()
        for quantity in QUANTITIES:
            claim(quantity, NAME, PRECEDENCE)
        steps.add(sampling)

    def remove(self, run: Run, model: nn.Module | None) -> bool:
        """Stop watching a model, or all that the run watches; false if there was none."""
        return self._drop([s for s in self._samplings if s.run is run and (model is None or s.model() is model)])

    def _drop(self, found: list[Sampling]) -> bool:
        for sampling in found:
            self._samplings.remove(sampling)
            steps.remove(sampling)
        if found and not self._samplings:
            for quantity in QUANTITIES:
                release(quantity, NAME)
        return bool(found)


def _wanted(log: str | None, histograms: bool | str) -> Wanted | None:
    if log is None:
        return None
    if log not in {"gradients", "parameters", "all"}:
        raise RankZeroError(f'watch(log={log!r}) is not known; write "gradients", "parameters", "all" or None')
    if histograms not in {True, False, "exact"}:
        raise RankZeroError(f'watch(histograms={histograms!r}) is not known; write True, False or "exact"')
    kind = {True: "sampled", False: "none", "exact": "exact"}[histograms]
    return Wanted(gradients=log != "parameters", parameters=log != "gradients", more=log == "all", histograms=kind)


watched = Watched()
"""Of this process."""
