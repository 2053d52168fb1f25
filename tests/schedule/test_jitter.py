"""Jitter is the same everywhere, stays below its bound, and spreads."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from penstock_server.schedule.jitter import jitter_s

SLOT = datetime(2026, 1, 1, 9, tzinfo=UTC)


def test_every_server_finds_the_same_jitter() -> None:
    assert jitter_s("3f1c", SLOT, 60) == jitter_s("3f1c", SLOT.astimezone(ZoneInfo("Asia/Kolkata")), 60)
    assert round(jitter_s("3f1c", SLOT, 60), 6) == 55.787444


def test_jobs_and_slots_are_spread_evenly_below_the_bound() -> None:
    of_jobs = [jitter_s(f"job-{number}", SLOT, 10) for number in range(2000)]
    of_slots = [jitter_s("job", SLOT + number * timedelta(minutes=1), 10) for number in range(2000)]
    for found in (of_jobs, of_slots):
        assert all(0 <= seconds < 10 for seconds in found)
        tenths = [sum(1 for seconds in found if int(seconds) == tenth) for tenth in range(10)]
        assert all(140 < count < 260 for count in tenths)


def test_without_a_bound_there_is_none() -> None:
    assert jitter_s("job", SLOT, 0) == 0
