"""Turns of jobs on a real Postgres whose clock the test holds: policies, counts, macros, several servers."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from penstock_server.engine.job_turns import TurnSettings
from penstock_server.engine.jobs import JobChange, NewJob
from penstock_server.model.errors import FailedPrecondition, InvalidArgument, NotFound
from penstock_server.model.jobs import CatchUp, Job, JobRun, JobSchedule, JobState, Overlap, SlotKind, SlotState
from penstock_server.store import experiments, job_turns, namespaces
from penstock_server.store.database import Database
from tests import pipelines
from tests.engine.job_world import START, JobWorld, inline, simulated


@pytest.fixture
async def world(database_dsn: str) -> AsyncIterator[JobWorld]:
    database = Database(simulated(database_dsn))
    await database.open()
    yield JobWorld(database)
    await database.close()


async def test_a_slot_fires_when_it_is_due_and_makes_one_run(world: JobWorld) -> None:
    job = await world.create()
    await world.at(59)
    assert await world.told(job) == []
    await world.at(60)
    (slot,) = await world.slots(job)
    (run,) = await world.runs(job)
    assert (slot.state, slot.kind, slot.index, slot.run_id) == (SlotState.FIRED, SlotKind.SCHEDULED, 1, run.id)
    assert run.id == "job-1-20260105t120100"
    assert (run.job_id, run.slot_time) == ("job-1", START + timedelta(seconds=60))
    after = await world.job(job)
    assert (after.last_slot_time, after.last_run_id, after.fired_count) == (slot.slot_time, run.id, 1)
    assert after.next_slot_time == START + timedelta(seconds=120)


async def test_lateness_is_told(world: JobWorld) -> None:
    job = await world.create()
    await world.at(63)
    (slot,) = await world.slots(job)
    assert slot.fire_time is not None
    assert slot.fire_time - slot.due_time == timedelta(seconds=3)


CATCH_UPS = [
    (CatchUp.NONE, ["60 CATCH_UP", "120 CATCH_UP", "180 CATCH_UP", "240 FIRED"]),
    (CatchUp.LATEST, ["60 CATCH_UP", "120 CATCH_UP", "180 FIRED", "240 FIRED"]),
    (CatchUp.ALL, ["60 CATCH_UP", "120 FIRED", "180 FIRED", "240 FIRED"]),
]


@pytest.mark.parametrize(("policy", "expected"), CATCH_UPS)
async def test_slots_missed_while_no_server_was_there(world: JobWorld, policy: CatchUp, expected: list[str]) -> None:
    job = await world.create(catch_up=policy, catch_up_limit=2, overlap=Overlap.ALLOW)
    await world.at(270)
    assert await world.told(job) == expected


async def test_slots_before_the_job_was_made_are_caught_up_with_or_are_none(world: JobWorld) -> None:
    early = START - timedelta(seconds=150)
    none = await world.create(start_time=early, overlap=Overlap.ALLOW)
    every = await world.create(start_time=early, catch_up=CatchUp.ALL, overlap=Overlap.ALLOW)
    await world.at(31)
    assert await world.told(none) == ["30 FIRED"]
    assert await world.told(every) == ["-90 FIRED", "-30 FIRED", "30 FIRED"]


async def test_a_long_row_of_missed_slots_shares_an_entry_and_the_newest_have_one_each(world: JobWorld) -> None:
    job = await world.create(interval_s=1.0, catch_up=CatchUp.LATEST, overlap=Overlap.ALLOW)
    await world.at(3_000)
    told = await world.told(job)
    shared, single, fired = told[0], told[1:101], told[101:]
    assert shared == "1..2838 CATCH_UP"
    assert single[0] == "2839 CATCH_UP"
    assert single[-1] == "2938 CATCH_UP"
    assert fired[0] == "2939 FIRED"
    assert fired[-1] == "3000 FIRED"
    assert len(fired) == 62


async def test_slots_beyond_those_considered_are_recorded_too(world: JobWorld) -> None:
    job = await world.create(interval_s=1.0, overlap=Overlap.ALLOW)
    await world.at(1_000_000)
    told = await world.told(job)
    assert told[0] == "1..999839 CATCH_UP"
    assert told[1] == "999840 CATCH_UP"
    assert told[-1] == "1e+06 FIRED"


WAITS = "180 CONCURRENCY"
OVERLAPS = [
    (Overlap.ALLOW, ["60 FIRED", "120 FIRED", "180 FIRED"], ["60 FIRED", "120 FIRED", "180 FIRED"]),
    (Overlap.SKIP, ["60 FIRED", "120 OVERLAP", "180 OVERLAP"], ["60 FIRED", "120 OVERLAP", "180 OVERLAP"]),
    (
        Overlap.QUEUE_ALL,
        ["60 FIRED", "120 CONCURRENCY", "180 CONCURRENCY"],
        ["60 FIRED", "120 FIRED", "180 CONCURRENCY"],
    ),
    (Overlap.QUEUE_ONE, ["60 FIRED", "120 SUPERSEDED", "180 CONCURRENCY"], ["60 FIRED", "120 SUPERSEDED", "180 FIRED"]),
    (Overlap.REPLACE, ["60 FIRED", "120 SUPERSEDED", "180 CONCURRENCY"], ["60 FIRED", "120 SUPERSEDED", "180 FIRED"]),
]


@pytest.mark.parametrize(("policy", "full", "free"), OVERLAPS)
async def test_slots_while_a_run_is_not_finished(
    world: JobWorld, policy: Overlap, full: list[str], free: list[str]
) -> None:
    job = await world.create(overlap=policy)
    for seconds in (60, 120, 180):
        await world.at(seconds)
    assert await world.told(job) == full
    first = (await world.runs(job))[0]
    assert await world.cancelling(job) == ([first.id] if policy is Overlap.REPLACE else [])
    await world.end_run(first.id)
    await world.settle()
    assert await world.told(job) == free


async def test_as_many_runs_as_may_be_are_open_at_a_time(world: JobWorld) -> None:
    job = await world.create(max_concurrency=2)
    for seconds in (60, 120, 180, 240):
        await world.at(seconds)
    assert len(await world.open_runs(job)) == 2
    await world.end_runs(job)
    await world.settle()
    assert [run.slot_time for run in await world.open_runs(job)] == [START + timedelta(seconds=s) for s in (180, 240)]
    assert (await world.job(job)).active_run_count == 2


async def test_the_job_is_disabled_after_so_many_failures_in_a_row(world: JobWorld) -> None:
    job = await world.create(max_consecutive_failures=2)
    for seconds, state in ((60, "FAILED"), (120, "SUCCEEDED"), (180, "FAILED"), (240, "CANCELLED"), (300, "FAILED")):
        await world.at(seconds)
        (run,) = await world.open_runs(job)
        await world.end_run(run.id, state, "step a: exit code 3\nlast lines")
        await world.settle()
    after = await world.job(job)
    assert (after.state, after.reason, after.next_slot_time) == (JobState.DISABLED, "TOO_MANY_FAILURES", None)
    assert after.message == "2 runs in a row have failed, the last one: job-1-20260105t120500: step a: exit code 3 ..."
    await world.at(400)
    assert len(await world.slots(job)) == 5
    enabled = await world.jobs.set_enabled("default", job.id, enabled=True)
    assert (enabled.state, enabled.consecutive_failures) == (JobState.ENABLED, 0)
    await world.at(420)
    assert (await world.told(job))[-1] == "420 FIRED"


async def test_slots_that_wait_are_skipped_when_the_job_is_disabled(world: JobWorld) -> None:
    job = await world.create()
    await world.at(60)
    await world.at(120)
    await world.jobs.set_enabled("default", job.id, enabled=False)
    await world.settle()
    assert await world.told(job) == ["60 FIRED", "120 JOB_DISABLED"]


async def test_what_passed_while_it_was_disabled_is_not_made_up_for(world: JobWorld) -> None:
    job = await world.create(catch_up=CatchUp.ALL, overlap=Overlap.ALLOW)
    await world.jobs.set_enabled("default", job.id, enabled=False)
    await world.at(270)
    await world.jobs.set_enabled("default", job.id, enabled=True)
    await world.at(300)
    assert await world.told(job) == ["300 FIRED"]


async def test_an_archived_job_fires_no_more(world: JobWorld) -> None:
    job = await world.create()
    await world.at(60)
    await world.at(120)
    await world.jobs.set_archived("default", job.id, archived=True)
    await world.at(600)
    assert await world.told(job) == ["60 FIRED", "120 JOB_ARCHIVED"]
    await world.end_runs(job)
    await world.jobs.set_archived("default", job.id, archived=False)
    await world.at(660)
    assert (await world.told(job))[2:] == ["660 FIRED"]


async def test_the_next_slot_uses_the_new_form(world: JobWorld) -> None:
    job = await world.create(
        document=pipelines.takes("STRING", "word"), run=JobRun("default", parameters={"word": "old"})
    )
    await world.at(60)

    def change(_: Job) -> JobChange:
        return JobChange(run=(inline(pipelines.takes("STRING", "word")), JobRun("default", parameters={"word": "new"})))

    await world.end_runs(job)
    await world.jobs.update("default", job.id, change)
    await world.at(120)
    assert [run.parameters for run in await world.runs(job)] == [{"word": "old"}, {"word": "new"}]


async def test_macros_tell_of_the_slot(world: JobWorld) -> None:
    texts = "${slot.time} ${slot.start} ${slot.end} ${slot.index} [[ScheduledTime]] [[Index]] ${run.uid}"
    job = await world.create(
        document=pipelines.takes("STRING", "text"), run=JobRun("default", parameters={"text": texts})
    )
    await world.at(60)
    (run,) = await world.runs(job)
    assert run.parameters == {
        "text": f"2026-01-05T12:01:00Z 2026-01-05T12:00:00Z 2026-01-05T12:01:00Z 1 20260105120100 1 {run.uid}"
    }


async def test_a_wrong_macro_is_refused_wherever_it_stands(world: JobWorld) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await world.create(run=JobRun("default", display_name="of ${slot.tim}"))
    assert [violation.field for violation in refused.value.violations] == ["job.run.display_name"]


async def test_a_run_that_cannot_be_made_is_told_of_in_its_slot_and_counts_as_failed(world: JobWorld) -> None:
    job = await world.create(max_consecutive_failures=2)
    async with world.database.connection() as connection:
        await connection.execute("UPDATE experiment SET archive_time = now() WHERE id = 'default'")
    await world.at(60)
    await world.at(120)
    await world.at(180)
    assert await world.told(job) == ["60 RUN_REFUSED", "120 RUN_REFUSED"]
    assert (await world.slots(job))[0].message.startswith("EXPERIMENT_ARCHIVED: ")
    assert (await world.job(job)).reason == "TOO_MANY_FAILURES"


async def test_a_job_whose_pipeline_is_missing_after_all_is_disabled_by_its_next_slot(world: JobWorld) -> None:
    """As when the job was made in the very moment of the deletion, which has not seen it then."""
    job = await world.create()
    async with world.database.connection() as connection:
        gone = "UPDATE job SET spec_digest = NULL, pipeline_id = 'gone' WHERE uid = %s"
        await connection.execute(gone, [job.uid])
    await world.at(60)
    await world.at(180)
    assert await world.told(job) == ["60 RUN_REFUSED"]
    left = await world.job(job)
    assert (left.state, left.reason, left.next_slot_time) == (JobState.DISABLED, "PIPELINE_DELETED", None)
    assert left.message == "there is no namespaces/default/pipelines/gone"


async def test_jitter_puts_a_slot_off_but_not_beyond_the_next(world: JobWorld) -> None:
    job = await world.create(jitter_s=3600, overlap=Overlap.ALLOW)
    for seconds in range(60, 1200, 5):
        await world.at(seconds)
    slots = await world.slots(job)
    delays = [(slot.due_time - slot.slot_time).total_seconds() for slot in slots]
    assert all(0 <= delay < 60 for delay in delays)
    assert len(set(delays)) > 10
    assert all(slot.fire_time is not None and slot.fire_time - slot.due_time < timedelta(seconds=5) for slot in slots)


async def test_many_servers_at_once_fire_each_slot_once(world: JobWorld) -> None:
    jobs = [await world.create(overlap=Overlap.ALLOW, max_concurrency=5) for _ in range(10)]
    servers = [JobWorld(world.database) for _ in range(5)]
    for seconds in (60, 120):
        await world.set_clock(START + timedelta(seconds=seconds))
        await asyncio.gather(*(server.settle() for server in servers))
    for job in jobs:
        assert await world.told(job) == ["60 FIRED", "120 FIRED"]
        assert len(await world.runs(job)) == 2


async def test_more_slots_than_fire_in_one_turn_follow_at_once(world: JobWorld) -> None:
    job = await world.create(interval_s=1.0, catch_up=CatchUp.ALL, catch_up_limit=120, overlap=Overlap.ALLOW)
    await world.at(200)
    fired = [slot for slot in await world.slots(job) if slot.state is SlotState.FIRED]
    assert len(fired) == 181
    assert [slot.index for slot in fired] == list(range(1, 182))


async def test_old_slots_leave_the_record(database_dsn: str) -> None:
    database = Database(simulated(database_dsn))
    await database.open()
    world = JobWorld(database, TurnSettings(slots_kept=10))
    job = await world.create(overlap=Overlap.ALLOW)
    for turn in range(1, 20):
        await world.at(60 * turn)
    told = await world.told(job)
    assert told[-1] == "1140 FIRED"
    assert len(told) <= 10
    await database.close()


async def test_a_slot_made_by_hand_fires_at_once_also_of_a_disabled_job(world: JobWorld) -> None:
    job = await world.create()
    await world.jobs.set_enabled("default", job.id, enabled=False)
    _, slot = await world.jobs.trigger("default", job.id)
    assert (slot.kind, slot.state, slot.index) == (SlotKind.MANUAL, SlotState.FIRED, 1)
    _, waits = await world.jobs.trigger("default", job.id)
    assert (waits.state, waits.reason) == (SlotState.WAITING, "CONCURRENCY")
    await world.end_runs(job)
    await world.settle()
    assert [slot.state for slot in await world.slots(job)] == [SlotState.FIRED, SlotState.FIRED]


async def test_a_job_whose_turn_fails_by_a_fault_of_ours_keeps_nobody_from_the_others(
    world: JobWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, whole = await world.create(), await world.create()
    take = world.turns.take

    async def fail_for_one(uid: uuid.UUID) -> bool:
        if uid == broken.uid:
            raise RuntimeError("a fault")
        return await take(uid)

    monkeypatch.setattr(world.turns, "take", fail_for_one)
    await world.set_clock(START + timedelta(seconds=60))
    for _ in range(3):
        await world.schedules.look()
    assert await world.told(whole) == ["60 FIRED"]
    assert await world.told(broken) == []
    async with world.database.connection() as connection:
        assert list((await job_turns.due(connection, 10)).uids) == [broken.uid]
        assert list((await job_turns.due(connection, 10, [broken.uid])).uids) == []


async def test_a_run_whose_job_is_deleted_ends_without_leaving_work(world: JobWorld) -> None:
    job = await world.create()
    await world.at(60)
    (run,) = await world.runs(job)
    await world.jobs.delete("default", job.id)
    await world.end_run(run.id)
    await world.settle()
    assert await world.due() == []


async def test_an_experiment_with_jobs_is_deleted_only_by_force_and_then_with_them(world: JobWorld) -> None:
    async with world.database.transaction() as connection:
        await experiments.insert(connection, "default", "e1", display_name="", description="", labels={})
    job = await world.create(run=JobRun("e1"))
    async with world.database.transaction() as connection:
        with pytest.raises(FailedPrecondition, match="EXPERIMENT_HAS_JOBS"):
            await experiments.delete(connection, "default", "e1")
        await experiments.delete(connection, "default", "e1", force=True)
    with pytest.raises(NotFound, match="JOB_NOT_FOUND"):
        await world.job(job)


async def test_a_namespace_with_jobs_is_not_deleted(world: JobWorld) -> None:
    async with world.database.transaction() as connection:
        await namespaces.insert(connection, "other", display_name="", description="", labels={})
    await world.jobs.create(NewJob("other", "j", inline(), JobRun("default"), JobSchedule(60.0, None)))
    async with world.database.transaction() as connection:
        with pytest.raises(FailedPrecondition, match="NAMESPACE_NOT_EMPTY"):
            await namespaces.delete(connection, "other")


async def test_a_run_that_ends_after_its_job_was_read_makes_room_in_the_same_turn(world: JobWorld) -> None:
    job = await world.create()
    await world.at(60)
    await world.at(120)
    (run,) = await world.open_runs(job)
    await world.set_clock(START + timedelta(seconds=150))
    async with world.database.transaction() as connection:
        now = await job_turns.lock(connection, job.uid)
        assert now is not None
        before = await job_turns.job_of(connection, job.uid)
        await world.end_run(run.id)
        await world.turns.take_locked(connection, before, now)
    assert await world.told(job) == ["60 FIRED", "120 FIRED"]


async def test_a_turn_that_another_server_has_taken_is_not_taken_again(world: JobWorld) -> None:
    job = await world.create()
    await world.at(60)
    assert not await world.turns.take(job.uid)
    (run,) = await world.open_runs(job)
    await world.end_run(run.id)
    assert await world.turns.take(job.uid)


CHANGES: list[tuple[str, Callable[[JobWorld, Job], Awaitable[object]]]] = [
    ("disabled", lambda world, job: world.jobs.set_enabled("default", job.id, enabled=False)),
    ("archived", lambda world, job: world.jobs.set_archived("default", job.id, archived=True)),
    ("timed anew", lambda world, job: world.jobs.update("default", job.id, _each_hour)),
]


def _each_hour(job: Job) -> JobChange:
    return JobChange(schedule=replace(job.schedule, interval_s=3600.0))


@pytest.mark.parametrize("change", [change for _, change in CHANGES], ids=[name for name, _ in CHANGES])
async def test_what_was_due_before_a_change_is_decided_on_before_it(
    world: JobWorld, change: Callable[[JobWorld, Job], Awaitable[object]]
) -> None:
    job = await world.create()
    await world.set_clock(START + timedelta(seconds=61))
    await change(world, job)
    assert await world.told(job) == ["60 FIRED"]


async def test_a_slot_that_has_waited_longer_comes_before_the_end_of_a_run(world: JobWorld) -> None:
    early = await world.create(interval_s=60.0)
    await world.at(60)
    late = await world.create(interval_s=10.0)
    await world.set_clock(START + timedelta(seconds=75))
    await world.end_runs(early)
    async with world.database.connection() as connection:
        assert list((await job_turns.due(connection, 10)).uids) == [late.uid, early.uid]
        assert list((await job_turns.due(connection, 1)).uids) == [late.uid]


async def test_a_job_whose_turn_fails_by_a_fault_of_ours_can_be_disabled(
    world: JobWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await world.create()
    await world.set_clock(START + timedelta(seconds=60))

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(job_turns, "write", fail)
    disabled = await world.jobs.set_enabled("default", job.id, enabled=False)
    assert disabled.state is JobState.DISABLED
    assert await world.runs(job) == []
