"""Logs: events with keys, to stderr; for people in a terminal, as JSON lines otherwise."""

import logging
import sys
from typing import Any

import structlog

_QUIET = ("asyncio", "uvicorn", "psycopg.pool", "grpc", "connectrpc")
"""Libraries of which only warnings are of interest."""


def configure(log_format: str, level: str) -> None:
    """Send everything that this process logs, ours and that of libraries, to stderr in one form."""
    human = log_format == "human" or (log_format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = structlog.dev.ConsoleRenderer() if human else structlog.processors.JSONRenderer()
    last: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    last += [renderer] if human else [structlog.processors.dict_tracebacks, renderer]
    formatter = structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=last)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
