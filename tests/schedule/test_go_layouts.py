"""Layouts of Go write times as Go's `time.Format` does."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from penstock_server.schedule.go_layouts import laid_out

MORNING = datetime(2026, 2, 3, 4, 5, 6, 78_900, tzinfo=UTC)
NIGHT = datetime(2009, 11, 20, 23, 59, 58, tzinfo=UTC)
MIDNIGHT = datetime(2024, 12, 31, tzinfo=UTC)

# Layout, then what Go writes for 2026-02-03 04:05:06.0789 (a Tuesday) and for 2009-11-20 23:59:58 (a Friday), in UTC.
LAYOUTS = [
    ("2006-01-02", "2026-02-03", "2009-11-20"),
    ("20060102150405", "20260203040506", "20091120235958"),
    ("06/1/2", "26/2/3", "09/11/20"),
    ("Monday, January _2", "Tuesday, February  3", "Friday, November 20"),
    ("Mon Jan 2 15:04:05 MST 2006", "Tue Feb 3 04:05:06 UTC 2026", "Fri Nov 20 23:59:58 UTC 2009"),
    ("Mon Jan _2 15:04:05 2006", "Tue Feb  3 04:05:06 2026", "Fri Nov 20 23:59:58 2009"),
    ("02 Jan 06 15:04 -0700", "03 Feb 26 04:05 +0000", "20 Nov 09 23:59 +0000"),
    ("Monday, 02-Jan-06 15:04:05 MST", "Tuesday, 03-Feb-26 04:05:06 UTC", "Friday, 20-Nov-09 23:59:58 UTC"),
    ("2006-01-02T15:04:05Z07:00", "2026-02-03T04:05:06Z", "2009-11-20T23:59:58Z"),
    ("2006-01-02T15:04:05.999999999Z07:00", "2026-02-03T04:05:06.0789Z", "2009-11-20T23:59:58Z"),
    ("2006-01-02T15:04:05-07:00", "2026-02-03T04:05:06+00:00", "2009-11-20T23:59:58+00:00"),
    ("3:04PM", "4:05AM", "11:59PM"),
    ("03:4:5 pm", "04:5:6 am", "11:59:58 pm"),
    ("05.000", "06.078", "58.000"),
    ("05.000000", "06.078900", "58.000000"),
    ("05,00", "06,07", "58,00"),
    ("05.00 .99", "06.07 .07", "58.00 "),
    ("002 __2", "034  34", "324 324"),
    ("2006_2006", "2026_2026", "2009_2009"),
    ("January Januaries Jan. Janet", "February Januaries Feb. Janet", "November Januaries Nov. Janet"),
    ("Monday Money Mon", "Tuesday Money Tue", "Friday Money Fri"),
    ("-07 Z07 Z0700 -070000 Z07:00:00", "+00 Z Z +000000 Z", "+00 Z Z +000000 Z"),
    ("year=2006/month=01/day=02", "year=2026/month=02/day=03", "year=2009/month=11/day=20"),
    ("no elements: xyz", "no elements: xyz", "no elements: xyz"),
    ("v1", "v2", "v11"),
    ("", "", ""),
]


@pytest.mark.parametrize(("layout", "morning", "night"), LAYOUTS, ids=[row[0] for row in LAYOUTS])
def test_a_layout_writes_what_go_writes(layout: str, morning: str, night: str) -> None:
    assert laid_out(MORNING, layout) == morning
    assert laid_out(NIGHT, layout) == night


def test_midnight_and_noon_are_twelve() -> None:
    assert laid_out(MIDNIGHT, "3 03 PM 15 002") == "12 12 AM 00 366"
    assert laid_out(MIDNIGHT + timedelta(hours=12), "3 03 pm 15") == "12 12 pm 12"


def test_offsets_are_those_of_the_zone() -> None:
    kolkata = MORNING.astimezone(ZoneInfo("Asia/Kolkata"))
    assert laid_out(kolkata, "-07 -0700 -07:00 Z0700 Z07:00 MST") == "+05 +0530 +05:30 +0530 +05:30 IST"
    newfoundland = MORNING.astimezone(ZoneInfo("America/St_Johns"))
    assert laid_out(newfoundland, "-07:00 Z07:00 -07:00:00") == "-03:30 -03:30 -03:30:00"
    odd = MORNING.astimezone(timezone(-timedelta(hours=4, minutes=56, seconds=2)))
    assert laid_out(odd, "-070000 Z07:00:00") == "-045602 -04:56:02"
