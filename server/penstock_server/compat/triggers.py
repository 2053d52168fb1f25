"""Triggers of recurring runs as schedules of jobs, and back.

| KFP | A job |
|---|---|
| a cron slot exactly at the start does not fire | the start lies a microsecond later |
| five fields of cron are second to month | the same with `*` for the day of the week |
| `TZ=` or `CRON_TZ=` before the expression | the time zone |
| missed slots are made up for, all or with `no_catchup` the newest | ALL, up to `CATCH_UP_LIMIT`, or LATEST |
| slots wait while `max_concurrency` runs are under way | QUEUE_ALL |
| no trigger: once, at once | an interval of a second that ends with its first slot, which is now |
"""

import re
from dataclasses import replace
from datetime import datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from penstock.kfp.v2beta1 import recurring_run_pb2 as pb
from penstock_server.compat.refusals import wrong
from penstock_server.compat.times import exact_time, read_time
from penstock_server.model.errors import FieldViolation, InvalidArgument
from penstock_server.model.jobs import CatchUp, JobSchedule, Overlap
from penstock_server.schedule.triggers import EVERY_MAX, checked_cron

CATCH_UP_LIMIT = 1_000
"""So many missed slots fire at most; KFP has no bound."""
MAX_CONCURRENCY = 10

_FIELD = "recurring_run.trigger"
_INSTANT = timedelta(microseconds=1)
_ONCE_S = 1.0
_FIVE, _SIX = 5, 6
_FORM_OF_FIVE = "second minute hour day-of-month month"
_ZONED = re.compile(r"(?:CRON_)?TZ=(?P<zone>\S+)\s+(?P<expression>.*)\Z", re.DOTALL)


def schedule_of(recurring: pb.RecurringRun, now: datetime) -> JobSchedule:
    """When the job fires; `now`, where there is no trigger. Raises InvalidArgument naming each wrong field."""
    if not 1 <= recurring.max_concurrency <= MAX_CONCURRENCY:
        raise wrong("recurring_run.max_concurrency", f"has to be from 1 to {MAX_CONCURRENCY}")
    return replace(
        _times(recurring.trigger, now),
        catch_up=CatchUp.LATEST if recurring.no_catchup else CatchUp.ALL,
        catch_up_limit=CATCH_UP_LIMIT,
        overlap=Overlap.QUEUE_ALL,
        max_concurrency=recurring.max_concurrency,
    )


def trigger_of(schedule: JobSchedule, create_time: datetime) -> pb.Trigger | None:
    """The trigger that a schedule is; None for a job that fires once. A start that nobody gave is left out."""
    if _is_once(schedule):
        return None
    if schedule.interval_s is not None:
        periodic = pb.PeriodicSchedule(
            start_time=_start(schedule, create_time),
            end_time=exact_time(schedule.end_time),
            # What is shorter than a second, or between seconds, cannot be said: the nearest stands for it.
            interval_second=max(1, round(schedule.interval_s)),
        )
        return pb.Trigger(periodic_schedule=periodic)
    return pb.Trigger(
        cron_schedule=pb.CronSchedule(
            start_time=_start(schedule, create_time),
            end_time=exact_time(schedule.end_time),
            cron=_kfp_cron(schedule),
        )
    )


def _times(trigger: pb.Trigger, now: datetime) -> JobSchedule:
    match trigger.WhichOneof("trigger"):
        case "cron_schedule":
            return _cron(trigger.cron_schedule, f"{_FIELD}.cron_schedule")
        case "periodic_schedule":
            return _periodic(trigger.periodic_schedule, f"{_FIELD}.periodic_schedule")
        case _:
            once = timedelta(seconds=_ONCE_S)
            return JobSchedule(interval_s=_ONCE_S, cron=None, start_time=now - once, end_time=now)


def _cron(schedule: pb.CronSchedule, field: str) -> JobSchedule:
    zoned = _ZONED.match(schedule.cron)
    zone, expression = ("UTC", schedule.cron) if zoned is None else (zoned["zone"], zoned["expression"])
    _check_count(expression, f"{field}.cron")
    has_five = _has_five_fields(expression)
    if has_five:
        expression = f"{expression.strip()} *"
    try:
        checked_cron(expression, zone)
    except InvalidArgument as error:
        # Expression and zone are two fields of a job, and one of KFP's.
        told = "; ".join(violation.description for violation in error.violations)
        told += f"; five fields are {_FORM_OF_FIVE}" if has_five else ""
        violation = FieldViolation(f"{field}.cron", told, error.reason)
        raise InvalidArgument(error.reason, f"{field}.cron: {told}", violations=[violation]) from None
    start, end = _window(schedule, field)
    if start is not None and not start.microsecond:
        start += _INSTANT
    return JobSchedule(interval_s=None, cron=expression, time_zone=zone, start_time=start, end_time=end)


def _check_count(expression: str, field: str) -> None:
    """Said of the fields as KFP counts them, where a job's own five are those of a crontab."""
    count = len(expression.split())
    if count in (_FIVE, _SIX) or expression.lstrip().startswith("@"):
        return
    named = f"{count} field{'s' * (count != 1)}"
    told = f"has {named} and needs {_SIX}: {_FORM_OF_FIVE} day-of-week; without the last, {_FIVE} will do"
    raise wrong(field, told, "INVALID_CRON")


def _periodic(schedule: pb.PeriodicSchedule, field: str) -> JobSchedule:
    seconds, seconds_max = schedule.interval_second, EVERY_MAX // timedelta(seconds=1)
    if not 1 <= seconds <= seconds_max:
        told = f"has to be from 1 to {seconds_max} and is {seconds}"
        raise wrong(f"{field}.interval_second", told, "INVALID_INTERVAL")
    start, end = _window(schedule, field)
    return JobSchedule(interval_s=float(seconds), cron=None, start_time=start, end_time=end)


def _window(schedule: pb.CronSchedule | pb.PeriodicSchedule, field: str) -> tuple[datetime | None, datetime | None]:
    start = read_time(schedule.start_time, f"{field}.start_time") if schedule.HasField("start_time") else None
    end = read_time(schedule.end_time, f"{field}.end_time") if schedule.HasField("end_time") else None
    if start is not None and end is not None and end <= start:
        raise wrong(f"{field}.end_time", "has to lie after start_time")
    return start, end


def _is_once(schedule: JobSchedule) -> bool:
    if schedule.interval_s != _ONCE_S or schedule.start_time is None or schedule.end_time is None:
        return False
    return schedule.end_time - schedule.start_time == timedelta(seconds=_ONCE_S)


def _start(schedule: JobSchedule, create_time: datetime) -> Timestamp | None:
    start = schedule.start_time
    if start is None or start == create_time:
        return None
    return exact_time(start - _INSTANT if schedule.cron is not None and start.microsecond == 1 else start)


def _kfp_cron(schedule: JobSchedule) -> str:
    """With the second first; a time zone that is not UTC stands before it."""
    expression = schedule.cron or ""
    if _has_five_fields(expression):
        expression = f"0 {expression.strip()}"
    return expression if schedule.time_zone == "UTC" else f"TZ={schedule.time_zone} {expression}"


def _has_five_fields(expression: str) -> bool:
    """KFP's first field is the second, also of five; that of a job with five is the minute."""
    return len(expression.split()) == _FIVE and not expression.lstrip().startswith("@")
