"""JobService: the watch of a job."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from penstock.v1 import job_service_pb2 as pb
from penstock.v1.job_pb2 import Job
from penstock.v1.job_slot_pb2 import JobSlot
from penstock_server.api import job_watches
from tests.api.calls import reason
from tests.api.conftest import Api
from tests.api.job_calls import NIGHTLY, PARENT, create, get, job, trigger

PATIENCE_S = 30


class Watch:
    """What a watch tells, one after the other."""

    def __init__(self, api: Api, **fields: Any) -> None:
        self.stream = api.jobs.WatchJob(pb.WatchJobRequest(name=NIGHTLY, **fields))
        self.responses: AsyncIterator[pb.WatchJobResponse] = aiter(self.stream)
        self.token = ""

    async def next(self) -> pb.WatchJobResponse:
        response = await asyncio.wait_for(anext(self.responses), PATIENCE_S)
        self.token = response.resume_token
        return response

    async def job(self) -> Job:
        """The next response, which is a job."""
        response = await self.next()
        assert response.HasField("job"), response
        return response.job

    async def until_slot(self, sequence: int) -> list[JobSlot]:
        """The slots up to that number."""
        found: list[JobSlot] = []
        while not found or found[-1].sequence < sequence:
            response = await self.next()
            found += [response.slot] if response.HasField("slot") else []
        return found


async def test_a_watch_tells_the_job_and_its_slots_and_what_comes(api: Api) -> None:
    await create(api)
    first = await trigger(api)
    watch = Watch(api)
    assert await watch.job() == await get(api)
    assert await watch.until_slot(first.sequence) == [first]
    second = await trigger(api)
    assert await watch.job() == await get(api)
    assert await watch.until_slot(second.sequence) == [second]
    disabled = (await api.jobs.DisableJob(pb.DisableJobRequest(name=NIGHTLY))).job
    while (told := (await watch.next()).job).state != disabled.state:
        assert told.name == NIGHTLY


async def test_slots_that_the_caller_knows_are_not_told_again(api: Api) -> None:
    await create(api)
    known = await trigger(api)
    watch = Watch(api, after_sequence=known.sequence)
    await watch.job()
    new = await trigger(api)
    assert (await watch.until_slot(new.sequence))[0] == new


async def test_a_resumed_watch_tells_only_what_has_changed_since(api: Api) -> None:
    await create(api)
    await trigger(api)
    watch = Watch(api)
    await watch.job()
    first = await watch.next()
    watch.stream.cancel()
    resumed = Watch(api, resume_token=watch.token)
    slot = await trigger(api)
    told = [await resumed.next(), await resumed.next()]
    assert [response.HasField("job") for response in told] == [True, False]
    assert (told[1].slot, first.slot.sequence < slot.sequence) == (slot, True)
    await api.jobs.DisableJob(pb.DisableJobRequest(name=NIGHTLY))
    assert (await Watch(api, resume_token=resumed.token).job()).state == Job.STATE_DISABLED


async def test_a_watch_cut_at_random_ends_with_everything_as_it_is(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_watches, "BATCH", 3)
    await create(api, asked=job(overlap="OVERLAP_SKIP"))
    dice, token, slots = random.Random(7), "", {}

    async def live() -> int:
        for number in range(25):
            last = await trigger(api)
            if number % 6 == 0:
                changed = Job(name=NIGHTLY, description=str(number))
                await api.jobs.UpdateJob(pb.UpdateJobRequest(job=changed))
        return last.sequence

    living = asyncio.create_task(live())
    seen: Job | None = None
    newest = 0
    while not (living.done() and newest >= await living and seen is not None and seen.description == "24"):
        watch = Watch(api, resume_token=token)
        for _ in range(dice.randint(1, 6)):
            response = await watch.next()
            if response.HasField("job"):
                seen = response.job
            else:
                assert response.slot.sequence > newest
                newest = response.slot.sequence
                slots[response.slot.slot_time.ToJsonString()] = response.slot
            if living.done() and newest >= await living:
                break
        token = watch.token
        watch.stream.cancel()
    listed = await api.jobs.ListJobSlots(pb.ListJobSlotsRequest(parent=NIGHTLY, page_size=1000))
    assert sorted(slots.values(), key=lambda slot: slot.sequence) == sorted(
        listed.slots, key=lambda slot: slot.sequence
    )


async def test_a_watch_hears_of_changes_without_a_notification(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.wakeups, "_wake", lambda *_: None)
    await create(api)
    watch = Watch(api)
    await watch.job()
    slot = await trigger(api)
    assert (await watch.until_slot(slot.sequence))[-1] == slot


async def test_a_watch_of_a_deleted_job_says_so(api: Api) -> None:
    await create(api)
    watch = Watch(api)
    await watch.job()
    await api.jobs.DeleteJob(pb.DeleteJobRequest(name=NIGHTLY))
    assert await reason(watch.next()) == "JOB_DELETED"
    assert await reason(Watch(api).next()) == "JOB_NOT_FOUND"
    await create(api)
    assert await reason(Watch(api, resume_token=watch.token).next()) == "JOB_DELETED"


async def test_what_is_wrong_with_a_watch_is_told(api: Api) -> None:
    await create(api)
    assert await reason(Watch(api, resume_token="made-up").next()) == "INVALID_RESUME_TOKEN"
    watch = Watch(api)
    await watch.job()
    await create(api, "other")
    other = api.jobs.WatchJob(pb.WatchJobRequest(name=f"{PARENT}/jobs/other", resume_token=watch.token))
    assert await reason(anext(aiter(other))) == "INVALID_RESUME_TOKEN"
    assert await reason(Watch(api, after_sequence=-1).next()) == "INVALID_REQUEST"


async def test_a_draining_server_ends_its_watches(api: Api) -> None:
    await create(api)
    watch = Watch(api)
    await watch.job()
    waiting = asyncio.ensure_future(watch.next())
    api.wakeups.drain()
    assert await reason(waiting) == "SERVER_DRAINING"
