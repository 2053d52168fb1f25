"""Several things at a time, and things tried again."""

import re
import threading
from functools import partial

import pytest

from penstock_agent.notices import STORE_REFUSED, STORE_UNREACHABLE, last_notice
from penstock_agent.parallel import DELAY_S_MAX, FIRST_DELAY_S, TOLD_EVERY_S, Patience, in_parallel
from penstock_agent.stores import StoreError, StoreRefusedError

WAIT_S = 30


@pytest.mark.parametrize("count", [0, 1, 100])
def test_results_come_in_order(count: int) -> None:
    assert in_parallel([partial(int, index) for index in range(count)]) == list(range(count))


def test_jobs_run_side_by_side() -> None:
    meeting = threading.Barrier(4)
    assert in_parallel([lambda: meeting.wait(WAIT_S)] * 4, at_once=4) != [0, 0, 0, 0]


def test_after_one_that_failed_no_more_are_begun() -> None:
    begun: list[int] = []

    def job() -> None:
        begun.append(1)
        raise StoreError("away")

    with pytest.raises(StoreError, match="away"):
        in_parallel([job] * 100, at_once=3)
    assert len(begun) <= 3


class Time:
    """A clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, delay_s: float) -> None:
        self.now += delay_s
        self.slept.append(delay_s)


def test_a_store_is_asked_again_at_growing_distances_until_the_patience_ends() -> None:
    time = Time()
    patience = Patience(60, lambda: time.now, time.sleep)

    def away() -> None:
        raise StoreError("away")

    with pytest.raises(StoreError):
        patience(away)
    assert time.slept[:3] == [FIRST_DELAY_S, 2 * FIRST_DELAY_S, 4 * FIRST_DELAY_S]
    assert max(time.slept) == DELAY_S_MAX
    assert 60 - DELAY_S_MAX < time.now <= 60


def test_what_comes_back_is_used() -> None:
    time = Time()
    answers = iter([StoreError("away"), StoreError("away"), "here"])

    def ask() -> str:
        answer = next(answers)
        if isinstance(answer, StoreError):
            raise answer
        return str(answer)

    assert Patience(60, lambda: time.now, time.sleep)(ask) == "here"
    assert len(time.slept) == 2


def refuse() -> None:
    raise StoreRefusedError("no")


def test_a_store_that_refuses_is_not_asked_again() -> None:
    time = Time()
    with pytest.raises(StoreRefusedError):
        Patience(60, lambda: time.now, time.sleep)(refuse)
    assert time.slept == []


@pytest.mark.parametrize(("patience_s", "refusals_s"), [(60, 10), (10, 60)])
def test_a_store_that_refuses_is_asked_again_for_as_long_as_that_may_help(
    capsys: pytest.CaptureFixture[str], patience_s: float, refusals_s: float
) -> None:
    time = Time()
    with pytest.raises(StoreRefusedError):
        Patience(patience_s, lambda: time.now, time.sleep, refusals_s=refusals_s)(refuse)
    assert 10 - DELAY_S_MAX < time.now <= 10
    assert (last_notice(capsys.readouterr().err) or ("",))[0] == STORE_REFUSED


def test_the_log_says_at_once_that_a_store_does_not_answer_and_then_rarely(capsys: pytest.CaptureFixture[str]) -> None:
    """The line is the same each time, so that whoever hands it on has no news."""
    time = Time()
    patience = Patience(60, lambda: time.now, time.sleep)

    def away() -> None:
        raise StoreError("no answer\nfrom there")

    with pytest.raises(StoreError):
        in_parallel([lambda: patience(away)])
    lines = capsys.readouterr().err.splitlines()
    assert 60 / (TOLD_EVERY_S + DELAY_S_MAX) <= len(lines) <= 60 / TOLD_EVERY_S
    assert len(set(lines)) == 1
    reason, message = last_notice(lines[0]) or ("", "")
    assert reason == STORE_UNREACHABLE
    assert re.fullmatch(r"no answer from there; asked again until \d\d:\d\d:\d\d UTC", message)


def test_the_log_is_empty_where_all_goes_well_and_where_nobody_waits(capsys: pytest.CaptureFixture[str]) -> None:
    Patience(60)(lambda: None)
    with pytest.raises(StoreRefusedError):
        Patience(60)(refuse)
    with pytest.raises(StoreRefusedError):
        Patience(0, refusals_s=60)(refuse)
    assert capsys.readouterr().err == ""
