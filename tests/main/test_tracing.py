"""Traces from the caller through rpc, run and attempt into the step, as a collector gets them."""

import json
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_rpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as traces_rpc

from tests import pipelines
from tests.servers import running

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
RUNS = "/v1/namespaces/default/runs"


class Collector(traces_rpc.TraceServiceServicer, metrics_rpc.MetricsServiceServicer):
    """Keeps what it is sent; one servicer for both services, told apart by the request."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.metric_names: set[str] = set()

    def Export(self, request: Any, context: Any) -> Any:
        if isinstance(request, traces.ExportTraceServiceRequest):
            self.spans += [span for r in request.resource_spans for s in r.scope_spans for span in s.spans]
            return traces.ExportTraceServiceResponse()
        self.metric_names |= {m.name for r in request.resource_metrics for s in r.scope_metrics for m in s.metrics}
        return metrics.ExportMetricsServiceResponse()

    def span(self, name: str) -> Any:
        (span,) = (span for span in self.spans if span.name == name and span.trace_id.hex() == TRACE)
        return span


@pytest.fixture
def collector() -> Collector:
    return Collector()


@pytest.fixture
def endpoint(collector: Collector) -> Iterator[str]:
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads)
        traces_rpc.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
        metrics_rpc.add_MetricsServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"http://127.0.0.1:{port}"
        server.stop(None).wait()


def traced_run(http: str, *command: str) -> None:
    """Make a run as part of the caller's trace and see it end."""
    body = json.dumps({"inlineSpec": {"struct": pipelines.wide(1, *command)}}).encode()
    headers = {"Content-Type": "application/json", "traceparent": f"00-{TRACE}-{CALLER}-01"}
    request = urllib.request.Request(f"http://{http}{RUNS}?run_id=traced", body, headers)
    urllib.request.urlopen(request, timeout=30).close()
    with urllib.request.urlopen(f"http://{http}{RUNS}/traced:watch", timeout=30) as lines:
        lines.read()


def test_spans_of_call_run_attempt_and_step_hang_together(collector: Collector, endpoint: str, tmp_path: Path) -> None:
    with running(tmp_path / "data", "--otlp-endpoint", endpoint) as server:
        traced_run(server.http, "sh", "-c", f"echo $TRACEPARENT > {tmp_path}/told")
        assert server.stop() == 0
    call, run = collector.span("penstock.v1.RunService/CreateRun"), collector.span("run")
    attempt = collector.span("attempt")
    assert call.parent_span_id.hex() == CALLER
    assert run.parent_span_id == call.span_id
    assert attempt.parent_span_id == run.span_id
    assert (tmp_path / "told").read_text().strip() == f"00-{TRACE}-{attempt.span_id.hex()}-01"
    assert {"penstock.rpc.duration", "penstock.run.ends", "penstock.attempt.ends"} <= collector.metric_names


def test_without_traces_the_step_belongs_to_the_caller_s(tmp_path: Path) -> None:
    with running(tmp_path / "data") as server:
        traced_run(server.http, "sh", "-c", f"echo $TRACEPARENT > {tmp_path}/told")
    assert (tmp_path / "told").read_text().strip() == f"00-{TRACE}-{CALLER}-01"
