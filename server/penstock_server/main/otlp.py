"""Sending traces and metrics by OTLP. Imported only where an endpoint is set."""

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor


def spans_to(endpoint: str) -> SpanProcessor:
    """Sends spans in batches, from a thread of its own."""
    return BatchSpanProcessor(OTLPSpanExporter(endpoint, insecure=endpoint.startswith("http://")))


def metrics_to(endpoint: str) -> MetricReader:
    """Sends metrics once in a while, from a thread of its own."""
    return PeriodicExportingMetricReader(OTLPMetricExporter(endpoint, insecure=endpoint.startswith("http://")))
