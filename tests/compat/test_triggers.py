"""Triggers of recurring runs as schedules of jobs, and back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from penstock.kfp.v2beta1 import recurring_run_pb2 as pb
from penstock_server.compat.triggers import CATCH_UP_LIMIT, schedule_of, trigger_of
from penstock_server.engine.due_slots import timetable_of
from penstock_server.engine.job_progress import next_slots
from penstock_server.model.errors import InvalidArgument
from penstock_server.model.jobs import CatchUp, JobSchedule, Overlap

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def stamp(time: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(time)
    return message


def cron(expression: str, **window: Timestamp) -> pb.Trigger:
    return pb.Trigger(cron_schedule=pb.CronSchedule(cron=expression, **window))


def every(seconds: int, **window: Timestamp) -> pb.Trigger:
    return pb.Trigger(periodic_schedule=pb.PeriodicSchedule(interval_second=seconds, **window))


def recurring(trigger: pb.Trigger | None, **fields: Any) -> pb.RecurringRun:
    return pb.RecurringRun(**({"trigger": trigger, "max_concurrency": 1} | fields))


def schedule(trigger: pb.Trigger | None, **fields: Any) -> JobSchedule:
    return schedule_of(recurring(trigger, **fields), NOW)


TRIGGERS = [
    cron("0 0 9 ? * MON-FRI"),
    cron("0 0 9 * * *", start_time=stamp(LATER), end_time=stamp(LATER + timedelta(days=9))),
    cron("@every 1h30m", start_time=stamp(LATER)),
    cron("TZ=Europe/Berlin 0 0 9 * * *"),
    every(3600),
    every(60, start_time=stamp(LATER), end_time=stamp(LATER + timedelta(hours=1))),
    None,
]


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_trigger_comes_back_as_it_was_given(trigger: pb.Trigger | None) -> None:
    assert trigger_of(schedule(trigger), NOW) == trigger


def test_a_cron_slot_at_the_start_does_not_fire() -> None:
    given = schedule(cron("0 0 9 * * *", start_time=stamp(LATER)))
    assert next_slots(timetable_of(given), NOW, 1) == [LATER + timedelta(days=1)]


def test_the_first_interval_counts_from_the_start() -> None:
    given = schedule(every(3600, start_time=stamp(LATER)))
    assert next_slots(timetable_of(given), NOW, 1) == [LATER + timedelta(hours=1)]


def test_without_a_trigger_there_is_one_slot_and_it_is_now() -> None:
    given = schedule(None)
    assert given.start_time is not None
    assert next_slots(timetable_of(given), given.start_time, 9) == [NOW]


def test_slots_wait_and_missed_ones_are_made_up_for() -> None:
    given = schedule(every(60), max_concurrency=7)
    assert (given.overlap, given.max_concurrency) == (Overlap.QUEUE_ALL, 7)
    assert (given.catch_up, given.catch_up_limit) == (CatchUp.ALL, CATCH_UP_LIMIT)


def test_with_no_catchup_only_the_newest_missed_slot_fires() -> None:
    assert schedule(every(60), no_catchup=True).catch_up is CatchUp.LATEST


@pytest.mark.parametrize(
    ("made_here", "told"),
    [
        ("0 9 * * MON", "0 0 9 * * MON"),
        ("@daily", "@daily"),
        ("15 0 9 * * *", "15 0 9 * * *"),
    ],
)
def test_a_crontab_of_a_job_is_told_with_its_seconds(made_here: str, told: str) -> None:
    trigger = trigger_of(JobSchedule(None, made_here, start_time=NOW), NOW)
    assert trigger is not None
    assert trigger.cron_schedule.cron == told


@pytest.mark.parametrize(
    ("trigger", "fields", "reason", "field"),
    [
        (every(60), {"max_concurrency": 0}, "INVALID_REQUEST", "recurring_run.max_concurrency"),
        (every(60), {"max_concurrency": 11}, "INVALID_REQUEST", "recurring_run.max_concurrency"),
        (every(0), {}, "INVALID_INTERVAL", "recurring_run.trigger.periodic_schedule.interval_second"),
        (every(2**62), {}, "INVALID_INTERVAL", "recurring_run.trigger.periodic_schedule.interval_second"),
        (cron("0 9 * * MON"), {}, "INVALID_CRON", "recurring_run.trigger.cron_schedule.cron"),
        (cron(""), {}, "INVALID_CRON", "recurring_run.trigger.cron_schedule.cron"),
        (cron("0 0 9 * * XYZ"), {}, "INVALID_CRON", "recurring_run.trigger.cron_schedule.cron"),
        (
            cron("TZ=Mars/Olympus 0 0 9 * * *"),
            {},
            "INVALID_TIME_ZONE",
            "recurring_run.trigger.cron_schedule.cron",
        ),
        (
            every(60, start_time=stamp(LATER), end_time=stamp(NOW)),
            {},
            "INVALID_REQUEST",
            "recurring_run.trigger.periodic_schedule.end_time",
        ),
        (
            cron("0 0 9 * * *", start_time=Timestamp(seconds=2**50)),
            {},
            "INVALID_REQUEST",
            "recurring_run.trigger.cron_schedule.start_time",
        ),
    ],
)
def test_what_is_wrong_is_named(trigger: pb.Trigger, fields: dict[str, Any], reason: str, field: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        schedule(trigger, **fields)
    assert refused.value.reason == reason
    assert field in [violation.field for violation in refused.value.violations]


@pytest.mark.parametrize(
    ("trigger", "told"),
    [
        (cron("foo"), "cron has 1 field and needs 6: second minute hour day-of-month month day-of-week; without"),
        (cron("0 0 2 * * 1-5 2027"), "cron has 7 fields and needs 6: second minute hour"),
        (cron(" "), "cron has 0 fields and needs 6: second minute hour"),
        (cron("0 9 * * MON"), "cron: the month field 'MON' is wrong"),
        (cron("TZ=Mars/Olympus 0 0 9 * * *"), "cron: "),
        (every(-5), "interval_second has to be from 1 to 3155760000 and is -5"),
        (every(2**62), "interval_second has to be from 1 to 3155760000 and is 4611686018427387904"),
    ],
)
def test_messages_speak_of_what_kfp_has(trigger: pb.Trigger, told: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        schedule(trigger)
    field = "recurring_run.trigger." + ("cron_schedule." if trigger.HasField("cron_schedule") else "periodic_schedule.")
    assert refused.value.message.startswith(field + told)


@pytest.mark.parametrize(("given", "read"), [("0 9 * * *", "0 9 * * * *"), ("*/5 * * 1 JAN", "*/5 * * 1 JAN *")])
def test_five_fields_are_second_to_month_as_kfp_reads_them(given: str, read: str) -> None:
    assert schedule(cron(given)).cron == read
    assert schedule(cron(f"TZ=Europe/Berlin {given}")).cron == read


def test_five_fields_of_which_the_last_is_no_month_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="five fields are second minute hour day-of-month month") as refused:
        schedule(cron("0 9 * * MON"))
    assert refused.value.reason == "INVALID_CRON"
