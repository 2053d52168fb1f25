"""JobService: backfills."""

import asyncio
import uuid
from typing import Any

import pytest

from penstock.v1 import job_service_pb2 as pb
from penstock.v1.backfill_pb2 import Backfill
from penstock.v1.job_slot_pb2 import JobSlot
from tests.api.calls import reason, refusal
from tests.api.conftest import Api
from tests.api.job_calls import NIGHTLY, PARENT, at, create, job

MARCH = "2026-03-01T00:00:00Z"


async def fill(
    api: Api, start: str = MARCH, end: str = "2026-03-04T00:00:00Z", *, concurrency: int = 0, **fields: Any
) -> Backfill:
    backfill = Backfill(start_time=at(start), end_time=at(end), max_concurrency=concurrency)
    request = pb.CreateBackfillRequest(parent=NIGHTLY, backfill=backfill, **fields)
    return (await api.jobs.CreateBackfill(request)).backfill


async def get(api: Api, name: str) -> Backfill:
    return (await api.jobs.GetBackfill(pb.GetBackfillRequest(name=name))).backfill


async def slots(api: Api, filter: str = "") -> list[JobSlot]:
    request = pb.ListJobSlotsRequest(parent=NIGHTLY, filter=filter, order_by="slot_time")
    return list((await api.jobs.ListJobSlots(request)).slots)


async def test_a_backfill_makes_past_slots_wait_and_the_first_fire(api: Api) -> None:
    await create(api)
    made = await fill(api, backfill_id="march")
    assert (made.name, made.state, made.max_concurrency) == (f"{NIGHTLY}/backfills/march", Backfill.STATE_RUNNING, 1)
    assert (made.slot_count, made.active_count, made.waiting_count, made.fired_before_count) == (3, 1, 2, 0)
    assert await get(api, made.name) == made
    first, *others = await slots(api, f'backfill = "{made.name}"')
    assert (first.kind, first.state, first.slot_time) == (
        JobSlot.KIND_BACKFILL,
        JobSlot.STATE_FIRED,
        at("2026-03-01T01:00:00Z"),
    )
    assert {slot.state for slot in others} == {JobSlot.STATE_WAITING}
    assert {slot.backfill for slot in (first, *others)} == {made.name}


async def test_a_check_tells_what_it_would_come_to(api: Api) -> None:
    await create(api)
    told = await fill(api, validate_only=True)
    assert (told.slot_count, told.fired_before_count) == (3, 0)
    assert await slots(api) == []
    assert await reason(get(api, told.name)) == "BACKFILL_NOT_FOUND"


async def test_without_an_id_one_is_made_up_and_the_same_request_makes_one(api: Api) -> None:
    await create(api)
    id = str(uuid.uuid4())
    first, second = await asyncio.gather(fill(api, request_id=id), fill(api, request_id=id))
    assert first.name.startswith(f"{NIGHTLY}/backfills/backfill-")
    assert first.name == second.name
    assert await reason(fill(api, "2026-02-01T00:00:00Z", request_id=id)) == "REQUEST_ID_REUSED"


REFUSED: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "backwards": ({"start": "2026-03-09T00:00:00Z"}, "BACKFILL_RANGE_INVALID", ["backfill.end_time"]),
    "the future": ({"end": "2999-01-01T00:00:00Z"}, "BACKFILL_RANGE_INVALID", ["backfill.end_time"]),
    "too many": ({"slot_limit": 2}, "BACKFILL_TOO_LARGE", ["backfill"]),
    "too many by default": ({"start": "2020-01-01T00:00:00Z"}, "BACKFILL_TOO_LARGE", ["backfill"]),
    "a limit too high": ({"slot_limit": 10_001}, "INVALID_REQUEST", ["slot_limit"]),
}


@pytest.mark.parametrize(("fields", "why", "where"), REFUSED.values(), ids=list(REFUSED))
async def test_what_is_wrong_with_a_backfill_is_told(
    api: Api, fields: dict[str, Any], why: str, where: list[str]
) -> None:
    await create(api)
    refused = await refusal(fill(api, **fields))
    assert (refused.reason, refused.fields) == (why, where)
    assert await slots(api) == []


