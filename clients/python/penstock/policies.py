"""How long and under which policy: what requests say in durations and enums, from what callers write."""

from datetime import timedelta
from typing import TypeAlias

from google.protobuf import duration_pb2

from penstock.v1.run_pb2 import Run

Seconds: TypeAlias = timedelta | float | None
"""A time span; a number means seconds, None that there is none."""


def cache_policy(name: str) -> Run.CachePolicy.ValueType:
    """DEFAULT, DISABLED or REFRESH; empty: whatever the server holds to be right. Raises ValueError."""
    if not name:
        return Run.CACHE_POLICY_UNSPECIFIED
    try:
        return Run.CachePolicy.Value(f"CACHE_POLICY_{name.upper()}")
    except ValueError:
        raise ValueError(f"cache_policy {name!r}: expected DEFAULT, DISABLED or REFRESH") from None


def duration(span: Seconds) -> duration_pb2.Duration | None:
    """The span as a message."""
    if span is None:
        return None
    message = duration_pb2.Duration()
    message.FromTimedelta(span if isinstance(span, timedelta) else timedelta(seconds=span))
    return message
