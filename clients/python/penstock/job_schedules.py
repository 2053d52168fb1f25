"""When jobs fire, and what happens when they cannot: what callers say of it, as fields of Job messages."""

from datetime import datetime
from typing import Any

from penstock import policies
from penstock.policies import Seconds, duration, timestamp
from penstock.v1.job_pb2 import Job


def schedule_fields(
    *,
    cron: str = "",
    every: Seconds = None,
    time_zone: str = "",
    start_time: datetime | None = None,
    end_time: datetime | None = None,
    catch_up: str | None = None,
    catch_up_limit: int | None = None,
    overlap: str | None = None,
    max_concurrency: int | None = None,
    jitter: Seconds = None,
    max_consecutive_failures: int | None = None,
) -> dict[str, Any]:
    """The fields by their names; None for those that nothing was given for. Raises ValueError."""
    if cron and every is not None:
        raise ValueError("cron and every: give one of the two")
    if time_zone and not cron:
        raise ValueError("time_zone goes with cron: it says whose clock the expression means")
    return {
        "cron": Job.Cron(expression=cron, time_zone=time_zone) if cron else None,
        "interval": None if every is None else Job.Interval(every=duration(every)),
        "start_time": timestamp(start_time, "start_time"),
        "end_time": timestamp(end_time, "end_time"),
        "catch_up": None if catch_up is None else policies.catch_up(catch_up),
        "catch_up_limit": catch_up_limit,
        "overlap": None if overlap is None else policies.overlap(overlap),
        "max_concurrency": max_concurrency,
        "jitter": duration(jitter),
        "max_consecutive_failures": max_consecutive_failures,
    }
