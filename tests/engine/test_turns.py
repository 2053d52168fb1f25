"""What turns of jobs come to: tables of single turns, and years of them against a naive calculation."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from random import Random
from typing import Any

import pytest

from penstock_server.engine import turns
from penstock_server.engine.due_slots import due_slots, timetable_of
from penstock_server.model.ids import RunUid
from penstock_server.model.job_turns import EndedRun, OpenBackfill, OpenRun, Situation, Turn, WaitingSlot
from penstock_server.model.jobs import CatchUp, Job, JobSchedule, JobState, Overlap, SlotKind
from penstock_server.model.states import RunState
from tests.engine.decided_job import decide, new_job
from tests.engine.job_stories import POLICIES, ZONES, Telling, story

START = datetime(2026, 1, 5, 12, tzinfo=UTC)
BACKFILL = uuid.UUID(int=7)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def job(**schedule: Any) -> Job:
    """One that fires each minute."""
    return new_job(uuid.UUID(int=1), JobSchedule(**({"interval_s": 60.0, "cron": None} | schedule)), START)


def turn(job: Job, seconds: float, **situation: Any) -> Turn:
    """The job's turn so many seconds after its start."""
    open_runs = situation.get("open_runs", ())
    waiting = situation.get("waiting", ())
    job = replace(job, active_run_count=len(open_runs), waiting_slot_count=len(waiting))
    return turns.decide(Situation(job, at(seconds), **situation), grace_s=60.0)


def runs(count: int, *, cancelling: int = 0, backfill: uuid.UUID | None = None) -> list[OpenRun]:
    """Open runs, of which so many are being cancelled."""
    return [OpenRun(RunUid(uuid.UUID(int=n)), f"run-{n}", backfill, n < cancelling) for n in range(count)]


def waits(seconds: float, reason: str = turns.CONCURRENCY, kind: SlotKind = SlotKind.SCHEDULED) -> WaitingSlot:
    return WaitingSlot(at(seconds), kind, at(seconds), reason)


def told(turn: Turn) -> list[str]:
    """The slots in short: seconds after the start, and the state, or the reason of one that does not fire."""
    return [f"{(slot.slot_time - START).total_seconds():g} {slot.reason or slot.state}" for slot in turn.slots]


DUE = [
    ("nothing", {}, 59, [], [], 0),
    ("at its time", {}, 60, [60], [], 60),
    ("as late as the grace allows", {}, 120, [60, 120], [], 120),
    ("later than that", {}, 121, [120], [60], 120),
    ("the newest is caught up with", {"catch_up": CatchUp.LATEST}, 200, [120, 180], [60], 180),
    ("the newest two are", {"catch_up": CatchUp.ALL, "catch_up_limit": 2}, 270, [120, 180, 240], [60], 240),
    ("until it ends", {"end_time": at(120)}, 250, [], [60, 120], 120),
]


@pytest.mark.parametrize(("schedule", "seconds", "fired", "skipped", "cursor"), [row[1:] for row in DUE])
def test_slots_that_have_fallen_due(
    schedule: dict[str, Any], seconds: float, fired: list[float], skipped: list[float], cursor: float
) -> None:
    made = replace(job(**schedule), cursor_time=START)
    due = due_slots(made, timetable_of(made.schedule), at(seconds), 60.0)
    assert [slot for slot, _ in due.to_fire] == [at(each) for each in fired]
    assert [slot.slot_time for slot in due.skipped] == [at(each) for each in skipped]
    assert due.cursor_time == at(cursor)


def test_a_slot_whose_jitter_lies_ahead_is_left_for_later() -> None:
    jittered = job(jitter_s=60)
    (when,) = [slot.due_time for slot in turn(jittered, 119.999).slots]
    before = turn(jittered, (when - START).total_seconds() - 0.001)
    assert (told(before), before.attention_time, before.next_slot_time) == ([], when, at(60))


QUEUED = ["60 CONCURRENCY"]
FULL = [
    (Overlap.ALLOW, ["60 FIRED"]),
    (Overlap.SKIP, ["60 OVERLAP"]),
    (Overlap.QUEUE_ONE, QUEUED),
    (Overlap.QUEUE_ALL, QUEUED),
    (Overlap.REPLACE, QUEUED),
]


