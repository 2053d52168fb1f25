"""How far a job is once a user has made or changed it, and what its schedule may say. Pure."""

from datetime import datetime, timedelta

from penstock_server.engine.due_slots import due_time, timetable_of, trigger_of
from penstock_server.model.errors import FieldViolation, InvalidArgument
from penstock_server.model.jobs import CatchUp, Job, JobSchedule
from penstock_server.schedule.triggers import Timetable, checked_cron, checked_interval
from penstock_server.store.jobs import Progress

INSTANT = timedelta(microseconds=1)
"""The smallest difference between two times."""


def check_schedule(schedule: JobSchedule) -> None:
    """Raise InvalidArgument that names each wrong field of a job."""
    if schedule.interval_s is not None:
        checked_interval(timedelta(seconds=schedule.interval_s), field="job.interval.every")
    elif schedule.cron is not None:
        checked_cron(schedule.cron, schedule.time_zone, field="job.cron")
    else:
        raise _wrong("job", "needs interval or cron: when it is to fire")
    if schedule.start_time is not None and schedule.end_time is not None and schedule.end_time <= schedule.start_time:
        raise _wrong("job.end_time", "has to lie after job.start_time")


def next_slots(timetable: Timetable, after: datetime, count: int) -> list[datetime]:
    """The first slots after an instant."""
    found: list[datetime] = []
    slot = timetable.next_after(after)
    while slot is not None and len(found) < count:
        found.append(slot)
        slot = timetable.next_after(slot)
    return found


def beginning(job: Job, now: datetime) -> datetime:
    """Where the cursor of a new job stands: before the first slot that may fire, which can lie before it was made."""
    assert job.schedule.start_time is not None
    start = job.schedule.start_time - INSTANT
    return max(start, now - INSTANT) if job.schedule.catch_up is CatchUp.NONE else start


def forward(job: Job, now: datetime) -> datetime:
    """The cursor of a job whose slots up to now are not made up for."""
    assert job.schedule.start_time is not None
    return max(now, job.schedule.start_time - INSTANT)


def progress(job: Job, now: datetime) -> Progress:
    """What follows from a job as a user has left it; whatever waits is looked at at once."""
    next_slot_time = timetable_of(job.schedule).next_after(job.cursor_time) if job.fires else None
    attention_time = now if job.waiting_slot_count or not job.fires else None
    if next_slot_time is not None and attention_time is None:
        attention_time = due_time(job, timetable_of(job.schedule), next_slot_time)
    return Progress(job.cursor_time, next_slot_time, attention_time)


def times(schedule: JobSchedule) -> tuple[object, ...]:
    """What decides on when slots are."""
    return trigger_of(schedule), schedule.start_time, schedule.end_time


def _wrong(field: str, description: str) -> InvalidArgument:
    return InvalidArgument("INVALID_REQUEST", f"{field} {description}", violations=[FieldViolation(field, description)])
