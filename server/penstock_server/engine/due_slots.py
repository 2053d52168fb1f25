"""Which slots of a job's trigger have fallen due since its last turn, and which of them were missed. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from penstock_server.model.job_turns import SlotDecision
from penstock_server.model.jobs import CatchUp, Job, JobSchedule, SlotKind, SlotState
from penstock_server.schedule.jitter import jitter_s
from penstock_server.schedule.triggers import Cron, Interval, Timetable, Trigger

CONSIDERED_MAX = 2_000
"""So many slots, the newest, are considered in a turn at most; all before them were missed."""
SKIPPED_SINGLY_MAX = 100
"""So many missed slots get a row each; older ones share one."""
CATCH_UP = "CATCH_UP"
_POLICIES = {
    CatchUp.NONE: "missed slots of the job are not caught up with",
    CatchUp.LATEST: "of missed slots only the newest is caught up with",
    CatchUp.ALL: "of missed slots only the newest {} are caught up with",
}


def trigger_of(schedule: JobSchedule) -> Trigger:
    """What makes the job fire."""
    if schedule.interval_s is not None:
        return Interval(timedelta(seconds=schedule.interval_s))
    assert schedule.cron is not None
    return Cron(schedule.cron, schedule.time_zone)


def timetable_of(schedule: JobSchedule) -> Timetable:
    """The slots of a job whose start is known."""
    assert schedule.start_time is not None
    return Timetable(trigger_of(schedule), schedule.start_time, schedule.end_time)


@dataclass(frozen=True, slots=True)
class DueSlots:
    """What has fallen due."""

    to_fire: Sequence[tuple[datetime, datetime]]
    """Slots and when they were due, oldest first."""
    skipped: Sequence[SlotDecision]
    cursor_time: datetime
    """The newest slot that was decided on, or where the cursor stood."""


def due_time(job: Job, timetable: Timetable, slot: datetime) -> datetime:
    """When the slot is to fire: its time and its share of the jitter, before the next slot."""
    jitter_max_s = job.schedule.jitter_s
    if not jitter_max_s:
        return slot
    following = timetable.next_after(slot)
    if following is not None:
        jitter_max_s = min(jitter_max_s, (following - slot).total_seconds())
    return slot + timedelta(seconds=jitter_s(str(job.uid), slot, jitter_max_s))


def due_slots(job: Job, timetable: Timetable, now: datetime, grace_s: float) -> DueSlots:
    """What is to fire and what is skipped of the slots that are due by `now`."""
    slots = timetable.newest_between(job.cursor_time, now, _considered(job.schedule, grace_s))
    due = [(slot, due_time(job, timetable, slot)) for slot in slots]
    if due and due[-1][1] > now:
        due.pop()  # Only the newest can still lie ahead.
    if not due:
        return DueSlots((), (), job.cursor_time)
    missed = [pair for pair in due if pair[1] < now - timedelta(seconds=grace_s)]
    skipped, caught_up = _split(missed, job.schedule)
    first = timetable.next_after(job.cursor_time)
    before = timetable.previous(due[0][0]) if first is not None and first < due[0][0] else None
    unseen = (first, before) if first is not None and before is not None else None
    return DueSlots([*caught_up, *due[len(missed) :]], _skipped(skipped, unseen, job), due[-1][0])


def _considered(schedule: JobSchedule, grace_s: float) -> int:
    """So many of the newest slots can differ in what becomes of them: slots lie at least a second apart."""
    return min(CONSIDERED_MAX, _caught_up(schedule) + SKIPPED_SINGLY_MAX + int(grace_s) + 2)


def _caught_up(schedule: JobSchedule) -> int:
    """So many missed slots fire."""
    return {CatchUp.NONE: 0, CatchUp.LATEST: 1, CatchUp.ALL: schedule.catch_up_limit}[schedule.catch_up]


_Pairs = Sequence[tuple[datetime, datetime]]


def _split(missed: _Pairs, schedule: JobSchedule) -> tuple[_Pairs, _Pairs]:
    """The missed slots that are skipped, and those that fire."""
    edge = max(0, len(missed) - _caught_up(schedule))
    return missed[:edge], missed[edge:]


def _skipped(missed: _Pairs, unseen: tuple[datetime, datetime] | None, job: Job) -> list[SlotDecision]:
    """A decision for each of the newest, and one for all before, of which `unseen` are the first and the last."""
    shared, single = missed[: max(0, len(missed) - SKIPPED_SINGLY_MAX)], missed[-SKIPPED_SINGLY_MAX:]
    decisions = [_skip(slot, due, job) for slot, due in single]
    if unseen is None and not shared:
        return decisions
    first = unseen[0] if unseen is not None else shared[0][0]
    last = shared[-1][0] if shared else unseen[1] if unseen is not None else first
    return [_skip(first, first, job, last), *decisions]


def _skip(slot: datetime, due: datetime, job: Job, last: datetime | None = None) -> SlotDecision:
    message = f"missed, and {_POLICIES[job.schedule.catch_up].format(job.schedule.catch_up_limit)}"
    return SlotDecision(slot, SlotKind.SCHEDULED, due, SlotState.SKIPPED, CATCH_UP, message, last)
