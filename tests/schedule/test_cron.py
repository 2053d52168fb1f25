"""Expressions as people write them are understood, and what cannot be meant is refused with the part that is wrong."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from penstock_server.model.errors import InvalidArgument
from penstock_server.schedule.triggers import Cron, Timetable, checked_cron
from tests.schedule import naive

LINES = (Path(__file__).parent / "crontabs.txt").read_text().splitlines()
EXPRESSIONS = [line for line in LINES if line and not line.startswith("# ")]
GIVEN = datetime(2026, 1, 15, 10, 20, 30, tzinfo=UTC)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_a_line_of_a_crontab_is_due_when_the_naive_matcher_says(text: str) -> None:
    expected = naive.following(text, GIVEN, 3)
    assert len(expected) == 3
    table = Timetable(checked_cron(text), LONG_AGO)
    assert table.between(GIVEN, expected[-1], 5) == expected
    assert table.newest_between(GIVEN, expected[-1], 5) == expected


# Expression, then its next slots after Thursday, 15 January 2026, 10:20:30 UTC, written out by hand.
MEANINGS = [
    ("0 9 * * *", ["2026-01-16T09:00", "2026-01-17T09:00"]),
    ("0 0 9 * * ?", ["2026-01-16T09:00", "2026-01-17T09:00"]),
    ("0 0 1 * MON", ["2026-01-19T00:00", "2026-01-26T00:00", "2026-02-01T00:00", "2026-02-02T00:00"]),
    ("0 0 */10 * MON", ["2026-05-11T00:00", "2026-06-01T00:00", "2026-08-31T00:00"]),
    ("0 0 * * 5-7", ["2026-01-16T00:00", "2026-01-17T00:00", "2026-01-18T00:00", "2026-01-23T00:00"]),
    ("0 0 * * FRI-SUN", ["2026-01-16T00:00", "2026-01-17T00:00", "2026-01-18T00:00", "2026-01-23T00:00"]),
    ("0 0 29 2 *", ["2028-02-29T00:00", "2032-02-29T00:00"]),
    ("0 0 29 2 */7", ["2032-02-29T00:00", "2060-02-29T00:00"]),
    ("0 0 31 4,5 *", ["2026-05-31T00:00", "2027-05-31T00:00"]),
    ("50/5 10 * * *", ["2026-01-15T10:50", "2026-01-15T10:55", "2026-01-16T10:50"]),
    ("*/25 10 15 1 *", ["2026-01-15T10:25", "2026-01-15T10:50", "2027-01-15T10:00"]),
    (" \t0  0\t1 1 * ", ["2027-01-01T00:00"]),
    ("@weekly", ["2026-01-18T00:00", "2026-01-25T00:00"]),
]


@pytest.mark.parametrize(("text", "expected"), MEANINGS, ids=[text for text, _ in MEANINGS])
def test_an_expression_means_what_its_reader_expects(text: str, expected: list[str]) -> None:
    slots = [datetime.fromisoformat(word).replace(tzinfo=UTC) for word in expected]
    assert Timetable(checked_cron(text), LONG_AGO).between(GIVEN, slots[-1], 10) == slots


DURATIONS = {
    "90s": timedelta(seconds=90),
    "1h30m": timedelta(hours=1.5),
    "1.5h": timedelta(hours=1.5),
    ".5m": timedelta(seconds=30),
    "1m0.25s": timedelta(seconds=60.25),
    "1500ms": timedelta(seconds=1.5),
    "1000000us": timedelta(seconds=1),
    "1000001µs": timedelta(seconds=1, microseconds=1),
    "1000000000ns": timedelta(seconds=1),
    "876600h": timedelta(days=36_525),
}


@pytest.mark.parametrize(("text", "every"), DURATIONS.items())
def test_every_takes_the_durations_of_go(text: str, every: timedelta) -> None:
    table = Timetable(checked_cron(f"@every {text}"), GIVEN)
    assert table.next_after(GIVEN) == GIVEN + every
    assert table.next_after(GIVEN + every) == GIVEN + 2 * every


REFUSED = {
    # How many fields
    "": "five or six fields are needed, not 0: minute hour day-of-month month day-of-week, with the second",
    "   ": "are needed, not 0",
    "0": "are needed, not 1",
    "0 0 * *": "are needed, not 4",
    "0 0 0 * * ? 2026": "are needed, not 7",
    "* * * * * * * *": "are needed, not 8",
    "* " * 40_000: "the expression has 80000 characters; at most 256 are read",
    ",".join(["0"] * 129) + " * * * *": "at most 256",
    # Bounds
    "60 * * * *": "the minute field '60' is wrong: 60 is not within 0 to 59",
    "60 0 * * * *": "the second field '60' is wrong",
    "0 24 * * *": "the hour field '24' is wrong: 24 is not within 0 to 23",
    "0 0 0 * *": "the day-of-month field '0' is wrong: 0 is not within 1 to 31",
    "0 0 32 * *": "the day-of-month field '32' is wrong",
    "0 0 1 0 *": "the month field '0' is wrong",
    "0 0 1 13 *": "the month field '13' is wrong",
    "0 0 * * 8": "the day-of-week field '8' is wrong: 8 is not within 0 to 7",
    "0-60 * * * *": "60 is not within",
    "99999999999999999999999999 * * * *": "is not within",
    "-1 * * * *": "the minute field '-1' is wrong: '-1' is none of *, ?, numbers, ranges such as 1-5",
    # Dates that never come
    "0 0 31 2 *": "the day-of-month and month fields never meet: no such month has 31 days",
    "0 0 30 2 *": "no such month has 30 days",
    "0 0 31 4,6,9,11 *": "no such month has 31 days",
    "0 0 0 30-31 FEB ?": "no such month has 30 days",
    "0 0 31 2 */2": "no such month has 31 days",
    # Steps, ranges, lists
    "*/0 * * * *": "the minute field '*/0' is wrong: the step 0 is not within 1 to 60",
    "*/90 * * * *": "the step 90 is not within 1 to 60; for longer ones use an interval or @every",
    "0 */25 * * *": "the step 25 is not within 1 to 24",
    "0 0 * * */8": "the step 8 is not within 1 to 7",
    "*/a * * * *": "the step 'a' is not a number",
    "*/ * * * *": "the minute field '*/' is wrong: '*/' is none of",
    "*/5/5 * * * *": "'*/5/5' is none of",
    "/5 * * * *": "'/5' is none of",
    "30-10 * * * *": "the range 30-10 runs backwards; write it as 30-59,0-10",
    "0 22-2 * * *": "the range 22-2 runs backwards; write it as 22-23,0-2",
    "0 0 * * 5-1": "the range 5-1 runs backwards",
    "0 0 * * FRI-MON": "the range FRI-MON runs backwards",
    "1- * * * *": "'1-' is none of",
    "1-5-9 * * * *": "'1-5-9' is none of",
    "*-5 * * * *": "* cannot begin a range",
    "?-5 * * * *": "? cannot begin a range",
    "1,,2 * * * *": "the minute field '1,,2' is wrong: an item of its list is empty",
    ", * * * *": "an item of its list is empty",
    "1, * * * *": "an item of its list is empty",
    "** * * * *": "'**' is none of",
    "1.5 * * * *": "'1.5' is none of",
    "+1 * * * *": "'+1' is none of",
    "0x10 * * * *": "'0x10' is none of",
    # Names
    "MON * * * *": "the minute field 'MON' is wrong: 'MON' is none of *, ?, numbers, ranges",
    "0 0 * MON *": "the month field 'MON' is wrong: 'MON' is none of *, ?, numbers, names such as JAN",
    "0 0 * * JAN": "names such as SUN",
    "0 0 * * MONDAY": "'MONDAY' is none of",
    "0 0 * * ١": "the day-of-week field '١' is wrong",
    "0 0 * *\u00a0*": "are needed, not 4",
    "0 0\n* * *": "are needed, not 4",
    # What other crons have in addition
    "0 0 L * *": "the day-of-month field 'L' is wrong: 'L' is an extension of other crons (L, W, #, H, R) that is not",
    "0 0 L-3 * *": "is an extension of other crons",
    "0 0 15W * *": "'15W' is an extension",
    "0 0 LW * *": "'LW' is an extension",
    "0 0 * * 5L": "'5L' is an extension",
    "0 0 * * L5": "'L5' is an extension",
    "0 0 * * 5#2": "'5#2' is an extension",
    "0 0 * * MON#1": "'MON#1' is an extension",
    "H * * * *": "'H' is an extension",
    "H/15 * * * *": "'H' is an extension",
    "H(0-29)/10 * * * *": "'H(0-29)/10' is an extension",
    "R R * * *": "'R' is an extension",
    "r(1-5) * * * *": "'r(1-5)' is an extension",
    "0~30 * * * *": "'0~30' is an extension",
    "CRON_TZ=Asia/Tokyo 0 9 * * *": "TZ= is not read in an expression; give the time zone in its own field",
    "TZ=UTC 0 0 9 * * ?": "give the time zone in its own field",
    # Words
    "@reboot": "'@reboot' is none of @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly and @every",
    "@Daily": "'@Daily' is none of",
    "@daily 5": "'@daily 5' is none of",
    "@": "'@' is none of",
    "@every": "@every needs a duration such as 90s, 15m or 1h30m, not ''",
    "@every 5": "not '5'",
    "@every s": "not 's'",
    "@every 1h 30m": "not '1h 30m'",
    "@every -5m": "not '-5m'",
    "@every 1d": "not '1d'",
    "@every 1e9s": "not '1e9s'",
    "@every 1h30": "not '1h30'",
    "@every 999ms": "@every 999ms is not within one second and 36525 days",
    "@every 0s": "is not within one second",
    "@every 876601h": "is not within one second and 36525 days",
    f"@every {'9' * 200}h": "is not within one second",
}


@pytest.mark.parametrize(("text", "told"), REFUSED.items(), ids=[text[:20] for text in REFUSED])
def test_what_cannot_be_meant_is_refused_with_what_is_wrong(text: str, told: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        checked_cron(text, field="job.trigger.cron")
    assert refused.value.reason == "INVALID_CRON"
    (violation,) = refused.value.violations
    assert (violation.field, violation.reason) == ("job.trigger.cron.expression", "INVALID_CRON")
    assert told in violation.description
    assert len(refused.value.message) < 1000


ZONES_REFUSED = {
    "europe/berlin": "did you mean Europe/Berlin?",
    "Europe/Berln": "did you mean Europe/Berlin",
    "Europe": "use a name such as Europe/Berlin, America/New_York or UTC",
    "America": "is no time zone",
    "UTC+2": "is no time zone",
    "+02:00": "is no time zone",
    "localtime": "is no time zone",
    "Factory": "is no time zone",
    "posix/Europe/Berlin": "is no time zone",
    "right/Europe/Berlin": "is no time zone",
    "../../etc/passwd": "is no time zone",
    "/usr/share/zoneinfo/UTC": "is no time zone",
    "Europe/../UTC": "is no time zone",
    "Europe/Berlin\n": "is no time zone",
    "zone.tab": "is no time zone",
    "tzdata.zi": "is no time zone",
    "leapseconds": "is no time zone",
    "\x00": "is no time zone",
    "Ö" * 100_000: "is no time zone",
}


@pytest.mark.parametrize(("name", "told"), ZONES_REFUSED.items(), ids=[ascii(name[:20]) for name in ZONES_REFUSED])
def test_a_zone_that_does_not_exist_is_refused_with_a_hint(name: str, told: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        checked_cron("0 9 * * *", name, field="job.trigger.cron")
    assert refused.value.reason == "INVALID_TIME_ZONE"
    (violation,) = refused.value.violations
    assert (violation.field, violation.reason) == ("job.trigger.cron.time_zone", "INVALID_TIME_ZONE")
    assert told in violation.description
    assert len(violation.description) < 300


@pytest.mark.parametrize("name", ["UTC", "Etc/GMT+5", "EST5EDT", "America/Argentina/Buenos_Aires", "Asia/Ust-Nera"])
def test_zones_of_the_database_are_taken(name: str) -> None:
    assert checked_cron("0 9 * * *", name) == Cron("0 9 * * *", name)
