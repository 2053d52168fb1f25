"""A launcher wrapper that makes a span of every attempt and hands its context to the step as TRACEPARENT."""

from collections.abc import AsyncIterator
from dataclasses import replace

from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from penstock_server.launch.base import EarlierStep, Launcher, LogChunk, Observation, Phase, StepRequest
from penstock_server.model.ids import AttemptId, RunUid

TRACEPARENT = "TRACEPARENT"


class TracedLauncher:
    """Implements `launch.base.Launcher` around another one.

    A span begins when an attempt is launched or adopted here and ends with its end. Its parent is the context
    in the request's TRACEPARENT. One that was launched elsewhere carries that server's context, so its span
    here says so.
    """

    def __init__(self, launcher: Launcher, tracer: Tracer) -> None:
        self.name = launcher.name
        self.capabilities = launcher.capabilities
        self._launcher = launcher
        self._tracer = tracer
        self._propagator = TraceContextTextMapPropagator()
        self._spans: dict[AttemptId, Span] = {}

    async def start(self) -> None:
        """Start the launcher."""
        await self._launcher.start()

    async def close(self) -> None:
        """Close the launcher; the spans of what goes on are ended as they are."""
        await self._launcher.close()
        for span in self._spans.values():
            span.end()
        self._spans.clear()

    async def launch(self, request: StepRequest) -> None:
        """Launch with a span around the attempt's life."""
        await self._launcher.launch(self._begin(request, adopted=False))

    async def adopt(self, requests: list[StepRequest]) -> None:
        """Adopt with a span around what is left of each attempt's life."""
        await self._launcher.adopt([self._begin(request, adopted=True) for request in requests])

    async def stop(self, attempt: AttemptId) -> None:
        """Stop, and note so in the span."""
        if attempt in self._spans:
            self._spans[attempt].add_event("stop")
        await self._launcher.stop(attempt)

    async def observe(self) -> AsyncIterator[Observation]:
        """What the launcher observes, noted in the spans."""
        async for observation in self._launcher.observe():
            self._note(observation)
            yield observation

    async def forget(self, attempts: list[AttemptId]) -> None:
        """Forget; spans that never saw an end are ended as they are."""
        for attempt in attempts:
            if (span := self._spans.pop(attempt, None)) is not None:
                span.end()
        await self._launcher.forget(attempts)

    async def still_so(self, earlier: EarlierStep) -> bool:
        """As the launcher sees it."""
        return await self._launcher.still_so(earlier)

    async def discard(self, run_uid: RunUid) -> None:
        """Discard."""
        await self._launcher.discard(run_uid)

    def logs(self, attempt: AttemptId, offset: int, *, follow: bool) -> AsyncIterator[LogChunk]:
        """The launcher's logs."""
        return self._launcher.logs(attempt, offset, follow=follow)

    def _begin(self, request: StepRequest, *, adopted: bool) -> StepRequest:
        span = self._spans.get(request.attempt)
        if span is None:
            parent = self._propagator.extract({"traceparent": request.env.get(TRACEPARENT, "")})
            span = self._tracer.start_span("attempt", context=parent, attributes=_attributes(request, adopted))
            self._spans[request.attempt] = span
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, trace.set_span_in_context(span))
        if "traceparent" not in carrier:
            return request
        return replace(request, env={**request.env, TRACEPARENT: carrier["traceparent"]})

    def _note(self, observation: Observation) -> None:
        span = self._spans.get(observation.attempt)
        if span is None:
            return
        if not observation.phase.is_final:
            waits = observation.phase is Phase.PENDING
            told = {"penstock.handle": observation.handle, "penstock.reason": observation.reason}
            span.add_event("waiting" if waits else "started", told)
            return
        span.set_attribute("penstock.phase", observation.phase.value)
        span.set_attribute("penstock.reason", observation.reason)
        if observation.exit_code is not None:
            span.set_attribute("process.exit.code", observation.exit_code)
        if observation.phase is not Phase.SUCCEEDED:
            span.set_status(Status(StatusCode.ERROR, observation.message))
        span.end()
        del self._spans[observation.attempt]


def _attributes(request: StepRequest, adopted: bool) -> dict[str, str | int | bool]:
    return {
        "penstock.namespace": request.facts.namespace,
        "penstock.run": request.facts.run_id,
        "penstock.task": request.attempt.task_id,
        "penstock.attempt": request.attempt.number,
        "penstock.adopted": adopted,
    }
