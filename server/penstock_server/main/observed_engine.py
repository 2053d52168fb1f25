"""What the engine does as spans and figures, through the hook of `engine.observer`."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.trace import Span, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from penstock_server.engine.observer import EngineObserver
from penstock_server.model.ids import AttemptId, RunUid
from penstock_server.model.resources import Run
from penstock_server.model.states import AttemptState, RunState


class MeteredEngine:
    """Counts and times what the engine does. Attempts are measured by the launcher's wrapper.

    Metrics: `penstock.run.taken`, `penstock.run.ends` (by state and reason), `penstock.run.duration` (from its
    making to its end), `penstock.commit.duration`, `penstock.commit.runs`, `penstock.commit.changes`,
    `penstock.commit.failures`, `penstock.engine.lag` (how long inputs waited), `penstock.queue.waiting`,
    `penstock.queue.held` and `penstock.queue.age` (steps and slots).
    """

    def __init__(self, meter: Meter) -> None:
        self._waiting, self._held, self._oldest_s = 0, 0, 0.0
        self._taken = meter.create_counter("penstock.run.taken", description="runs this server took up")
        self._ends = meter.create_counter("penstock.run.ends", description="runs that ended here")
        self._duration = meter.create_histogram("penstock.run.duration", "s", "from the making to the end")
        self._commits = meter.create_histogram("penstock.commit.duration", "s", "of one group commit")
        self._runs = meter.create_counter("penstock.commit.runs", description="runs in group commits")
        self._changes = meter.create_counter("penstock.commit.changes", description="changes written")
        self._failures = meter.create_counter("penstock.commit.failures", description="group commits that failed")
        self._lag = meter.create_histogram("penstock.engine.lag", "s", "how long the engine's inputs waited")
        _gauge(meter, "penstock.queue.waiting", "steps that wait for a slot", "", lambda: self._waiting)
        _gauge(meter, "penstock.queue.held", "slots that are taken", "", lambda: self._held)
        _gauge(meter, "penstock.queue.age", "how long the oldest step has waited", "s", lambda: self._oldest_s)

    def run_taken(self, run: Run, *, resumed: bool) -> None:
        """Counted."""
        self._taken.add(1, {"resumed": resumed})

    def run_finished(self, run: Run, state: RunState, reason: str) -> None:
        """Counted and timed."""
        self._ends.add(1, {"state": state.value, "reason": reason})
        self._duration.record((datetime.now(UTC) - run.create_time).total_seconds(), {"state": state.value})

    def attempt_started(self, attempt: AttemptId, run: Run) -> None:
        """Measured by the launcher's wrapper."""

    def attempt_finished(self, attempt: AttemptId, run: Run, state: AttemptState) -> None:
        """Measured by the launcher's wrapper."""

    def committed(self, runs: int, changes: int, seconds: float) -> None:
        """Counted and timed."""
        self._commits.record(seconds)
        self._runs.add(runs)
        self._changes.add(changes)

    def commit_failed(self, runs: int, reason: str) -> None:
        """Counted."""
        self._failures.add(1, {"reason": reason})

    def loop_lag(self, seconds: float) -> None:
        """Timed."""
        self._lag.record(seconds)

    def queue_depth(self, waiting: int, held: int, oldest_s: float) -> None:
        """Kept until somebody looks."""
        self._waiting, self._held, self._oldest_s = waiting, held, oldest_s

    def traceparent(self, attempt: AttemptId, run: Run) -> str | None:
        """The run's own."""
        return run.traceparent


class TracedEngine:
    """Makes a span of each run while it is owned here, under the call that made it; tells `inner` everything.

    The attempts' spans, made by the launcher's wrapper, lie under it.
    """

    def __init__(self, tracer: Tracer, inner: EngineObserver) -> None:
        self._tracer = tracer
        self._inner = inner
        self._propagator = TraceContextTextMapPropagator()
        self._spans: dict[RunUid, Span] = {}

    def run_taken(self, run: Run, *, resumed: bool) -> None:
        """Start the run's span; one that it had here before is ended."""
        self._inner.run_taken(run, resumed=resumed)
        if (before := self._spans.pop(run.uid, None)) is not None:
            before.end()
        parent = self._propagator.extract({"traceparent": run.traceparent or ""})
        attributes: dict[str, str | bool] = {
            "penstock.namespace": run.namespace,
            "penstock.run": run.id,
            "penstock.resumed": resumed,
        }
        self._spans[run.uid] = self._tracer.start_span("run", parent, attributes=attributes)

    def run_finished(self, run: Run, state: RunState, reason: str) -> None:
        """End the run's span."""
        self._inner.run_finished(run, state, reason)
        if (span := self._spans.pop(run.uid, None)) is not None:
            span.set_attribute("penstock.state", state.value)
            if state is RunState.FAILED:
                span.set_status(Status(StatusCode.ERROR, reason))
            span.end()

    def attempt_started(self, attempt: AttemptId, run: Run) -> None:
        """Hand on."""
        self._inner.attempt_started(attempt, run)

    def attempt_finished(self, attempt: AttemptId, run: Run, state: AttemptState) -> None:
        """Hand on."""
        self._inner.attempt_finished(attempt, run, state)

    def committed(self, runs: int, changes: int, seconds: float) -> None:
        """Hand on."""
        self._inner.committed(runs, changes, seconds)

    def commit_failed(self, runs: int, reason: str) -> None:
        """Hand on."""
        self._inner.commit_failed(runs, reason)

    def loop_lag(self, seconds: float) -> None:
        """Hand on."""
        self._inner.loop_lag(seconds)

    def queue_depth(self, waiting: int, held: int, oldest_s: float) -> None:
        """Hand on."""
        self._inner.queue_depth(waiting, held, oldest_s)

    def traceparent(self, attempt: AttemptId, run: Run) -> str | None:
        """The context of the run's span."""
        if (span := self._spans.get(run.uid)) is None:
            return self._inner.traceparent(attempt, run)
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, set_span_in_context(span))
        return carrier.get("traceparent", run.traceparent)

    def close(self) -> None:
        """End the spans of runs that go on elsewhere."""
        for span in self._spans.values():
            span.end()
        self._spans.clear()


def _gauge(meter: Meter, name: str, description: str, unit: str, read: Callable[[], float]) -> None:
    def observe(_options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(read())]

    meter.create_observable_gauge(name, [observe], unit, description)
