"""Twelve zones over two years: the slots are those that a watcher of the zone's clock would find."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from penstock_server.model.errors import InvalidArgument
from penstock_server.schedule.triggers import Interval, Timetable, checked_cron
from tests.schedule.naive import Clock, Expression, newest

BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
SECOND, MICROSECOND = timedelta(seconds=1), timedelta(microseconds=1)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)

ZONES = [
    "America/New_York",
    "Europe/London",
    "Australia/Lord_Howe",  # half an hour
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Asia/Kolkata",
    "America/Santiago",  # at midnight
    "Africa/Cairo",  # at midnight
    "Pacific/Chatham",  # 12:45 from UTC
    "America/St_Johns",
    "Africa/Casablanca",  # back in Ramadan, forward after it
    "Antarctica/Troll",  # two hours
]
EXPRESSIONS = [
    "0 0 * * *",
    "30 2 * * *",
    "59 23 * * *",
    "0,30 0-3 * * *",
    "*/30 * * * *",
    "0 * * * *",
    "7-59/13 * * * *",
    "* * * * *",
    "*/7 1,2,3 * * *",
    "15 0 29 * *",
    "0 12 31 * *",
    "0 2 1-7 * MON",
    "0 2 */2 * SUN",
    "30 1 * 3,10,11 SAT-SUN",
    "0 0 29 2 *",
    "0 0 1 1 ?",
    "0 */20 */2 * * ?",
    "30 30 2 * * ?",
    "*/45 59 * * * 0",
]


@lru_cache
def clock(zone: str) -> Clock:
    return Clock(zone)


def moments(zone: str, seed: int) -> Iterator[datetime]:
    """Some at random, and many about the changes of the clock."""
    drawn = random.Random(seed)
    for _ in range(6):
        yield BEGIN + drawn.randrange((END - BEGIN) // SECOND) * SECOND
    for change in clock(zone).changes:
        if BEGIN < change < END:
            yield from (change - MICROSECOND, change, change + drawn.randrange(-10_000, 10_000) * SECOND)


def agree(zone: str, text: str, moment: datetime) -> None:
    slots = clock(zone).around(text, moment)
    position = newest(slots, moment)
    table = Timetable(checked_cron(text, zone), LONG_AGO)
    if position > 0:
        assert table.last_until(moment) == slots[position - 1]
        assert table.next_after(slots[position - 1] - MICROSECOND) == slots[position - 1]
        oldest = max(position - 6, 0)
        assert table.newest_between(slots[oldest], moment, 3) == slots[oldest + 1 : position][-3:]
    if position < len(slots):
        assert table.next_after(moment) == slots[position]
        assert table.last_until(slots[position]) == slots[position]
        end = min(position + 4, len(slots) - 1)
        assert table.between(moment, slots[end], 3) == slots[position : end + 1][:3]
        assert table.count_between(moment, slots[end], 100) == end + 1 - position
    if 0 < position < len(slots):
        assert table.previous(slots[position]) == slots[position - 1]


@pytest.mark.parametrize("zone", ZONES)
def test_at_any_moment_the_next_and_the_last_slot_are_those_of_the_clock(zone: str) -> None:
    for seed, text in enumerate(EXPRESSIONS):
        for moment in moments(zone, seed):
            agree(zone, text, moment)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("text", ["30 2 * * *", "45 23,0 * * 0,6"])
def test_from_slot_to_slot_nothing_is_left_out_or_told_twice(zone: str, text: str) -> None:
    table = Timetable(checked_cron(text, zone), BEGIN, END)
    middle = BEGIN + (END - BEGIN) / 2
    expected = [slot for slot in clock(zone).around(text, middle, days=400) if BEGIN <= slot <= END]
    assert table.between(BEGIN - SECOND, END, 5000) == expected
    assert table.newest_between(BEGIN - SECOND, END, 5000) == expected


def fields(low: int, high: int, *, stars: int = 1) -> st.SearchStrategy[str]:
    values = st.integers(low, high)
    steps = st.integers(1, high - low + 1)
    spans = st.tuples(values, values).map(lambda pair: f"{min(pair)}-{max(pair)}")
    items = values.map(str) | spans | st.builds("{}/{}".format, spans | values | st.just("*"), steps)
    return st.one_of(*[st.just("*")] * stars, st.lists(items, min_size=1, max_size=3).map(",".join))


SECONDS = st.sampled_from(["", "0 ", "59 ", "7,31 ", "*/25 "])
TEXTS = st.builds(
    "{}{} {} {} {} {}".format,
    SECONDS,
    fields(0, 59),
    fields(0, 23),
    fields(1, 31, stars=2),
    fields(1, 12, stars=3),
    fields(0, 6, stars=2) | st.sampled_from(["7", "SUN", "MON-FRI", "5-7", "FRI-SUN", "sat"]),
)


@settings(max_examples=100, deadline=None)
@given(zone=st.sampled_from(ZONES), text=TEXTS, seed=st.integers(0, 2**32))
def test_any_expression_agrees_with_the_clock(zone: str, text: str, seed: int) -> None:
    any_agrees(zone, text, seed)


@pytest.mark.nightly
@settings(max_examples=5000, deadline=None)
@given(zone=st.sampled_from(ZONES), text=TEXTS, seed=st.integers(0, 2**32))
def test_any_expression_agrees_with_the_clock_the_nightly_form(zone: str, text: str, seed: int) -> None:
    any_agrees(zone, text, seed)


def any_agrees(zone: str, text: str, seed: int) -> None:
    """Dense expressions take the watcher too long; there are some among those written out."""
    expression = Expression(text)
    assume(len(expression.times()) <= 500)
    if not expression.comes():
        with pytest.raises(InvalidArgument, match="never meet"):
            checked_cron(text, zone)
        return
    for moment in list(moments(zone, seed))[-4:]:
        agree(zone, text, moment)


@settings(max_examples=100, deadline=None)
@given(
    every=st.timedeltas(timedelta(seconds=1), timedelta(days=40)),
    start=st.timedeltas(timedelta(0), timedelta(days=10_000)).map(lambda since: LONG_AGO + since),
    count=st.integers(1, 70_000),
)
def test_slots_of_intervals_never_drift(every: timedelta, start: datetime, count: int) -> None:
    table = Timetable(Interval(every), start)
    slot = start + count * every
    assert table.last_until(slot) == table.last_until(slot + every - MICROSECOND) == slot
    assert table.next_after(slot - MICROSECOND) == slot
    assert table.next_after(slot) == slot + every
    assert table.previous(slot) == slot - every
    assert table.between(slot, slot + 3 * every, 10) == [slot + number * every for number in (1, 2, 3)]
    assert table.newest_between(start, slot, 2) == [slot - every, slot][-min(count, 2) :]
