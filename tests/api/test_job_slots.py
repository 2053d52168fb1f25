"""JobService: slots that were and slots that will be."""

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from penstock.v1 import job_service_pb2 as pb
from penstock.v1.job_pb2 import Job
from penstock.v1.job_slot_pb2 import JobSlot
from tests.api.calls import reason, refusal
from tests.api.conftest import Api
from tests.api.job_calls import NIGHTLY, PARENT, at, create, job, trigger


async def listed(api: Api, **fields: Any) -> pb.ListJobSlotsResponse:
    return await api.jobs.ListJobSlots(pb.ListJobSlotsRequest(parent=NIGHTLY, **fields))


async def preview(api: Api, **fields: Any) -> list[str]:
    response = await api.jobs.PreviewJobSlots(pb.PreviewJobSlotsRequest(parent=PARENT, **fields))
    return [time.ToJsonString() for time in response.slot_times]


async def test_slots_are_listed_newest_first(api: Api) -> None:
    await create(api, asked=job(overlap="OVERLAP_SKIP"))
    fired, skipped = await trigger(api), await trigger(api)
    slots = (await listed(api)).slots
    assert list(slots) == [skipped, fired]
    assert (skipped.state, skipped.reason) == (JobSlot.STATE_SKIPPED, "OVERLAP")
    assert "1 run" in skipped.message
    assert list((await listed(api, order_by="slot_time")).slots) == [fired, skipped]


async def test_slots_are_filtered_by_what_they_say(api: Api) -> None:
    await create(api, asked=job(overlap="OVERLAP_SKIP"))
    fired, skipped = await trigger(api), await trigger(api)
    for filter, expected in {
        "state = FIRED": [fired],
        "reason = OVERLAP": [skipped],
        f'run = "{fired.run}"': [fired],
        f"slot_time > {fired.slot_time.ToJsonString()}": [skipped],
        "kind = MANUAL AND NOT fire_time:*": [skipped],
        "kind = BACKFILL": [],
        "backfill:*": [],
    }.items():
        assert list((await listed(api, filter=filter)).slots) == expected, filter
    assert await reason(listed(api, filter="index = 1")) == "INVALID_FILTER"
    assert await reason(listed(api, order_by="state")) == "INVALID_ORDER_BY"
    assert await reason(listed(api, page_token="x")) == "INVALID_PAGE_TOKEN"
    nowhere = api.jobs.ListJobSlots(pb.ListJobSlotsRequest(parent=f"{PARENT}/jobs/nothing"))
    assert await reason(nowhere) == "JOB_NOT_FOUND"


@pytest.mark.parametrize("order", ["", "slot_time"])
async def test_a_walk_under_new_slots_sees_each_old_one_once(api: Api, order: str) -> None:
    await create(api, asked=job(overlap="OVERLAP_SKIP"))
    old = [(await trigger(api)).slot_time.ToJsonString() for _ in range(8)]
    found: list[str] = []
    token = ""
    for _ in range(50):
        page = await listed(api, page_size=3, page_token=token, order_by=order)
        found += [slot.slot_time.ToJsonString() for slot in page.slots]
        token = page.next_page_token
        if not token:
            break
        if len(found) < 9:
            await trigger(api)
    assert sorted(time for time in found if time in old) == old


async def test_a_token_of_one_job_is_not_one_of_another(api: Api) -> None:
    await create(api)
    await create(api, "other")
    for _ in range(2):
        await trigger(api)
    token = (await listed(api, page_size=1)).next_page_token
    other = pb.ListJobSlotsRequest(parent=f"{PARENT}/jobs/other", page_size=1, page_token=token)
    assert await reason(api.jobs.ListJobSlots(other)) == "INVALID_PAGE_TOKEN"


async def test_a_job_that_is_not_made_tells_its_slots_over_the_change_of_clocks(api: Api) -> None:
    asked = Job(cron=Job.Cron(expression="30 2 * * *", time_zone="Europe/Berlin"))
    assert await preview(api, job=asked, after_time=at("2026-03-27T12:00:00Z"), count=3) == [
        "2026-03-28T01:30:00Z",
        "2026-03-29T01:00:00Z",  # half past two is not there; three o'clock is
        "2026-03-30T00:30:00Z",
    ]


async def test_a_preview_keeps_to_start_and_end(api: Api) -> None:
    every = Job.Interval(every=Duration(seconds=3600))
    asked = Job(interval=every, start_time=at("2026-01-01T00:30:00Z"), end_time=at("2026-01-01T03:30:00Z"))
    assert await preview(api, job=asked, after_time=at("2025-01-01T00:00:00Z")) == [
        "2026-01-01T01:30:00Z",
        "2026-01-01T02:30:00Z",
        "2026-01-01T03:30:00Z",
    ]


async def test_a_saved_job_is_previewed_as_if_it_were_enabled(api: Api) -> None:
    made = await create(api, disabled=True)
    assert len(await preview(api, name=NIGHTLY)) == 10
    told = await preview(api, name=NIGHTLY, after_time=at("2030-06-01T00:00:00Z"), count=1)
    assert told == ["2030-06-02T00:00:00Z"] or told == ["2030-06-01T00:00:00Z"]
    await api.jobs.EnableJob(pb.EnableJobRequest(name=made.name))
    enabled = (await api.jobs.GetJob(pb.GetJobRequest(name=made.name))).job
    assert (await preview(api, name=NIGHTLY))[0] == enabled.next_slot_time.ToJsonString()


async def test_what_is_wrong_with_a_preview_is_told(api: Api) -> None:
    for asked, why, field in (
        (Job(), "INVALID_REQUEST", "job"),
        (Job(cron=Job.Cron(expression="x")), "INVALID_CRON", "job.cron.expression"),
        (Job(cron=Job.Cron(expression="@daily", time_zone="Nowhere")), "INVALID_TIME_ZONE", "job.cron.time_zone"),
    ):
        refused = await refusal(preview(api, job=asked))
        assert (refused.reason, refused.fields) == (why, [field])
    assert await reason(preview(api)) == "INVALID_REQUEST"
    assert await reason(preview(api, name=NIGHTLY)) == "JOB_NOT_FOUND"
    elsewhere = await refusal(preview(api, name="namespaces/other/jobs/nightly"))
    assert (elsewhere.reason, elsewhere.fields) == ("INVALID_REQUEST", ["name"])
    assert await reason(preview(api, job=job(), count=1001)) == "INVALID_REQUEST"
