"""Traces and metrics: what is seen of calls, runs and attempts, and that nothing is where nobody wants it."""

import asyncio
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from penstock.v1 import run_service_pb2
from penstock_server.engine.observer import NullObserver
from penstock_server.launch.fake import FakeLauncher
from penstock_server.main.observed_calls import BothCalls, MeteredCalls, TracedCalls, count_refused
from penstock_server.main.observed_engine import MeteredEngine, TracedEngine
from penstock_server.main.telemetry import Telemetry, TelemetrySettings, make_telemetry
from penstock_server.model.errors import NotFound, Unavailable
from penstock_server.model.ids import AttemptId, RunUid, TaskId
from penstock_server.model.resources import CachePolicy, Run
from penstock_server.model.states import RunState
from penstock_server.rpc.admission import Admission
from penstock_server.rpc.call import Call
from penstock_server.rpc.method import Method
from penstock_server.rpc.observer import UnobservedCalls

ROOT = Path(__file__).resolve().parent.parent.parent
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
"""Of a caller."""


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracers(spans: InMemorySpanExporter) -> Iterator[TracerProvider]:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    yield provider
    provider.shutdown()


@pytest.fixture
def reader() -> InMemoryMetricReader:
    return InMemoryMetricReader()


@pytest.fixture
def meters(reader: InMemoryMetricReader) -> Iterator[MeterProvider]:
    provider = MeterProvider([reader], shutdown_on_exit=False)
    yield provider
    provider.shutdown()


def figures(reader: InMemoryMetricReader) -> dict[str, list[Any]]:
    """Data points by the name of their metric."""
    data = reader.get_metrics_data()
    assert data is not None
    metrics = [m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics]
    return {metric.name: list(metric.data.data_points) for metric in metrics}


def method(name: str = "GetRun") -> Method:
    descriptor = run_service_pb2.DESCRIPTOR.services_by_name["RunService"].methods_by_name[name]

    async def handler(request: Any, call: Call) -> Any:
        raise AssertionError(request, call)

    return Method(
        full_name=f"penstock.v1.RunService/{name}",
        descriptor=descriptor,
        request_type=run_service_pb2.GetRunRequest,
        response_type=run_service_pb2.GetRunResponse,
        handler=handler,
        streaming=descriptor.server_streaming,
        reads_only=True,
    )


CALL = Call("rest", peer="127.0.0.1:5", traceparent=TRACEPARENT)


def test_a_call_s_span_lies_under_the_caller_s_and_goes_on_to_the_handler(
    tracers: TracerProvider, spans: InMemorySpanExporter
) -> None:
    call, finish = TracedCalls(tracers.get_tracer("t")).begin(method(), CALL)
    finish(None)
    (span,) = spans.get_finished_spans()
    assert span.name == "penstock.v1.RunService/GetRun"
    assert span.parent is not None
    assert trace_of(span) == TRACE
    assert call.traceparent == f"00-{TRACE}-{context(span).span_id:016x}-01"
    assert attributes(span)["rpc.response.status_code"] == "OK"


def test_a_call_without_a_caller_s_trace_begins_one(tracers: TracerProvider, spans: InMemorySpanExporter) -> None:
    call, finish = TracedCalls(tracers.get_tracer("t")).begin(method(), Call("grpc", traceparent="nonsense"))
    finish(None)
    (span,) = spans.get_finished_spans()
    assert span.parent is None
    assert call.traceparent is not None
    assert trace_of(span) in call.traceparent


@pytest.mark.parametrize(
    ("error", "code", "fault"),
    [
        (NotFound("RUN_NOT_FOUND", "no"), "NOT_FOUND", False),
        (Unavailable("DATABASE_UNAVAILABLE", "no"), "UNAVAILABLE", True),
        (asyncio.CancelledError(), "CANCELLED", False),
    ],
)
def test_only_the_server_s_own_failures_are_errors_of_a_span(
    tracers: TracerProvider, spans: InMemorySpanExporter, error: BaseException, code: str, fault: bool
) -> None:
    _, finish = TracedCalls(tracers.get_tracer("t")).begin(method(), CALL)
    finish(error)
    (span,) = spans.get_finished_spans()
    assert attributes(span)["rpc.response.status_code"] == code
    assert (span.status.status_code is StatusCode.ERROR) is fault


