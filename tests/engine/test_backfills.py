"""Backfills on a real Postgres whose clock the test holds."""

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from penstock_server.model.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from penstock_server.model.jobs import Backfill, BackfillState, Job, Overlap, SlotKind
from penstock_server.store.backfills import NewBackfill
from penstock_server.store.database import Database
from penstock_server.store.requested import RequestKey
from tests.engine.job_world import START, JobWorld, simulated


@pytest.fixture
async def world(database_dsn: str) -> AsyncIterator[JobWorld]:
    database = Database(simulated(database_dsn))
    await database.open()
    yield JobWorld(database)
    await database.close()


async def begin(
    world: JobWorld, job: Job, first: float, last: float, *, limit: int = 1_000, dry: bool = False, **more: object
) -> Backfill:
    """A backfill named `b` of the slots from `first` to `last` seconds after the start."""
    times = (START + timedelta(seconds=first), START + timedelta(seconds=last))
    new = NewBackfill("b", *times, **more)  # type: ignore[arg-type]  # the values of a test's own words
    return await world.backfills.create("default", job.id, new, slot_limit=limit, validate_only=dry)


async def test_past_slots_fire_one_after_the_other_until_it_has_succeeded(world: JobWorld) -> None:
    job = await world.create(overlap=Overlap.ALLOW)
    made = await begin(world, job, -180, -60)
    assert (made.state, made.slot_count, made.waiting_count, made.active_count) == (BackfillState.RUNNING, 3, 2, 1)
    for left in (1, 0):
        await world.end_runs(job)
        await world.settle()
        assert (await world.backfill(job, "b")).waiting_count == left
    await world.end_runs(job)
    await world.settle()
    done = await world.backfill(job, "b")
    assert (done.state, done.succeeded_count, done.failed_count) == (BackfillState.SUCCEEDED, 3, 0)
    assert done.finish_time == START
    assert await world.told(job) == ["-180 FIRED", "-120 FIRED", "-60 FIRED"]
    assert {slot.kind for slot in await world.slots(job)} == {SlotKind.BACKFILL}


async def test_slots_that_have_fired_are_left_alone_and_skipped_ones_fire_after_all(world: JobWorld) -> None:
    job = await world.create(overlap=Overlap.SKIP)
    await world.at(60)
    await world.at(120)
    await world.end_runs(job)
    made = await begin(world, job, 0, 120)
    assert (made.slot_count, made.fired_before_count) == (2, 1)
    assert await world.told(job) == ["0 FIRED", "60 FIRED", "120 BACKLOG"]
    await world.end_runs(job)
    await world.settle()
    assert await world.told(job) == ["0 FIRED", "60 FIRED", "120 FIRED"]


async def test_a_slot_that_shares_an_entry_of_skipped_ones_gets_one_of_its_own(world: JobWorld) -> None:
    job = await world.create(interval_s=1.0, overlap=Overlap.ALLOW)
    await world.at(1_000)
    await world.end_runs(job)
    await begin(world, job, 1, 2)
    told = await world.told(job)
    assert told[:3] == ["1 FIRED", "1..839 CATCH_UP", "2 BACKLOG"]


async def test_its_runs_are_bounded_by_itself_and_by_the_job(world: JobWorld) -> None:
    job = await world.create(max_concurrency=3)
    made = await begin(world, job, -600, -60, max_concurrency=2)
    assert made.active_count == 2
    await world.at(60)
    await world.at(120)
    assert await world.told(job) == [
        *("-600 FIRED", "-540 FIRED"),
        *(f"{second} BACKLOG" for second in range(-480, 0, 60)),
        *("60 FIRED", "120 CONCURRENCY"),
    ]
    await world.end_run((await world.runs(job))[0].id)
    await world.settle()
    assert (await world.told(job))[-1] == "120 FIRED"
    assert (await world.backfill(job, "b")).active_count == 1


async def test_to_validate_tells_what_it_would_come_to_and_makes_nothing(world: JobWorld) -> None:
    job = await world.create()
    told = await begin(world, job, -600, 0, dry=True)
    assert (told.slot_count, told.fired_before_count) == (11, 0)
    assert await world.slots(job) == []
    assert await world.runs(job) == []


@pytest.mark.parametrize(
    ("first", "last", "limit", "reason"),
    [
        (0, 60, 10, "BACKFILL_RANGE_INVALID"),
        (-60, -120, 10, "BACKFILL_RANGE_INVALID"),
        (-600, 0, 10, "BACKFILL_TOO_LARGE"),
        (-1e8, 0, 10_000, "BACKFILL_TOO_LARGE"),
    ],
)
async def test_what_cannot_be_is_refused(world: JobWorld, first: float, last: float, limit: int, reason: str) -> None:
    job = await world.create()
    with pytest.raises(InvalidArgument) as refused:
        await begin(world, job, first, last, limit=limit)
    assert refused.value.reason == reason
    assert await world.slots(job) == []


async def test_a_repeated_request_answers_with_what_it_made(world: JobWorld) -> None:
    job = await world.create()
    key = RequestKey(uuid.uuid4(), "digest")
    made = await begin(world, job, -120, 0, request=key)
    assert (await begin(world, job, -120, 0, request=key)).uid == made.uid
    with pytest.raises(AlreadyExists, match="BACKFILL_EXISTS"):
        await begin(world, job, -120, 0)


@pytest.mark.parametrize("cancel_runs", [False, True])
async def test_a_cancelled_one_fires_no_more_and_ends_with_its_runs(world: JobWorld, cancel_runs: bool) -> None:
    job = await world.create()
    await begin(world, job, -180, -60)
    cancelled = await world.backfills.cancel("default", job.id, "b", cancel_runs=cancel_runs)
    assert (cancelled.state, cancelled.skipped_count, cancelled.active_count) == (BackfillState.CANCELLING, 2, 1)
    assert len(await world.cancelling(job)) == int(cancel_runs)
    await world.end_runs(job, "CANCELLED")
    await world.settle()
    assert (await world.backfill(job, "b")).state is BackfillState.CANCELLED
    assert await world.told(job) == ["-180 FIRED", "-120 BACKFILL_CANCELLED", "-60 BACKFILL_CANCELLED"]
    await world.backfills.cancel("default", job.id, "b")


async def test_one_that_is_finished_cannot_be_cancelled(world: JobWorld) -> None:
    job = await world.create()
    await begin(world, job, -60, -60)
    await world.end_runs(job, "FAILED")
    await world.settle()
    assert (await world.backfill(job, "b")).state is BackfillState.FAILED
    with pytest.raises(FailedPrecondition, match="BACKFILL_FINISHED"):
        await world.backfills.cancel("default", job.id, "b")


async def test_failures_of_a_backfill_do_not_disable_the_job(world: JobWorld) -> None:
    job = await world.create(max_consecutive_failures=1)
    await begin(world, job, -60, -60)
    await world.end_runs(job, "FAILED")
    await world.settle()
    assert (await world.job(job)).consecutive_failures == 0


async def test_a_slot_whose_jitter_lies_ahead_is_left_to_the_trigger(world: JobWorld) -> None:
    job = await world.create(jitter_s=60, overlap=Overlap.ALLOW)
    await world.set_clock(START + timedelta(seconds=120))
    made = await begin(world, job, 0, 120)
    assert made.slot_count == 1
    await world.at(180)
    assert await world.told(job) == ["0 FIRED", "60 FIRED", "120 FIRED"]
    assert (await world.slots(job))[2].kind is SlotKind.SCHEDULED
