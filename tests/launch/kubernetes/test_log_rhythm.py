"""When logs are looked at: rarely, and never so late that a file may have been rotated."""

from itertools import pairwise

import pytest

from penstock_server.launch.kubernetes.logs.rhythm import MIB, LogRhythm, Pace

RHYTHM = LogRhythm()
KIB = 1024
HOUR_S = 3600.0


def looks(rate_per_s: float, until_s: float) -> tuple[list[float], float | None]:
    """When a log that grows so fast is looked at, and from when on it is followed, if it is."""
    now_s, wait_s, pace, at = RHYTHM.first_s, RHYTHM.first_s, Pace(0), list[float]()
    while now_s <= until_s:
        at.append(now_s)
        size = int(now_s * rate_per_s)
        pace.note(now_s, size)
        found = RHYTHM.wait_s(size, pace.rate_per_s, wait_s)
        if found is None:
            return at, now_s
        wait_s = found
        now_s += wait_s
    return at, None


def test_a_silent_pod_costs_a_look_in_ten_minutes() -> None:
    at, followed_s = looks(0, 2 * HOUR_S)
    assert at[:7] == [5, 20, 65, 200, 605, 1205, 1805]
    assert followed_s is None


def test_five_thousand_pods_that_write_little_cost_under_ten_looks_a_second() -> None:
    """Once they are ten minutes old; the first ten minutes cost four looks more."""
    at, _ = looks(10, 10 * HOUR_S)
    old = [moment_s for moment_s in at if moment_s > 600]
    assert len(at) - len(old) == 4
    assert 5_000 * len(old) / (10 * HOUR_S - 600) < 10


@pytest.mark.parametrize("rate_per_s", [10, 100, KIB, 10 * KIB, 100 * KIB, 300 * KIB, 1.9 * MIB])
def test_a_log_is_followed_before_its_file_is_full(rate_per_s: float) -> None:
    """At the pace it has; and at four times the pace no file is full at the next look."""
    at, followed_s = looks(rate_per_s, RHYTHM.rotated_at_bytes / rate_per_s + HOUR_S)
    assert followed_s is not None
    assert followed_s * rate_per_s < RHYTHM.rotated_at_bytes
    for earlier, later in pairwise(at):
        assert earlier * rate_per_s + 4 * (later - earlier) * rate_per_s <= RHYTHM.rotated_at_bytes


def test_most_of_a_file_is_looked_at_and_not_followed_where_a_log_grows_slowly() -> None:
    for rate_per_s in (100, KIB, 10 * KIB):
        _, followed_s = looks(rate_per_s, 100 * HOUR_S * 10)
        assert followed_s is not None
        assert followed_s * rate_per_s > 0.7 * RHYTHM.rotated_at_bytes


def test_one_that_grows_too_fast_for_looks_is_followed_at_once() -> None:
    assert looks(MIB, HOUR_S) == ([5], 5)
    assert not RHYTHM.may_look(MIB)
    assert RHYTHM.may_look(100 * KIB)


def test_a_pace_is_remembered_for_a_while() -> None:
    pace = Pace(0)
    pace.note(10, 1000)
    assert pace.rate_per_s == 100
    pace.note(20, 1000)
    assert pace.rate_per_s == 50
    pace.note(20, 5000)
    assert pace.rate_per_s == 50
    pace.note(30, 100)
    assert pace.rate_per_s == 25
    pace.note(40, 100, written_per_s=1000)
    assert pace.rate_per_s == 1000


def test_parts_are_a_tenth_of_a_file_and_never_large() -> None:
    assert LogRhythm().part_bytes == MIB
    assert LogRhythm(rotated_at_bytes=50 * MIB).part_bytes == MIB
    assert LogRhythm(rotated_at_bytes=1000).part_bytes == 100
