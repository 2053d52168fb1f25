"""What the engine tells of itself to whoever measures it; it knows nothing of traces and metrics."""

from typing import Protocol

from penstock_server.model.ids import AttemptId
from penstock_server.model.resources import Run
from penstock_server.model.states import AttemptState, RunState


class EngineObserver(Protocol):
    """Hears of what happened, after its commit. Called by the engine itself: be quick and do not raise."""

    def run_taken(self, run: Run, *, resumed: bool) -> None:
        """This server owns the run now; `resumed`: it was under way already."""

    def run_finished(self, run: Run, state: RunState, reason: str) -> None:
        """The run has ended here. `run` is as it was when it was taken."""

    def attempt_started(self, attempt: AttemptId, run: Run) -> None:
        """The launcher is about to be asked to start the attempt."""

    def attempt_finished(self, attempt: AttemptId, run: Run, state: AttemptState) -> None:
        """The attempt has ended."""

    def committed(self, runs: int, changes: int, seconds: float) -> None:
        """One group commit went through."""

    def commit_failed(self, runs: int, reason: str) -> None:
        """One group commit did not go through; its runs are loaded again."""

    def loop_lag(self, seconds: float) -> None:
        """So long the oldest of the inputs just worked on had waited."""

    def queue_depth(self, waiting: int, held: int, oldest_s: float) -> None:
        """Steps that wait for a slot, steps that hold one, and how long the oldest has been waiting."""

    def traceparent(self, attempt: AttemptId, run: Run) -> str | None:
        """The W3C trace context that the attempt's step gets; None: none."""


class NullObserver:
    """Measures nothing; hands on the trace context of the run."""

    def run_taken(self, run: Run, *, resumed: bool) -> None:
        """Nothing."""

    def run_finished(self, run: Run, state: RunState, reason: str) -> None:
        """Nothing."""

    def attempt_started(self, attempt: AttemptId, run: Run) -> None:
        """Nothing."""

    def attempt_finished(self, attempt: AttemptId, run: Run, state: AttemptState) -> None:
        """Nothing."""

    def committed(self, runs: int, changes: int, seconds: float) -> None:
        """Nothing."""

    def commit_failed(self, runs: int, reason: str) -> None:
        """Nothing."""

    def loop_lag(self, seconds: float) -> None:
        """Nothing."""

    def queue_depth(self, waiting: int, held: int, oldest_s: float) -> None:
        """Nothing."""

    def traceparent(self, attempt: AttemptId, run: Run) -> str | None:
        """The run's own."""
        return run.traceparent