async def test_taken_ids_and_missing_names_are_refused(api: Api) -> None:
    assert await reason(fill(api)) == "JOB_NOT_FOUND"
    nothing = f"{NIGHTLY}/backfills/nothing"
    cancel = pb.CancelBackfillRequest(name=nothing)
    assert await reason(get(api, nothing)) == "JOB_NOT_FOUND"
    assert await reason(api.jobs.CancelBackfill(cancel)) == "JOB_NOT_FOUND"
    assert await reason(api.jobs.ListBackfills(pb.ListBackfillsRequest(parent=NIGHTLY))) == "JOB_NOT_FOUND"
    await create(api)
    await fill(api, backfill_id="march")
    assert await reason(fill(api, backfill_id="march")) == "BACKFILL_EXISTS"
    assert await reason(get(api, nothing)) == "BACKFILL_NOT_FOUND"
    assert await reason(api.jobs.CancelBackfill(cancel)) == "BACKFILL_NOT_FOUND"
    await api.jobs.ArchiveJob(pb.ArchiveJobRequest(name=NIGHTLY))
    assert await reason(fill(api)) == "JOB_ARCHIVED"


async def test_a_cancelled_backfill_skips_what_waits_and_ends_with_its_runs(api: Api) -> None:
    await create(api)
    made = await fill(api)
    cancel = pb.CancelBackfillRequest(name=made.name, cancel_runs=True)
    cancelled = (await api.jobs.CancelBackfill(cancel)).backfill
    assert (cancelled.state, cancelled.skipped_count) == (Backfill.STATE_CANCELLING, 2)
    assert {slot.reason for slot in await slots(api, "state = SKIPPED")} == {"BACKFILL_CANCELLED"}
    assert (await api.jobs.CancelBackfill(cancel)).backfill == cancelled
    async with api.database.connection() as connection:
        cursor = await connection.execute("SELECT cancel_request_time IS NOT NULL FROM run")
        assert await cursor.fetchall() == [(True,)]


async def test_a_finished_backfill_is_not_cancelled(api: Api) -> None:
    await create(api)
    made = await fill(api, end="2026-03-01T00:30:00Z")
    assert (made.slot_count, made.state) == (0, Backfill.STATE_SUCCEEDED)
    assert made.HasField("finish_time")
    assert await reason(api.jobs.CancelBackfill(pb.CancelBackfillRequest(name=made.name))) == "BACKFILL_FINISHED"


async def test_backfills_are_listed_filtered_and_paged(api: Api) -> None:
    await create(api, asked=job(max_concurrency=9))
    names = [(await fill(api, MARCH, f"2026-03-0{day}T12:00:00Z", backfill_id=f"b{day}")).name for day in range(1, 6)]
    await api.jobs.CancelBackfill(pb.CancelBackfillRequest(name=names[0]))

    async def found(**fields: Any) -> list[str]:
        response = await api.jobs.ListBackfills(pb.ListBackfillsRequest(parent=NIGHTLY, **fields))
        return [backfill.name for backfill in response.backfills]

    assert await found() == names[::-1]
    assert await found(filter="state = CANCELLING") == names[:1]
    assert await found(filter=f'name = "{names[2]}" AND NOT finish_time:*') == [names[2]]
    assert await found(order_by="create_time", page_size=2) == names[:2]
    walked: list[str] = []
    token = ""
    while True:
        request = pb.ListBackfillsRequest(parent=NIGHTLY, page_size=2, page_token=token)
        page = await api.jobs.ListBackfills(request)
        walked += [backfill.name for backfill in page.backfills]
        token = page.next_page_token
        if not token:
            break
    assert walked == names[::-1]
    assert await reason(found(filter="slots = 1")) == "INVALID_FILTER"
    assert await reason(found(order_by="name")) == "INVALID_ORDER_BY"
    assert PARENT in names[0]