@pytest.mark.parametrize(("overlap", "expected"), FULL)
def test_a_slot_while_as_many_runs_as_may_be_are_open(overlap: Overlap, expected: list[str]) -> None:
    came = turn(job(overlap=overlap, max_concurrency=2), 60, open_runs=runs(2))
    assert told(came) == expected
    assert [run.id for run in came.cancel] == (["run-0"] if overlap is Overlap.REPLACE else [])
    next_look = at(90) if expected == QUEUED else at(120)
    assert came.attention_time == next_look


@pytest.mark.parametrize("overlap", [Overlap.QUEUE_ONE, Overlap.REPLACE])
def test_of_several_that_wait_the_newest_stays(overlap: Overlap) -> None:
    came = turn(job(overlap=overlap), 120, open_runs=runs(1, cancelling=1), waiting=[waits(30, kind=SlotKind.MANUAL)])
    assert told(came) == ["30 SUPERSEDED", "60 SUPERSEDED", "120 CONCURRENCY"]
    assert came.cancel == []


def test_those_that_wait_fire_first_and_keep_the_bound() -> None:
    came = turn(job(max_concurrency=3), 60, open_runs=runs(1), waiting=[waits(10), waits(20)])
    assert told(came) == ["10 FIRED", "20 FIRED", "60 CONCURRENCY"]


def test_a_replacement_of_a_run_of_the_same_turn_follows_at_once() -> None:
    came = turn(job(overlap=Overlap.REPLACE), 120)
    assert told(came) == ["60 FIRED", "120 CONCURRENCY"]
    assert (came.cancel, came.attention_time) == ([], at(120))


def test_runs_of_backfills_are_not_replaced() -> None:
    came = turn(job(overlap=Overlap.REPLACE), 60, open_runs=runs(1, backfill=BACKFILL))
    assert (told(came), came.cancel, came.attention_time) == (QUEUED, [], at(90))


@pytest.mark.parametrize(
    ("own", "bound", "open_runs", "fired"), [(2, 5, 0, 2), (5, 2, 0, 1), (5, 2, 2, 0), (5, 9, 2, 4)]
)
def test_backfills_take_what_room_is_left(own: int, bound: int, open_runs: int, fired: int) -> None:
    slots = [at(-seconds) for seconds in (240, 180, 120, 60)]
    came = turn(
        job(max_concurrency=bound), 60, open_runs=runs(open_runs), backfills=[OpenBackfill(BACKFILL, own, 0, slots)]
    )
    is_full = bound == open_runs
    assert told(came) == [
        "60 CONCURRENCY" if is_full else "60 FIRED",
        *["-240 FIRED", "-180 FIRED", "-120 FIRED", "-60 FIRED"][:fired],
    ]
    assert {slot.backfill_uid for slot in came.slots[1:]} <= {BACKFILL}


def test_no_more_fire_in_a_turn_than_may_and_the_others_follow_at_once() -> None:
    many = job(interval_s=1.0, catch_up=CatchUp.ALL, catch_up_limit=1000, overlap=Overlap.ALLOW)
    came = turn(many, 55)
    assert told(came)[49:] == ["50 FIRED", *(f"{n} BACKLOG" for n in range(51, 56))]
    assert came.attention_time == at(55)
    left = turn(replace(many, cursor_time=at(55)), 55, waiting=[waits(n, turns.BACKLOG) for n in range(51, 56)])
    assert told(left) == [f"{n} FIRED" for n in range(51, 56)]
    assert not any(slot.is_new for slot in left.slots)


ENDS = [
    (["FAILED"], 1, JobState.ENABLED),
    (["FAILED", "FAILED"], 2, JobState.DISABLED),
    (["FAILED", "SUCCEEDED", "FAILED"], 1, JobState.ENABLED),
    (["FAILED", "CANCELLED", "FAILED"], 2, JobState.DISABLED),
    (["CANCELLED"], 0, JobState.ENABLED),
]


@pytest.mark.parametrize(("states", "failures", "state"), ENDS)
def test_failures_in_a_row(states: Sequence[str], failures: int, state: JobState) -> None:
    ended = [EndedRun(f"run-{n}", RunState(each), "broken\nmore", None) for n, each in enumerate(states)]
    came = turn(job(max_consecutive_failures=2), 60, ended=ended, waiting=[waits(10)])
    assert (came.standing.consecutive_failures, came.standing.state) == (failures, state)
    if state is JobState.DISABLED:
        assert told(came) == ["10 JOB_DISABLED"]
        assert came.attention_time is came.next_slot_time is None
        assert came.standing.message.endswith(": broken ...")


