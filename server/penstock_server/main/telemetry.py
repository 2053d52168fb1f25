"""Traces and metrics: what is measured, where it goes, and nothing at all where nobody wants it.

Metrics are served under `/metrics` and, like traces, sent by OTLP where an endpoint is set. What measures stands in
interceptors and wrappers around the parts; the parts know nothing of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder

from penstock_server.engine.observer import EngineObserver, NullObserver
from penstock_server.gateway.probes import Exposition
from penstock_server.launch.base import Launcher
from penstock_server.launch.metered import MeteredLauncher
from penstock_server.launch.traced import TracedLauncher
from penstock_server.main.observed_calls import BothCalls, MeteredCalls, TracedCalls, count_refused
from penstock_server.main.observed_engine import MeteredEngine, TracedEngine
from penstock_server.rpc.admission import Admission
from penstock_server.rpc.observer import CallObserver, UnobservedCalls

SCOPE = "penstock"
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
FLUSH_TIMEOUT_MS = 2_000


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """What is wanted."""

    version: str
    server_name: str
    """Tells this server from others in what it sends."""
    metrics: bool = True
    otlp_endpoint: str = ""
    trace_ratio: float = 1.0


@dataclass(slots=True)
class Telemetry:
    """The observers to hand to the parts, and what they feed."""

    calls: CallObserver = field(default_factory=UnobservedCalls)
    engine: EngineObserver = field(default_factory=NullObserver)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    meters: MeterProvider | None = None
    tracers: TracerProvider | None = None

    def around(self, launcher: Launcher) -> Launcher:
        """`launcher`, observed."""
        if self.meters is not None:
            launcher = MeteredLauncher(launcher, self.meters.get_meter(SCOPE))
        if self.tracers is not None:
            launcher = TracedLauncher(launcher, self.tracers.get_tracer(SCOPE))
        return launcher

    def watch_rooms(self, rooms: Mapping[str, Admission]) -> None:
        """Count those who are refused."""
        if self.meters is not None:
            count_refused(self.meters.get_meter(SCOPE), rooms)

    def exposition(self, accept: str) -> Exposition:
        """All metrics, in the form that the Accept header asks for."""
        encode, content_type = choose_encoder(accept)
        return Exposition(encode(self.registry), content_type)

    def close(self) -> None:
        """Send what is left, for at most a few seconds. Blocks: call it in a thread."""
        if isinstance(self.engine, TracedEngine):
            self.engine.close()
        if self.tracers is not None:
            self.tracers.force_flush(FLUSH_TIMEOUT_MS)
            self.tracers.shutdown()
        if self.meters is not None:
            self.meters.shutdown(FLUSH_TIMEOUT_MS)


def make_telemetry(settings: TelemetrySettings) -> Telemetry:
    """What `settings` ask for."""
    resource = Resource.create(
        {
            "service.name": "penstock-server",
            "service.version": settings.version,
            "service.instance.id": settings.server_name,
        }
    )
    telemetry = Telemetry()
    if settings.metrics:
        _add_metrics(telemetry, settings, resource)
    if settings.otlp_endpoint:
        _add_traces(telemetry, settings, resource)
    return telemetry


def _add_metrics(telemetry: Telemetry, settings: TelemetrySettings, resource: Resource) -> None:
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=telemetry.registry)
    readers: list[MetricReader] = [
        PrometheusMetricReader(disable_target_info=True, scope_info_enabled=False, registry=telemetry.registry)
    ]
    if settings.otlp_endpoint:
        readers.append(_otlp().metrics_to(settings.otlp_endpoint))
    seconds = View(Histogram, instrument_unit="s", aggregation=ExplicitBucketHistogramAggregation(BUCKETS_S))
    telemetry.meters = MeterProvider(readers, resource, shutdown_on_exit=False, views=[seconds])
    meter = telemetry.meters.get_meter(SCOPE, settings.version)
    telemetry.calls = MeteredCalls(meter)
    telemetry.engine = MeteredEngine(meter)


def _add_traces(telemetry: Telemetry, settings: TelemetrySettings, resource: Resource) -> None:
    sampler = ParentBasedTraceIdRatio(settings.trace_ratio)
    telemetry.tracers = TracerProvider(sampler, resource, shutdown_on_exit=False)
    telemetry.tracers.add_span_processor(_otlp().spans_to(settings.otlp_endpoint))
    tracer = telemetry.tracers.get_tracer(SCOPE, settings.version)
    telemetry.calls = BothCalls(TracedCalls(tracer), telemetry.calls)
    telemetry.engine = TracedEngine(tracer, telemetry.engine)


def _otlp() -> Any:
    """The exporters, which take a good part of a second to import and which few servers need."""
    return import_module("penstock_server.main.otlp")
