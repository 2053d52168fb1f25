"""How long and under which policy: what requests say in durations and enums, from what callers write."""

from datetime import datetime, timedelta
from typing import TypeAlias

from google.protobuf import duration_pb2, timestamp_pb2

from penstock.v1.job_pb2 import Job
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


def catch_up(name: str) -> Job.CatchUp.ValueType:
    """NONE, LATEST or ALL; empty: the default. Raises ValueError."""
    try:
        return Job.CatchUp.Value(f"CATCH_UP_{name.upper() or 'UNSPECIFIED'}")
    except ValueError:
        raise ValueError(f"catch_up {name!r}: expected NONE, LATEST or ALL") from None


def overlap(name: str) -> Job.Overlap.ValueType:
    """ALLOW, SKIP, QUEUE_ONE, QUEUE_ALL or REPLACE; empty: the default. Raises ValueError."""
    try:
        return Job.Overlap.Value(f"OVERLAP_{name.upper() or 'UNSPECIFIED'}")
    except ValueError:
        raise ValueError(f"overlap {name!r}: expected ALLOW, SKIP, QUEUE_ONE, QUEUE_ALL or REPLACE") from None


def duration(span: Seconds) -> duration_pb2.Duration | None:
    """The span as a message."""
    if span is None:
        return None
    message = duration_pb2.Duration()
    message.FromTimedelta(span if isinstance(span, timedelta) else timedelta(seconds=span))
    return message


def timestamp(time: datetime | None, name: str) -> timestamp_pb2.Timestamp | None:
    """The time as a message. Raises ValueError, naming `name`, for one that does not say in which zone it is."""
    if time is None:
        return None
    if time.utcoffset() is None:
        raise ValueError(f"{name} {time}: say in which time zone, as in time.replace(tzinfo=timezone.utc)")
    message = timestamp_pb2.Timestamp()
    message.FromDatetime(time)
    return message