def test_failures_of_backfills_do_not_count() -> None:
    ended = [EndedRun("run", RunState.FAILED, "", BACKFILL)]
    assert turn(job(max_consecutive_failures=1), 1, ended=ended).standing.consecutive_failures == 0


def test_a_disabled_job_fires_what_is_made_by_hand_and_its_backfills() -> None:
    disabled = replace(job(max_concurrency=9), state=JobState.DISABLED)
    backfills = [OpenBackfill(BACKFILL, 1, 0, [at(-60)])]
    by_hand = waits(5, kind=SlotKind.MANUAL)
    came = turn(disabled, 600, waiting=[by_hand, waits(6)], backfills=backfills)
    assert told(came) == ["6 JOB_DISABLED", "5 FIRED", "-60 FIRED"]
    assert came.cursor_time == disabled.cursor_time


def test_an_archived_job_skips_all_that_waits_a_batch_of_a_backfill_at_a_time() -> None:
    archived = replace(job(), archive_time=START)
    came = turn(archived, 600, waiting=[waits(5)], backfills=[OpenBackfill(BACKFILL, 1, 0, [at(-60)])])
    assert told(came) == ["5 JOB_ARCHIVED", "-60 JOB_ARCHIVED"]
    assert came.attention_time == at(600)
    assert turn(archived, 600, backfills=[OpenBackfill(BACKFILL, 1, 0, [])]).attention_time is None


SHORT = [
    (ZONES[n % len(ZONES)], *policies, n >= len(ZONES))  # one of each policy, the last three dense
    for n, policies in enumerate(POLICIES)
]


@pytest.mark.parametrize(("zone", "catch_up", "overlap", "is_dense"), SHORT)
def test_two_years_come_to_what_a_naive_calculation_says(
    zone: str, catch_up: CatchUp, overlap: Overlap, is_dense: bool
) -> None:
    _tell(0, zone, catch_up, overlap, is_dense)


@pytest.mark.nightly
@pytest.mark.parametrize(("zone", "is_dense"), list(product(ZONES, [False, True])))
def test_two_years_in_every_zone_under_every_policy(zone: str, is_dense: bool) -> None:
    for (catch_up, overlap), seed in product(POLICIES, range(1, 4)):
        _tell(seed, zone, catch_up, overlap, is_dense)


def _tell(seed: int, zone: str, catch_up: CatchUp, overlap: Overlap, is_dense: bool) -> None:
    random = Random(f"{seed}/{zone}/{catch_up}/{overlap}/{is_dense}")
    Telling(story(random, zone, catch_up, overlap, is_dense=is_dense), random).tell()


def _dropped(situation: Situation, grace_s: float) -> Turn:
    """Missed slots leave no trace."""
    came = decide(situation, grace_s)
    return replace(came, slots=[slot for slot in came.slots if slot.reason != "CATCH_UP"])


def _late(situation: Situation, grace_s: float) -> Turn:
    """It asks for its next turn a second late."""
    came = decide(situation, grace_s)
    later = None if came.attention_time is None else came.attention_time + timedelta(seconds=1)
    return replace(came, attention_time=later)


def _crowded(situation: Situation, grace_s: float) -> Turn:
    """One run more than may be."""
    count = max(0, situation.job.active_run_count - 1)
    return decide(replace(situation, job=replace(situation.job, active_run_count=count)), grace_s)


def _stuck(situation: Situation, grace_s: float) -> Turn:
    """The cursor stays where it is."""
    return replace(decide(situation, grace_s), cursor_time=situation.job.cursor_time)


def _newest_first(situation: Situation, grace_s: float) -> Turn:
    """Slots fire in the wrong order."""
    return decide(replace(situation, waiting=situation.waiting[::-1]), grace_s)


@pytest.mark.parametrize("fault", [_dropped, _late, _crowded, _stuck, _newest_first])
def test_a_planted_fault_is_found(fault: Callable[[Situation, float], Turn]) -> None:
    """Some of twenty short stories tell."""
    with pytest.raises(AssertionError):
        for seed in range(20):
            random = Random(seed)
            Telling(story(random, "UTC", CatchUp.LATEST, Overlap.QUEUE_ALL, is_dense=True), random, fault).tell()
