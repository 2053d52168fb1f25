"""What a server tells of itself."""

from dataclasses import dataclass

from penstock_server.main.setting_kinds import choice, flag, http_url, number


@dataclass(frozen=True, kw_only=True)
class TelemetrySettings:
    """Logs, traces and metrics."""

    log_format: str = choice(
        "How logs are written to stderr. `auto`: `human` in a terminal, else `json`.",
        default="auto",
        choices=("auto", "human", "json"),
        metavar="FORMAT",
    )
    log_level: str = choice(
        "What is logged: this and everything graver.",
        default="info",
        choices=("debug", "info", "warning", "error"),
        metavar="LEVEL",
    )
    metrics: bool = flag("Measure, and serve the figures under `/metrics`.", default=True)
    otlp_endpoint: str = http_url(
        "Where traces and metrics are sent by OTLP over gRPC. Empty: nowhere; nothing is traced then. The other "
        "OTEL_EXPORTER_OTLP_* variables count as well.",
        default_text="none",
    )
    trace_ratio: float = number(
        "The share of traces that is kept, of those that begin here.",
        default=1.0,
        metavar="RATIO",
        minimum=0,
        maximum=1,
    )
