"""Tracing and metrics around a launcher."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from penstock_server.launch.base import Phase
from penstock_server.launch.fake import Act, FakeHost, FakeLauncher, failure
from penstock_server.launch.metered import MeteredLauncher
from penstock_server.launch.traced import TracedLauncher
from tests.conformance.scenes import on
from tests.launch.world import step

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> Iterator[tuple[InMemorySpanExporter, TracerProvider]]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter, provider
    provider.shutdown()


async def test_an_attempt_is_a_span_below_the_callers(
    spans: tuple[InMemorySpanExporter, TracerProvider],
) -> None:
    host = FakeHost()
    async with on(TracedLauncher(FakeLauncher(host), spans[1].get_tracer("test"))) as launched:
        request = step("true", env={"TRACEPARENT": PARENT})
        await launched.run(request)
    (span,) = spans[0].get_finished_spans()
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
    assert span.attributes is not None
    assert span.attributes["penstock.phase"] == "SUCCEEDED"
    assert host.launches[0].env["TRACEPARENT"].split("-")[2] == f"{span.context.span_id:016x}"


async def test_a_failed_attempt_is_a_failed_span(spans: tuple[InMemorySpanExporter, TracerProvider]) -> None:
    host = FakeHost(lambda request: failure(3))
    async with on(TracedLauncher(FakeLauncher(host), spans[1].get_tracer("test"))) as launched:
        await launched.run(step("true"))
    (span,) = spans[0].get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes is not None
    assert span.attributes["process.exit.code"] == 3


async def test_attempts_are_counted_and_timed() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    host = FakeHost(lambda request: failure() if request.task_key == "bad" else Act())
    async with on(MeteredLauncher(FakeLauncher(host), provider.get_meter("test"))) as launched:
        for _ in range(3):
            assert (await launched.run(step("true"))).phase is Phase.SUCCEEDED
    figures = _figures(reader)
    assert figures["penstock.attempt.launches"] == 3
    assert figures["penstock.attempt.ends"] == 3
    assert figures["penstock.attempt.live"] == 0
    assert figures["penstock.attempt.duration"] == 3
    provider.shutdown()


def _figures(reader: InMemoryMetricReader) -> dict[str, float]:
    data = reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: sum(getattr(point, "count", getattr(point, "value", 0)) for point in metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