def test_those_who_find_no_room_are_counted(meters: MeterProvider, reader: InMemoryMetricReader) -> None:
    calls, streams = Admission(1), Admission(1)
    count_refused(meters.get_meter("t"), {"calls": calls, "streams": streams})
    with calls:
        for _ in range(3):
            calls.refusal()
    refused = figures(reader)["penstock.rpc.refused"]
    assert {point.attributes["room"]: point.value for point in refused} == {"calls": 3, "streams": 0}


def test_calls_are_counted_and_timed_by_code(meters: MeterProvider, reader: InMemoryMetricReader) -> None:
    observer = MeteredCalls(meters.get_meter("t"))
    for error in (None, NotFound("RUN_NOT_FOUND", "no"), NotFound("RUN_NOT_FOUND", "no")):
        _, finish = observer.begin(method(), CALL)
        finish(error)
    observer.begin(method("WatchRun"), CALL)
    seen = figures(reader)
    assert {point.attributes["code"]: point.count for point in seen["penstock.rpc.duration"]} == {
        "OK": 1,
        "NOT_FOUND": 2,
    }
    assert {point.attributes["method"][-8:]: point.value for point in seen["penstock.rpc.active"]} == {
        "e/GetRun": 0,
        "WatchRun": 1,
    }


def test_two_observers_see_the_same_call(
    tracers: TracerProvider, spans: InMemorySpanExporter, meters: MeterProvider, reader: InMemoryMetricReader
) -> None:
    both = BothCalls(TracedCalls(tracers.get_tracer("t")), MeteredCalls(meters.get_meter("t")))
    call, finish = both.begin(method(), CALL)
    finish(None)
    assert call.traceparent != TRACEPARENT
    assert len(spans.get_finished_spans()) == len(figures(reader)["penstock.rpc.duration"]) == 1


def run(**changes: Any) -> Run:
    now = datetime.now(UTC)
    facts: dict[str, Any] = {
        "uid": RunUid(uuid.uuid4()),
        "namespace": "default",
        "id": "r1",
        "traceparent": TRACEPARENT,
        "create_time": now - timedelta(seconds=5),
        "cache_policy": CachePolicy.DEFAULT,
        "state": RunState.PENDING,
    }
    blank = object.__new__(Run)
    for name, value in (facts | changes).items():
        object.__setattr__(blank, name, value)
    return blank


def test_a_run_s_span_lies_under_the_call_that_made_it_and_attempts_under_it(
    tracers: TracerProvider, spans: InMemorySpanExporter
) -> None:
    observer, of_run = TracedEngine(tracers.get_tracer("t"), NullObserver()), run()
    observer.run_taken(of_run, resumed=False)
    handed_on = observer.traceparent(AttemptId(of_run.uid, TaskId("t"), 1), of_run)
    observer.run_finished(of_run, RunState.FAILED, "TASK_FAILED")
    (span,) = spans.get_finished_spans()
    assert trace_of(span) == TRACE
    assert handed_on == f"00-{TRACE}-{context(span).span_id:016x}-01"
    assert span.status.status_code is StatusCode.ERROR
    assert attributes(span)["penstock.run"] == "r1"


def test_the_spans_of_runs_that_go_on_elsewhere_are_ended(tracers: TracerProvider, spans: InMemorySpanExporter) -> None:
    observer, first, second = TracedEngine(tracers.get_tracer("t"), NullObserver()), run(), run()
    observer.run_taken(first, resumed=False)
    observer.run_taken(first, resumed=True)
    observer.run_taken(second, resumed=False)
    observer.close()
    assert [attributes(span)["penstock.resumed"] for span in spans.get_finished_spans()] == [False, True, False]
    assert observer.traceparent(AttemptId(first.uid, TaskId("t"), 1), first) == TRACEPARENT


