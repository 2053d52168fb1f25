"""Jobs through both clients: what is sent, what comes back, what is repeated, what goes on after a cut."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import grpc
import pytest

import penstock.aio
from penstock import Client, NotFoundError
from penstock.resuming import Backoff
from penstock.v1 import job_service_pb2 as pb
from penstock.v1.backfill_pb2 import Backfill
from penstock.v1.job_pb2 import Job
from penstock.v1.job_slot_pb2 import JobSlot
from penstock.v1.run_pb2 import Run
from tests.client.scripted import ScriptedServer, cut, fail

NAME = "namespaces/default/jobs/nightly"
NIGHTLY = Job(name=NAME, cron=Job.Cron(expression="0 2 * * *", time_zone="Europe/Berlin"))
SLOT = JobSlot(job=NAME, state=JobSlot.STATE_FIRED, run="namespaces/default/runs/nightly-1", sequence=2)
MARCH = Backfill(name=f"{NAME}/backfills/march", slot_count=3)
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_job_is_made_of_what_the_caller_says(server: ScriptedServer, client: Client) -> None:
    server.on("CreateJob", pb.CreateJobResponse(job=NIGHTLY))
    made = client.create_job(
        "line-fit@latest",
        {"day": "${slot.time:%Y-%m-%d}"},
        job_id="nightly",
        cron="0 2 * * *",
        time_zone="Europe/Berlin",
        start_time=NEW_YEAR,
        catch_up="latest",
        overlap="queue_one",
        max_concurrency=2,
        jitter=timedelta(minutes=5),
        experiment="tuning",
        deadline=90,
        disabled=True,
    )
    assert made == NIGHTLY
    (request,) = server.requests
    job = request.job
    assert (request.parent, request.job_id, request.disabled) == ("namespaces/default", "nightly", True)
    assert job.cron == NIGHTLY.cron
    assert (job.start_time.ToDatetime(tzinfo=UTC), job.HasField("end_time")) == (NEW_YEAR, False)
    assert (job.catch_up, job.overlap, job.max_concurrency) == (Job.CATCH_UP_LATEST, Job.OVERLAP_QUEUE_ONE, 2)
    assert (job.jitter.seconds, job.run.deadline.seconds) == (300, 90)
    assert job.run.pipeline_version == "namespaces/default/pipelines/line-fit/versions/latest"
    assert job.run.experiment == "namespaces/default/experiments/tuning"
    assert job.run.parameters["day"].string_value == "${slot.time:%Y-%m-%d}"


async def test_the_asyncio_client_makes_the_same_job(server: ScriptedServer, aio_client: penstock.aio.Client) -> None:
    server.on("CreateJob", pb.CreateJobResponse(job=NIGHTLY))
    assert await aio_client.create_job("line-fit", every=90, job_id="nightly") == NIGHTLY
    assert server.requests[0].job.interval.every.seconds == 90


def test_making_and_triggering_are_repeated_with_the_same_request_id(server: ScriptedServer, client: Client) -> None:
    calls: dict[str, Callable[[], object]] = {
        "CreateJob": lambda: client.create_job("line-fit", every=1),
        "TriggerJob": lambda: client.jobs.trigger("nightly"),
        "CreateBackfill": lambda: client.jobs.backfill("nightly", NEW_YEAR, NEW_YEAR),
    }
    for method, call in calls.items():
        server.requests.clear()

        def answer(request: Any, context: grpc.ServicerContext, method: str = method) -> Any:
            return cut(context) if len(server.requests) < 3 else getattr(pb, f"{method}Response")()

        server.on(method, answer)
        call()
        ids = {request.request_id for request in server.requests}
        assert (len(server.requests), len(ids), "" in ids) == (3, 1, False), method


def test_an_update_sends_a_mask_of_what_is_given(server: ScriptedServer, client: Client) -> None:
    server.on("UpdateJob", pb.UpdateJobResponse(job=NIGHTLY))
    run = Run(priority=3)
    client.jobs.update("nightly", every=timedelta(hours=1), run=run, description="", unset=["end_time"], etag="7")
    (request,) = server.requests
    assert list(request.update_mask.paths) == ["description", "end_time", "interval", "run"]
    assert (request.job.name, request.job.etag, request.job.run) == (NAME, "7", run)
    assert (request.job.interval.every.seconds, request.job.HasField("end_time")) == (3600, False)


WRONG: dict[str, tuple[Callable[[Client], object], str]] = {
    "nothing to change": (lambda client: client.jobs.update("nightly"), "nothing to change"),
    "two triggers": (lambda client: client.create_job("line-fit", cron="@daily", every=1), "one of the two"),
    "a zone without a clock": (lambda client: client.create_job("line-fit", every=1, time_zone="UTC"), "cron"),
    "an unknown overlap": (lambda client: client.create_job("line-fit", every=1, overlap="x"), "QUEUE_ONE"),
    "an unknown catch-up": (lambda client: client.create_job("line-fit", every=1, catch_up="x"), "LATEST"),
    "a time without a zone": (
        lambda client: client.jobs.backfill("nightly", datetime(2026, 1, 1), NEW_YEAR),  # noqa: DTZ001 - what is wrong
        "time zone",
    ),
    "a preview of nothing": (lambda client: client.jobs.preview(), "one of the two"),
    "a preview of two": (lambda client: client.jobs.preview("nightly", every=1), "one of the two"),
    "a run for a job": (lambda client: client.jobs.get("namespaces/default/runs/x"), "jobs"),
}


@pytest.mark.parametrize(("call", "told"), WRONG.values(), ids=list(WRONG))
def test_wrong_use_is_told_and_nothing_is_sent(
    server: ScriptedServer, client: Client, call: Callable[[Client], object], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        call(client)
    assert server.requests == []


def test_each_verb_names_the_job(server: ScriptedServer, client: Client) -> None:
    for method in ("Get", "Enable", "Disable", "Archive", "Unarchive", "Delete"):
        server.on(f"{method}Job", getattr(pb, f"{method}JobResponse")())
        getattr(client.jobs, method.lower())(NIGHTLY)
        assert server.requests[-1].name == NAME, method


def test_a_preview_is_a_list_of_times(server: ScriptedServer, client: Client) -> None:
    response = pb.PreviewJobSlotsResponse()
    response.slot_times.add().FromDatetime(NEW_YEAR)
    server.on("PreviewJobSlots", response)
    assert client.jobs.preview("nightly", count=1) == [NEW_YEAR]
    assert client.jobs.preview(cron="@daily", time_zone="Asia/Tokyo", after=NEW_YEAR) == [NEW_YEAR]
    saved, unsaved = server.requests
    assert (saved.name, saved.count, saved.parent) == (NAME, 1, "namespaces/default")
    assert (unsaved.job.cron.time_zone, unsaved.after_time.ToDatetime(tzinfo=UTC)) == ("Asia/Tokyo", NEW_YEAR)


def test_lists_fetch_pages_as_their_items_are_asked_for(server: ScriptedServer, client: Client) -> None:
    slots = {"": pb.ListJobSlotsResponse(slots=[SLOT], next_page_token="2"), "2": pb.ListJobSlotsResponse(slots=[SLOT])}
    server.on("ListJobSlots", lambda request, context: slots[request.page_token])
    server.on("ListJobs", pb.ListJobsResponse(jobs=[NIGHTLY]))
    server.on("ListBackfills", pb.ListBackfillsResponse(backfills=[MARCH]))
    assert list(client.jobs.slots("nightly", filter="state = FIRED")) == [SLOT, SLOT]
    assert {request.filter for request in server.requests} == {"state = FIRED"}
    assert list(client.jobs.list()) == [NIGHTLY]
    assert list(client.jobs.list_backfills("nightly")) == [MARCH]


def test_a_backfill_is_named_in_its_job(server: ScriptedServer, client: Client) -> None:
    server.on("CreateBackfill", pb.CreateBackfillResponse(backfill=MARCH))
    server.on("GetBackfill", pb.GetBackfillResponse(backfill=MARCH))
    server.on("CancelBackfill", pb.CancelBackfillResponse(backfill=MARCH))
    end = NEW_YEAR + timedelta(days=9)
    made = client.jobs.backfill("nightly", NEW_YEAR, end, backfill_id="march", slot_limit=5, validate_only=True)
    assert client.jobs.get_backfill("nightly", "march") == client.jobs.get_backfill(NIGHTLY, made) == MARCH
    client.jobs.cancel_backfill("nightly", "march", cancel_runs=True)
    create, get, same, cancel = server.requests
    assert (create.parent, create.backfill_id, create.slot_limit, create.validate_only) == (NAME, "march", 5, True)
    assert get.name == same.name == cancel.name == MARCH.name
    assert cancel.cancel_runs


def told(request: pb.WatchJobRequest, context: grpc.ServicerContext) -> Iterator[pb.WatchJobResponse]:
    """Five responses, cut after every second one."""
    first = int(request.resume_token or 0)
    for number in range(first + 1, min(first + 3, 6)):
        slot = JobSlot(job=NAME, sequence=number)
        yield pb.WatchJobResponse(slot=slot, resume_token=str(number))
    if first + 2 < 5:
        cut(context)
    fail(context, grpc.StatusCode.NOT_FOUND, "JOB_DELETED")


def test_a_watch_goes_on_after_a_cut_and_ends_with_the_job(server: ScriptedServer, client: Client) -> None:
    server.on("GetJob", pb.GetJobResponse(job=NIGHTLY))
    server.on("WatchJob", told)
    watch = client.watch_job("nightly", after_sequence=1, backoff=Backoff(first_s=0.001))
    assert [next(watch).slot.sequence for _ in range(5)] == [1, 2, 3, 4, 5]
    with pytest.raises(NotFoundError, match="JOB_DELETED"):
        next(watch)
    watches = server.requests_of(pb.WatchJobRequest)
    assert [request.resume_token for request in watches] == ["", "2", "4"]
    assert {request.after_sequence for request in watches} == {1}


def test_a_watch_that_ends_politely_is_taken_up_again(server: ScriptedServer, client: Client) -> None:
    def one(request: pb.WatchJobRequest, context: grpc.ServicerContext) -> Iterator[pb.WatchJobResponse]:
        number = int(request.resume_token or 0) + 1
        yield pb.WatchJobResponse(slot=JobSlot(sequence=number), resume_token=str(number))

    server.on("WatchJob", one)
    heard = [response.slot.sequence for response in islice(client.watch_job(NIGHTLY, backoff=Backoff(0.001)), 3)]
    assert heard == [1, 2, 3]


async def test_asyncio_watches_do_too(server: ScriptedServer, aio_client: penstock.aio.Client) -> None:
    server.on("WatchJob", told)
    watch = aio_client.watch_job(NIGHTLY, backoff=Backoff(first_s=0.001))
    assert [(await anext(watch)).slot.sequence for _ in range(5)] == [1, 2, 3, 4, 5]
    with pytest.raises(NotFoundError):
        await anext(watch)


def test_a_wrong_name_is_told_at_once(server: ScriptedServer, client: Client) -> None:
    server.on("GetJob", lambda request, context: fail(context, grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND"))
    with pytest.raises(NotFoundError):
        next(client.watch_job("nothing"))
    assert server.requests_of(pb.WatchJobRequest) == []
