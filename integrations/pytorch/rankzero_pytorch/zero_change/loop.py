"""A training loop that never heard of rankzero, as it shows at its optimizer steps."""

from __future__ import annotations

from torch.optim import Optimizer

from rankzero.plugin import Run, changes, training_run
from rankzero_pytorch.clipping import clipping
from rankzero_pytorch.steps import Closure, steps
from rankzero_pytorch.zero_change.backward import Backward
from rankzero_pytorch.zero_change.clock import Clock
from rankzero_pytorch.zero_change.gaps import Gaps
from rankzero_pytorch.zero_change.losses import Losses
from rankzero_pytorch.zero_change.phases import Phases
from rankzero_pytorch.zero_change.recording import Recording
from rankzero_pytorch.zero_change.rows import NAME
from rankzero_pytorch.zero_change.samples import Samples
from rankzero_pytorch.zero_change.scaling import Scaling
from rankzero_pytorch.zero_change.seen import Seen
from rankzero_pytorch.zero_change.summary_writer import Writers


class Loop:
    """Listens to optimizer steps; there is a run from the first one on, and it is told what was seen since the last.

    A process that never steps an optimizer (a launcher's agent, a data worker, an evaluation) never has a run.
    """

    def __init__(self) -> None:
        clock, gaps, losses = Clock(), Gaps(), Losses()
        phases = Phases(clock, gaps)
        losses.tell_apart()
        self.backward = Backward(losses, clock, gaps, phases)
        self.writers = Writers()
        self.seen = Seen(clock, gaps, losses, phases, Samples(clock), Scaling(losses))
        self._rests = False
        self._unheard = 0
        self._seen_changes = -1
        self._run: Run | None = None
        self._recording: Recording | None = None

    def before_step(self, optimizer: Optimizer, closure: Closure | None, count: int) -> Closure | None:
        """Make sure of the run; see `rankzero_pytorch.steps.Listener`."""
        recording = self._now()
        return None if recording is None else recording.before_step(optimizer, closure, count)

    def after_step(self, optimizer: Optimizer, closure: Closure | None, count: int) -> None:
        """Record the step."""
        if self._recording is None:
            self.seen.losses.drop()
        else:
            self._recording.after_step(optimizer, closure, count)

    def stepped(self) -> None:
        """The framework that drives the loop says that its optimizer has stepped.

        Steps of which no gradient is to be sampled are then not listened to: this tells what there is to be recorded of them.
        """
        if not self._unheard:
            self._unheard = 0 if self._recording is None else self._recording.pass_over()
            if self._unheard:
                steps.remove(self)
                if not steps.heard:
                    clipping.rest()
            return
        count, recording = steps.pass_by(), self._now()
        if recording is not None:
            recording.passed(count)
        if self._unheard > 1:
            self._unheard -= 1
        else:
            self.hear_all()

    def hear_all(self) -> None:
        """Listen to every step again."""
        if self._unheard:
            self._unheard = 0
            clipping.go_on()
            steps.add(self)

    def rest(self) -> None:
        """Leave the steps to another integration for a while."""
        self._rests = steps.remove(self)
        if self._rests:
            self._change_run(None)

    def go_on(self) -> None:
        """Listen again, if this did before."""
        if self._rests:
            self.seen.losses.drop()
            steps.add(self)

    def look_again(self) -> None:
        """Who records what may have changed."""
        self.seen.losses.wanted = True
        if self._recording is not None:
            self._recording.look_at = 0

    def _now(self) -> Recording | None:
        """Who records the step under way."""
        if self.seen.phases.interrupted:
            self.seen.phases.training()
        recording = self._recording
        if self._seen_changes != changes.count or (recording is not None and recording.run.state != "running"):
            recording = self._find_run()
        return recording

    def _find_run(self) -> Recording | None:
        """Whose steps these are; if that fails once, it is not tried again at every step."""
        self._seen_changes = changes.count
        run = training_run(NAME)
        self._seen_changes = changes.count
        if run is not self._run:
            self._change_run(run)
        return self._recording

    def _change_run(self, run: Run | None) -> None:
        self.hear_all()
        self._run = run
        recorded = None if run is None or run.disabled else run
        self.seen.phases.attach(recorded)
        self.seen.clock.forget()
        self.seen.losses.wanted = True
        self.seen.losses.tell_apart()
        self.writers.attach(recorded)
        self._recording = None if recorded is None else Recording(recorded, self.seen)