def test_what_the_engine_does_is_counted_and_timed(meters: MeterProvider, reader: InMemoryMetricReader) -> None:
    observer = MeteredEngine(meters.get_meter("t"))
    observer.run_taken(run(), resumed=False)
    observer.run_finished(run(), RunState.SUCCEEDED, "COMPLETED")
    observer.committed(2, 7, 0.01)
    observer.commit_failed(1, "DATABASE_UNAVAILABLE")
    observer.loop_lag(0.002)
    observer.queue_depth(3, 2, 1.5)
    seen = {name: points[0] for name, points in figures(reader).items()}
    assert seen["penstock.run.ends"].attributes == {"state": "SUCCEEDED", "reason": "COMPLETED"}
    assert 5 <= seen["penstock.run.duration"].sum < 60
    assert (seen["penstock.commit.runs"].value, seen["penstock.commit.changes"].value) == (2, 7)
    assert seen["penstock.commit.failures"].value == 1
    assert seen["penstock.engine.lag"].count == 1
    queue = [seen[f"penstock.queue.{name}"].value for name in ("waiting", "held", "age")]
    assert queue == [3, 2, 1.5]


@pytest.fixture
def settings() -> TelemetrySettings:
    return TelemetrySettings(version="1", server_name="host/1")


@pytest.fixture
def telemetry(settings: TelemetrySettings) -> Iterator[Telemetry]:
    made = make_telemetry(settings)
    yield made
    made.close()


def test_metrics_are_served_and_traces_are_off_by_default(telemetry: Telemetry) -> None:
    _, finish = telemetry.calls.begin(method(), CALL)
    finish(None)
    page = telemetry.exposition("")
    assert page.content_type.startswith("text/plain")
    assert b'penstock_rpc_duration_seconds_bucket{code="OK",le="0.001"' in page.content
    assert b"process_resident_memory_bytes" in page.content
    assert telemetry.tracers is None


def test_two_servers_in_a_process_measure_apart(telemetry: Telemetry, settings: TelemetrySettings) -> None:
    other = make_telemetry(settings)
    _, finish = telemetry.calls.begin(method(), CALL)
    finish(None)
    assert b"penstock_rpc_duration" not in other.exposition("").content
    other.close()


class TestOff:
    """Nothing is measured."""

    @pytest.fixture
    def settings(self) -> TelemetrySettings:
        return TelemetrySettings(version="1", server_name="host/1", metrics=False)

    def test_nothing_stands_around_the_parts(self, telemetry: Telemetry) -> None:
        launcher = FakeLauncher()
        assert telemetry.around(launcher) is launcher
        assert isinstance(telemetry.calls, UnobservedCalls)
        assert isinstance(telemetry.engine, NullObserver)
        assert telemetry.exposition("").content == b""


class TestTraced:
    """With an endpoint, which nobody listens on here."""

    @pytest.fixture
    def settings(self) -> TelemetrySettings:
        return TelemetrySettings(version="1", server_name="host/1", otlp_endpoint="http://127.0.0.1:1")

    def test_calls_and_attempts_are_traced_and_measured(self, telemetry: Telemetry) -> None:
        call, _ = telemetry.calls.begin(method(), CALL)
        assert call.traceparent != TRACEPARENT
        assert isinstance(telemetry.engine, TracedEngine)
        assert telemetry.around(FakeLauncher()).name == "fake"


def context(span: ReadableSpan) -> Any:
    return span.context


def trace_of(span: ReadableSpan) -> str:
    return f"{context(span).trace_id:032x}"


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_every_metric_that_is_served_is_documented(telemetry: Telemetry) -> None:
    guide = (ROOT / "docs" / "guides" / "http.md").read_text()
    _, finish = telemetry.calls.begin(method(), CALL)
    finish(None)
    telemetry.engine.committed(1, 1, 0.1)
    page = telemetry.exposition("").content.decode()
    served = re.findall(r"^# TYPE (penstock_\w+) ", page, re.MULTILINE)
    assert len(served) > 5
    assert [name for name in served if f"`{name}`" not in guide] == []
