"""Slots of triggers: intervals, windows, walks in both directions, and what is refused."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from penstock_server.model.errors import InvalidArgument
from penstock_server.schedule.triggers import Cron, Interval, Timetable, checked_cron, checked_interval

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
LONG = timedelta(days=20_000)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_an_interval_fires_first_one_interval_after_its_start() -> None:
    table = Timetable(Interval(HOUR), START)
    assert table.next_after(START - LONG) == START + HOUR
    assert table.next_after(START) == START + HOUR
    assert table.next_after(START + HOUR) == START + 2 * HOUR
    assert table.last_until(START + HOUR - timedelta(microseconds=1)) is None
    assert table.last_until(START + HOUR) == START + HOUR
    assert table.previous(START + HOUR) == START


def test_an_interval_does_not_drift() -> None:
    every = timedelta(seconds=7, microseconds=300_001)
    table = Timetable(Interval(every), START)
    far = START + LONG
    slot = table.last_until(far)
    assert slot is not None
    assert (slot - START) % every == timedelta(0)
    assert far - every < slot <= far
    assert table.next_after(slot) == slot + every


def test_every_is_an_interval_from_the_start() -> None:
    start = START + timedelta(seconds=5)
    table = Timetable(checked_cron("@every 1h30m", "Europe/Berlin"), start)
    assert table.between(start, start + 4 * HOUR, 10) == [start + 1.5 * HOUR, start + 3 * HOUR]
    assert table.previous(start + 1.5 * HOUR) == start


def test_cron_slots_at_the_start_and_at_the_end_count() -> None:
    table = Timetable(Cron("0 * * * *"), START, START + 2 * HOUR)
    assert table.between(START - LONG, START + LONG, 10) == [START, START + HOUR, START + 2 * HOUR]
    assert table.next_after(START) == START + HOUR
    assert table.next_after(START + 2 * HOUR) is None
    assert table.last_until(START + LONG) == START + 2 * HOUR
    assert table.last_until(START) == START
    assert table.last_until(START - timedelta(microseconds=1)) is None
    assert table.previous(START) == START - HOUR


def test_a_window_that_is_empty_has_no_slots() -> None:
    for trigger in (Cron("* * * * *"), Interval(HOUR)):
        table = Timetable(trigger, START, START - timedelta(microseconds=1))
        assert table.next_after(START - LONG) is None
        assert table.last_until(START + LONG) is None
        assert table.between(START - LONG, START + LONG, 10) == []


def test_bounds_of_between_are_after_exclusive_and_until_inclusive() -> None:
    table = Timetable(Cron("0 * * * *"), START)
    slots = [START + n * HOUR for n in (1, 2, 3)]
    assert table.between(START, START + 3 * HOUR, 10) == slots
    assert table.between(START, START + 3 * HOUR, 2) == slots[:2]
    assert table.newest_between(START, START + 3 * HOUR, 2) == slots[1:]
    assert table.newest_between(START, START + 3 * HOUR, 10) == slots
    assert table.count_between(START, START + 3 * HOUR, 10) == 3
    assert table.count_between(START, START + 3 * HOUR, 2) == 2
    assert table.between(START + HOUR, START, 10) == table.newest_between(START + HOUR, START, 10) == []


def test_the_newest_of_millions_are_found_without_the_others() -> None:
    table = Timetable(Cron("* * * * * *"), START)
    until = START + LONG
    assert table.newest_between(START, until, 2) == [until - timedelta(seconds=1), until]


def test_instants_of_other_zones_are_understood_and_slots_are_in_utc() -> None:
    elsewhere = timezone(timedelta(hours=5, minutes=30))
    for trigger in (Cron("0 * * * *"), Interval(HOUR)):
        table = Timetable(trigger, START.astimezone(elsewhere), (START + LONG).astimezone(elsewhere))
        slot = table.next_after(START.astimezone(elsewhere))
        assert slot == START + HOUR
        assert slot.tzinfo is UTC


ENDS = [
    datetime.min.replace(tzinfo=UTC),
    datetime(2, 1, 1, tzinfo=UTC),
    datetime(2, 1, 2, tzinfo=UTC),
    datetime(9997, 12, 31, tzinfo=UTC),
    datetime(9998, 1, 1, tzinfo=UTC),
    datetime.max.replace(tzinfo=UTC),
]


@pytest.mark.parametrize("instant", ENDS, ids=str)
@pytest.mark.parametrize("start", [ENDS[0], START, ENDS[-1]], ids=str)
@pytest.mark.parametrize(
    "trigger",
    [
        Cron("0 0 29 2 *", "America/New_York"),
        Cron("* * * * *", "Pacific/Apia"),
        Cron("@every 876000h"),
        Interval(timedelta(days=25)),
    ],
    ids=str,
)
def test_the_ends_of_the_calendar_do_no_harm(trigger: Cron | Interval, start: datetime, instant: datetime) -> None:
    """There may be no slots any more, but never one on the wrong side of the instant."""
    for end in (None, ENDS[0], ENDS[-1]):
        table = Timetable(trigger, start, end)
        assert (table.next_after(instant) or ENDS[-1]) >= instant
        assert (table.last_until(instant) or ENDS[0]) <= instant
        assert (table.previous(instant) or ENDS[0]) <= instant
        for slots in (table.between(instant, ENDS[-1], 3), table.newest_between(START, instant, 3)):
            assert sorted(set(slots)) == slots


@pytest.mark.parametrize(
    "every", [timedelta(0), timedelta(milliseconds=999), -HOUR, timedelta(days=36_525, seconds=1), timedelta.max]
)
def test_an_interval_out_of_bounds_is_refused(every: timedelta) -> None:
    with pytest.raises(InvalidArgument, match="from 1 second to 36525 days") as refused:
        checked_interval(every, field="job.trigger.interval")
    assert refused.value.reason == "INVALID_INTERVAL"
    assert [(v.field, v.reason) for v in refused.value.violations] == [("job.trigger.interval", "INVALID_INTERVAL")]


@pytest.mark.parametrize(
    ("every", "told"),
    [(timedelta(seconds=-5), "-5 s"), (timedelta(milliseconds=250), "0.25 s"), (timedelta(days=40_000), "40000 days")],
)
def test_an_interval_out_of_bounds_is_told_as_people_write_it(every: timedelta, told: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        checked_interval(every)
    assert refused.value.message.endswith(f"and is {told}")


def test_all_that_is_wrong_with_a_cron_trigger_is_told_at_once() -> None:
    with pytest.raises(InvalidArgument) as refused:
        checked_cron("61 * * * *", "europe/berlin", field="job.trigger.cron")
    assert refused.value.reason == "INVALID_CRON"
    assert [(v.field, v.reason) for v in refused.value.violations] == [
        ("job.trigger.cron.expression", "INVALID_CRON"),
        ("job.trigger.cron.time_zone", "INVALID_TIME_ZONE"),
    ]
    assert "did you mean Europe/Berlin?" in refused.value.message


def test_an_empty_time_zone_is_utc() -> None:
    assert checked_cron("0 9 * * *", "") == Cron("0 9 * * *", "UTC")


def test_a_trigger_that_was_not_checked_raises_where_it_is_used() -> None:
    with pytest.raises(ValueError, match="'No/Where' is no time zone"):
        Timetable(Cron("0 9 * * *", "No/Where"), START).next_after(START)
