"""Calls as spans and figures, through the hook of `rpc.observer`."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from google.rpc.code_pb2 import Code
from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from penstock_server.model.errors import PenstockError
from penstock_server.rpc.admission import Admission
from penstock_server.rpc.call import Call
from penstock_server.rpc.errors import codes
from penstock_server.rpc.observer import CallObserver, Finish, Observed

_SYSTEMS = {"grpc": "grpc", "connect": "connect_rpc"}
_FAULTS = frozenset({"INTERNAL", "UNKNOWN", "UNAVAILABLE", "DEADLINE_EXCEEDED", "UNIMPLEMENTED"})
"""Codes that tell of the server failing, not of a caller asking for something wrong."""


class MeteredCalls:
    """Counts and times calls.

    Metrics: `penstock.rpc.duration` (of unary calls) and `penstock.rpc.stream.duration`, both by method,
    transport and code, and `penstock.rpc.active`.
    """

    def __init__(self, meter: Meter) -> None:
        self._duration = meter.create_histogram("penstock.rpc.duration", "s", "of calls, by code")
        self._streams = meter.create_histogram("penstock.rpc.stream.duration", "s", "of streams, by code")
        # Read when somebody looks: recording each begin and end would cost several times the rest.
        self._active: Counter[tuple[str, str]] = Counter()
        meter.create_observable_up_down_counter(
            "penstock.rpc.active", [self._observe_active], description="calls under way"
        )

    def begin(self, method: Observed, call: Call) -> tuple[Call, Finish]:
        """Start the clock."""
        began = time.perf_counter()
        key = (method.full_name, call.transport)
        histogram = self._streams if method.streaming else self._duration
        self._active[key] += 1

        def finish(error: BaseException | None) -> None:
            self._active[key] -= 1
            labels = {"method": key[0], "transport": key[1], "code": code_of(error)}
            histogram.record(time.perf_counter() - began, labels)

        return call, finish

    def _observe_active(self, _options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(count, {"method": key[0], "transport": key[1]}) for key, count in self._active.items()]


def count_refused(meter: Meter, rooms: Mapping[str, Admission]) -> None:
    """Metric: `penstock.rpc.refused`, of those for whom there was no room, by the name of the room."""

    def observe(_options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(room.refused_count, {"room": name}) for name, room in rooms.items()]

    meter.create_observable_counter("penstock.rpc.refused", [observe], description="calls that found no room")


class TracedCalls:
    """Makes a span of each call, under the caller's, and hands its context on to the handler."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, method: Observed, call: Call) -> tuple[Call, Finish]:
        """Start the span."""
        parent = self._propagator.extract({"traceparent": call.traceparent or ""})
        span = self._tracer.start_span(method.full_name, parent, SpanKind.SERVER, attributes=_attributes(method, call))
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, set_span_in_context(span, parent))

        def finish(error: BaseException | None) -> None:
            _finish(span, error)

        return replace(call, traceparent=carrier.get("traceparent", call.traceparent)), finish


class BothCalls:
    """Tells two observers."""

    def __init__(self, outer: CallObserver, inner: CallObserver) -> None:
        self._outer = outer
        self._inner = inner

    def begin(self, method: Observed, call: Call) -> tuple[Call, Finish]:
        """Begin with both, end in the opposite order."""
        call, finish_outer = self._outer.begin(method, call)
        call, finish_inner = self._inner.begin(method, call)

        def finish(error: BaseException | None) -> None:
            finish_inner(error)
            finish_outer(error)

        return call, finish


def code_of(error: BaseException | None) -> str:
    """The status code that tells of `error`."""
    match error:
        case None:
            return "OK"
        case PenstockError():
            return str(Code.Name(codes(error).rpc))
        case asyncio.CancelledError() | GeneratorExit():
            return "CANCELLED"
        case _:
            return "UNKNOWN"


def _attributes(method: Observed, call: Call) -> dict[str, str]:
    service, _, name = method.full_name.partition("/")
    return {
        "rpc.system": _SYSTEMS.get(call.transport, call.transport),
        "rpc.service": service,
        "rpc.method": name,
        "client.address": call.peer,
    }


def _finish(span: Span, error: BaseException | None) -> None:
    code = code_of(error)
    span.set_attribute("rpc.response.status_code", code)
    if isinstance(error, PenstockError):
        span.set_attribute("penstock.reason", error.reason)
    if code in _FAULTS:
        span.set_status(Status(StatusCode.ERROR, str(error)))
    span.end()
