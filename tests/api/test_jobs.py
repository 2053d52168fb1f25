"""JobService: jobs themselves."""

import asyncio
import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp

from penstock.v1 import experiment_pb2, experiment_service_pb2, run_pb2, run_service_pb2
from penstock.v1 import job_service_pb2 as pb
from penstock.v1.job_pb2 import Job
from penstock.v1.job_slot_pb2 import JobSlot
from penstock_server.engine.requests import RunRequests
from tests.api import job_calls
from tests.api.calls import reason, refusal
from tests.api.conftest import Api
from tests.api.job_calls import NIGHTLY, PARENT, at, create, get, job, publish, run, trigger


async def update(api: Api, *paths: str, changed: Job | None = None, **fields: Any) -> Job:
    asked = changed or Job(**fields)
    asked.name = NIGHTLY
    request = pb.UpdateJobRequest(job=asked, update_mask=FieldMask(paths=paths))
    return (await api.jobs.UpdateJob(request)).job


async def test_a_job_is_made_with_all_its_defaults_and_read(api: Api) -> None:
    made = await create(api)
    assert (made.name, made.display_name, made.state, made.reason) == (NIGHTLY, "nightly", Job.STATE_ENABLED, "")
    assert (made.catch_up, made.overlap) == (Job.CATCH_UP_NONE, Job.OVERLAP_QUEUE_ALL)
    assert (made.max_concurrency, made.catch_up_limit, made.max_consecutive_failures) == (1, 100, 0)
    assert made.start_time == made.create_time
    assert not made.HasField("end_time")
    assert made.next_slot_time.seconds > made.create_time.seconds
    assert made.run.experiment == f"{PARENT}/experiments/default"
    assert made.run.spec_digest.startswith("sha256:")
    assert made.run.cache_policy == run_pb2.Run.CACHE_POLICY_UNSPECIFIED
    assert await get(api) == made


async def test_everything_that_was_asked_for_is_kept(api: Api) -> None:
    asked = job(
        cron="@daily",
        time_zone="",
        display_name="Every night",
        description="why",
        labels={"team": "vision"},
        start_time=at("2030-01-01T00:00:00Z"),
        end_time=at("2031-01-01T00:00:00Z"),
        catch_up="CATCH_UP_ALL",
        catch_up_limit=7,
        overlap="OVERLAP_REPLACE",
        max_concurrency=4,
        jitter=Duration(seconds=90),
        max_consecutive_failures=5,
        run=run(
            display_name="of the night",
            description="each",
            labels={"a": "b"},
            cache_policy="CACHE_POLICY_REFRESH",
            cache_max_age=Duration(seconds=60),
            deadline=Duration(seconds=90),
            task_timeout=Duration(seconds=30),
            queue_timeout=Duration(seconds=20),
            priority=5,
            max_parallel_tasks=2,
            artifact_root="file:///artifacts/mine",
        ),
    )
    made = await create(api, asked=asked)
    told = {"name", "uid", "etag", "create_time", "update_time", "state", "next_slot_time", "run", "cron"}
    for field, value in made.ListFields():
        assert field.name in told or value == getattr(asked, field.name), field.name
    for field, value in asked.run.ListFields():
        assert field.name == "inline_spec" or value == getattr(made.run, field.name), field.name
    assert (made.cron.expression, made.cron.time_zone) == ("@daily", "UTC")
    assert made.next_slot_time == at("2030-01-01T00:00:00Z")


async def test_a_spec_of_its_own_is_read_back_when_it_is_asked_for(api: Api) -> None:
    await create(api)
    full = await api.jobs.GetJob(pb.GetJobRequest(name=NIGHTLY, view=run_pb2.Run.VIEW_FULL))
    assert json.loads(full.job.run.spec.text) == job_calls.document()
    assert not (await get(api)).run.HasField("spec")


@pytest.mark.parametrize("version", ["1", "rc", "latest"])
async def test_a_job_names_the_version_as_it_was_asked_for(api: Api, version: str) -> None:
    await publish(api)
    name = f"{PARENT}/pipelines/train/versions/{version}"
    made = await create(api, asked=job(run=run(pipeline_version=name)))
    assert (made.run.pipeline_version, made.run.spec_digest) == (name, "")
    slot = await trigger(api)
    fired = (await api.runs.GetRun(run_service_pb2.GetRunRequest(name=slot.run))).run
    assert fired.pipeline_version == f"{PARENT}/pipelines/train/versions/1"
    assert (fired.job, fired.slot_time) == (NIGHTLY, slot.slot_time)
    full = await api.jobs.GetJob(pb.GetJobRequest(name=NIGHTLY, view=run_pb2.Run.VIEW_FULL))
    assert not full.job.run.HasField("spec")


async def test_a_disabled_job_waits_to_be_enabled(api: Api) -> None:
    made = await create(api, disabled=True)
    assert (made.state, made.reason, made.HasField("next_slot_time")) == (
        Job.STATE_DISABLED,
        "DISABLED_BY_USER",
        False,
    )
    enabled = (await api.jobs.EnableJob(pb.EnableJobRequest(name=NIGHTLY))).job
    assert (enabled.state, enabled.reason, enabled.HasField("next_slot_time")) == (Job.STATE_ENABLED, "", True)
    assert (await api.jobs.EnableJob(pb.EnableJobRequest(name=NIGHTLY))).job == enabled
    disabled = (await api.jobs.DisableJob(pb.DisableJobRequest(name=NIGHTLY, etag=enabled.etag))).job
    assert (disabled.state, disabled.message) == (Job.STATE_DISABLED, "somebody disabled it")


async def test_without_an_id_one_is_made_of_what_is_known(api: Api) -> None:
    assert (await create(api, "", job(display_name="By Night"))).name.startswith(f"{PARENT}/jobs/by-night-")
    assert (await create(api, "")).name.startswith(f"{PARENT}/jobs/synthetic-")


async def test_the_same_request_makes_one_job(api: Api) -> None:
    id = str(uuid.uuid4())
    first, second = await asyncio.gather(create(api, "", request_id=id), create(api, "", request_id=id))
    assert first == second
    assert await reason(create(api, "", job(cron="@hourly"), request_id=id)) == "REQUEST_ID_REUSED"


async def test_a_check_makes_nothing(api: Api) -> None:
    checked = await create(api, validate_only=True)
    assert (checked.name, checked.HasField("next_slot_time")) == (NIGHTLY, True)
    assert await reason(get(api)) == "JOB_NOT_FOUND"
    wrong = create(api, asked=job(cron="61 * * * *"), validate_only=True)
    assert await reason(wrong) == "INVALID_CRON"


def never(**fields: Any) -> Callable[[], Job]:
    return lambda: job(**fields)


def without_trigger() -> Job:
    return Job(run=run())


def with_parameter(name: str, text: str) -> Callable[[], Job]:
    def made() -> Job:
        asked = job()
        asked.run.parameters[name].string_value = text
        return asked

    return made


REFUSED: dict[str, tuple[Callable[[], Job], str, str]] = {
    "no trigger": (without_trigger, "INVALID_REQUEST", "job"),
    "no run": (lambda: job(run=None), "INVALID_REQUEST", "job.run"),
    "a cron that cannot be read": (never(cron="not a cron"), "INVALID_CRON", "job.cron.expression"),
    "a cron that never comes": (never(cron="0 0 30 2 *"), "INVALID_CRON", "job.cron.expression"),
    "an unknown zone": (never(time_zone="Mars/Olympus"), "INVALID_TIME_ZONE", "job.cron.time_zone"),
    "an interval under a second": (
        never(interval=Job.Interval(every=Duration(nanos=5))),
        "INVALID_REQUEST",
        "job.interval.every",
    ),
    "an end before the start": (
        never(start_time=at("2030-01-02T00:00:00Z"), end_time=at("2030-01-01T00:00:00Z")),
        "INVALID_REQUEST",
        "job.end_time",
    ),
    "a time out of range": (never(end_time=Timestamp(seconds=10**15)), "INVALID_REQUEST", "job.end_time"),
    "an unknown macro": (with_parameter("day", "${slot.moon}"), "INVALID_MACRO", "job.run.parameters.day"),
    "an unknown parameter": (with_parameter("zz", "x"), "UNKNOWN_PARAMETER", "job.run.parameters.zz"),
    "a value of the wrong type": (
        with_parameter("number", "x"),
        "PARAMETER_TYPE_MISMATCH",
        "job.run.parameters.number",
    ),
    "a pipeline that is not there": (
        lambda: job(run=run(pipeline_version=f"{PARENT}/pipelines/none/versions/1")),
        "PIPELINE_NOT_FOUND",
        "",
    ),
    "a version elsewhere": (
        lambda: job(run=run(pipeline_version="namespaces/other/pipelines/none/versions/1")),
        "INVALID_REQUEST",
        "job.run.pipeline_version",
    ),
    "an experiment that is not there": (
        lambda: job(run=run(experiment=f"{PARENT}/experiments/none")),
        "EXPERIMENT_NOT_FOUND",
        "",
    ),
    "a component": (
        lambda: job(run=run(component_version=f"{PARENT}/components/c/versions/1")),
        "COMPONENT_SOURCE_UNAVAILABLE",
        "",
    ),
    "a root outside the store": (
        lambda: job(run=run(artifact_root="file:///elsewhere")),
        "INVALID_REQUEST",
        "job.run.artifact_root",
    ),
    "too many at a time": (never(max_concurrency=1001), "INVALID_REQUEST", "job.max_concurrency"),
    "an unknown policy": (never(overlap=99), "INVALID_REQUEST", "job.overlap"),
}


@pytest.mark.parametrize(("asked", "why", "field"), REFUSED.values(), ids=list(REFUSED))
async def test_what_is_wrong_with_a_job_is_told_by_field(
    api: Api, asked: Callable[[], Job], why: str, field: str
) -> None:
    refused = await refusal(create(api, asked=asked()))
    assert refused.reason == why
    assert not field or refused.fields == [field]
    assert await reason(get(api)) == "JOB_NOT_FOUND"


async def test_taken_ids_and_missing_names_are_refused(api: Api) -> None:
    await create(api)
    assert await reason(create(api)) == "JOB_EXISTS"
    elsewhere = pb.CreateJobRequest(parent="namespaces/nowhere", job_id="x", job=job())
    assert await reason(api.jobs.CreateJob(elsewhere)) == "NAMESPACE_NOT_FOUND"
    assert await reason(api.jobs.ListJobs(pb.ListJobsRequest(parent="namespaces/nowhere"))) == "NAMESPACE_NOT_FOUND"
    nothing = f"{PARENT}/jobs/nothing"
    for call in (
        api.jobs.GetJob(pb.GetJobRequest(name=nothing)),
        api.jobs.UpdateJob(pb.UpdateJobRequest(job=Job(name=nothing, description="x"))),
        api.jobs.UpdateJob(pb.UpdateJobRequest(job=Job(name=nothing, description="x", etag="x"))),
        api.jobs.DeleteJob(pb.DeleteJobRequest(name=nothing)),
        api.jobs.ArchiveJob(pb.ArchiveJobRequest(name=nothing)),
        api.jobs.UnarchiveJob(pb.UnarchiveJobRequest(name=nothing)),
        api.jobs.EnableJob(pb.EnableJobRequest(name=nothing)),
        api.jobs.DisableJob(pb.DisableJobRequest(name=nothing)),
        api.jobs.TriggerJob(pb.TriggerJobRequest(name=nothing)),
    ):
        assert await reason(call) == "JOB_NOT_FOUND"


async def test_an_update_without_a_mask_writes_what_is_set(api: Api) -> None:
    made = await create(api, asked=job(description="d", max_concurrency=3))
    changed = await update(api, display_name="Nightly", overlap="OVERLAP_SKIP")
    assert (changed.display_name, changed.description, changed.max_concurrency) == ("Nightly", "d", 3)
    assert (changed.overlap, changed.etag != made.etag) == (Job.OVERLAP_SKIP, True)
    assert await get(api) == changed


async def test_a_field_that_is_named_and_not_set_takes_its_default(api: Api) -> None:
    asked = job(end_time=at("2031-01-01T00:00:00Z"), max_concurrency=3, jitter=Duration(seconds=9), description="d")
    made = await create(api, asked=asked)
    await update(api, "start_time", start_time=at("2030-01-01T00:00:00Z"))
    changed = await update(api, "start_time", "end_time", "max_concurrency", "jitter", "description", "catch_up_limit")
    assert (changed.start_time, changed.HasField("end_time"), changed.HasField("jitter")) == (
        made.create_time,
        False,
        False,
    )
    assert (changed.max_concurrency, changed.catch_up_limit, changed.description) == (1, 100, "")


async def test_a_star_replaces_everything_that_can_be(api: Api) -> None:
    await create(api, asked=job(description="d", labels={"a": "b"}, max_consecutive_failures=3))
    whole = job(cron="@hourly", time_zone="", overlap="OVERLAP_ALLOW")
    changed = await update(api, "*", changed=whole)
    assert (changed.cron.expression, changed.overlap) == ("@hourly", Job.OVERLAP_ALLOW)
    assert (changed.display_name, changed.description, dict(changed.labels)) == ("nightly", "", {})
    assert changed.max_consecutive_failures == 0
    incomplete = await refusal(update(api, "*", changed=Job(description="x")))
    assert (incomplete.reason, incomplete.fields) == ("INVALID_REQUEST", ["job"])


async def test_triggers_replace_each_other(api: Api) -> None:
    await create(api)
    every = Job.Interval(every=Duration(seconds=90))
    assert (await update(api, interval=every)).WhichOneof("trigger") == "interval"
    cron = Job.Cron(expression="@daily", time_zone="Asia/Tokyo")
    changed = await update(api, "cron", cron=cron)
    assert (changed.WhichOneof("trigger"), changed.cron) == ("cron", cron)
    for paths, incomplete in ((["cron"], Job()), (["interval"], Job(cron=cron)), (["cron", "interval"], Job())):
        refused = await refusal(update(api, *paths, changed=incomplete))
        assert (refused.reason, refused.fields) == ("INVALID_REQUEST", ["job"])


async def test_a_run_is_replaced_as_a_whole_but_keeps_its_source_where_none_is_sent(api: Api) -> None:
    made = await create(api)
    made.run.priority = 7
    made.run.parameters["number"].string_value = "${slot.index}"
    changed = await update(api, "run", changed=Job(run=made.run, etag=made.etag))
    assert (changed.run.priority, changed.run.spec_digest) == (7, made.run.spec_digest)
    await publish(api)
    version = f"{PARENT}/pipelines/train/versions/rc"
    changed = await update(api, "run", run=run(pipeline_version=version))
    assert (changed.run.pipeline_version, changed.run.spec_digest, changed.run.priority) == (version, "", 0)
    changed.run.priority = 3
    assert (await update(api, "run", run=changed.run)).run == changed.run


async def test_a_run_that_would_be_refused_is_refused_in_an_update(api: Api) -> None:
    await create(api)
    wrong = run()
    wrong.parameters["zz"].string_value = "x"
    assert await reason(update(api, "run", run=wrong)) == "UNKNOWN_PARAMETER"
    missing = await refusal(update(api, "run"))
    assert (missing.reason, missing.fields) == ("INVALID_REQUEST", ["job.run"])
    archived = experiment_service_pb2.CreateExperimentRequest(
        parent=PARENT, experiment_id="old", experiment=experiment_pb2.Experiment()
    )
    await api.experiments.CreateExperiment(archived)
    name = f"{PARENT}/experiments/old"
    await api.experiments.ArchiveExperiment(experiment_service_pb2.ArchiveExperimentRequest(name=name))
    assert await reason(update(api, run=run(experiment=name))) == "EXPERIMENT_ARCHIVED"


@pytest.mark.parametrize("path", ["state", "name", "create_time", "run.priority", "cron.expression", "nothing"])
async def test_an_update_of_what_cannot_change_is_refused(api: Api, path: str) -> None:
    await create(api)
    refused = await refusal(update(api, path))
    assert (refused.reason, refused.fields) == ("INVALID_UPDATE_MASK", ["update_mask"])


async def test_an_update_that_changes_nothing_writes_nothing(api: Api) -> None:
    made = await create(api)
    assert await update(api, "*", changed=job()) == made
    assert await update(api, "display_name", "cron", changed=job()) == made


async def test_a_stale_etag_is_refused_by_whatever_takes_one(api: Api) -> None:
    made = await create(api)
    changed = await update(api, description="d", etag=made.etag)
    stale: dict[str, Any] = {"name": NIGHTLY, "etag": made.etag}
    for call in (
        api.jobs.UpdateJob(pb.UpdateJobRequest(job=Job(**stale, description="x"))),
        api.jobs.ArchiveJob(pb.ArchiveJobRequest(**stale)),
        api.jobs.UnarchiveJob(pb.UnarchiveJobRequest(**stale)),
        api.jobs.EnableJob(pb.EnableJobRequest(**stale)),
        api.jobs.DisableJob(pb.DisableJobRequest(**stale)),
        api.jobs.DeleteJob(pb.DeleteJobRequest(**stale)),
    ):
        assert await reason(call) == "ETAG_MISMATCH"
    assert await get(api) == changed


async def test_slots_and_runs_leave_the_etag_alone(api: Api) -> None:
    made = await create(api)
    await trigger(api)
    assert (await get(api)).etag == made.etag


async def test_an_archived_job_neither_fires_nor_takes_slots(api: Api) -> None:
    await create(api)
    archived = (await api.jobs.ArchiveJob(pb.ArchiveJobRequest(name=NIGHTLY))).job
    assert (archived.HasField("archive_time"), archived.HasField("next_slot_time")) == (True, False)
    assert (await api.jobs.ArchiveJob(pb.ArchiveJobRequest(name=NIGHTLY))).job == archived
    assert await reason(trigger(api)) == "JOB_ARCHIVED"
    assert await reason(api.jobs.EnableJob(pb.EnableJobRequest(name=NIGHTLY))) == "JOB_ARCHIVED"
    back = (await api.jobs.UnarchiveJob(pb.UnarchiveJobRequest(name=NIGHTLY))).job
    assert (back.HasField("archive_time"), back.HasField("next_slot_time")) == (False, True)


async def test_a_deleted_job_leaves_its_runs(api: Api) -> None:
    made = await create(api)
    slot = await trigger(api)
    await api.jobs.DeleteJob(pb.DeleteJobRequest(name=NIGHTLY, etag=made.etag))
    assert await reason(get(api)) == "JOB_NOT_FOUND"
    left = (await api.runs.GetRun(run_service_pb2.GetRunRequest(name=slot.run))).run
    assert left.job == NIGHTLY


async def test_a_trigger_makes_a_run_with_its_macros_written_out(api: Api) -> None:
    await create(api, disabled=True)
    slot = await trigger(api)
    assert (slot.kind, slot.state, slot.index, slot.job) == (JobSlot.KIND_MANUAL, JobSlot.STATE_FIRED, 1, NIGHTLY)
    assert slot.HasField("lateness")
    made = (await api.runs.GetRun(run_service_pb2.GetRunRequest(name=slot.run))).run
    assert made.parameters["day"].string_value == slot.slot_time.ToJsonString()[:10]
    now = await get(api)
    assert (now.last_run, now.last_slot_time, now.active_run_count) == (slot.run, slot.slot_time, 1)
    waiting = await trigger(api)
    assert (waiting.state, waiting.reason, waiting.run) == (JobSlot.STATE_WAITING, "CONCURRENCY", "")
    assert (await get(api)).waiting_slot_count == 1


async def test_the_same_request_triggers_once(api: Api) -> None:
    await create(api)
    id = str(uuid.uuid4())
    slots = await asyncio.gather(*(trigger(api, request_id=id) for _ in range(3)))
    assert slots[0] == slots[1] == slots[2]


async def test_runs_are_found_by_their_job(api: Api) -> None:
    await create(api)
    await create(api, "other")
    slot = await trigger(api)
    await trigger(api, f"{PARENT}/jobs/other")
    for filter in (f'job = "{NIGHTLY}"', f"slot_time >= {slot.slot_time.ToJsonString()} AND job:nightly"):
        found = await api.runs.ListRuns(run_service_pb2.ListRunsRequest(parent=PARENT, filter=filter))
        assert [each.name for each in found.runs] == [slot.run]


async def test_jobs_are_listed_filtered_and_ordered(api: Api) -> None:
    await publish(api)
    await create(api, "a", job(labels={"team": "x"}, cron="0 0 1 1 *"))
    version = f"{PARENT}/pipelines/train/versions/latest"
    await create(api, "b", job(run=run(pipeline_version=version)), disabled=True)
    await create(api, "c", job(cron="* * * * *"))

    async def ids(**fields: Any) -> str:
        listed = await api.jobs.ListJobs(pb.ListJobsRequest(parent=PARENT, **fields))
        return "".join(each.name[-1] for each in listed.jobs)

    assert await ids() == "cba"
    assert await ids(order_by="name") == "abc"
    assert await ids(order_by="next_slot_time") == "cab"
    assert await ids(filter="state = DISABLED AND reason = DISABLED_BY_USER") == "b"
    assert await ids(filter="labels.team = x") == "a"
    assert await ids(filter=f'pipeline = "{PARENT}/pipelines/train"') == "b"
    assert await ids(filter="next_slot_time:* AND NOT archive_time:*") == "ca"
    assert await reason(ids(filter="colour = red")) == "INVALID_FILTER"
    assert await reason(ids(order_by="state")) == "INVALID_ORDER_BY"
    assert await reason(ids(page_token="x")) == "INVALID_PAGE_TOKEN"


@pytest.mark.parametrize("order", ["", "name", "next_slot_time desc"])
async def test_a_walk_under_inserts_sees_each_old_job_once(api: Api, order: str) -> None:
    for number in range(12):
        await create(api, f"old-{number}", job(cron=f"{number} 2 * * *"))
    found: list[str] = []
    token = ""
    for turn in range(100):
        request = pb.ListJobsRequest(parent=PARENT, page_size=5, page_token=token, order_by=order)
        listed = await api.jobs.ListJobs(request)
        found += [each.name for each in listed.jobs if "old" in each.name]
        token = listed.next_page_token
        if not token:
            break
        await create(api, f"new-{turn}")
    assert len(found) == len(set(found)) == 12


async def test_an_experiment_with_jobs_goes_only_by_force_and_takes_them_along(api: Api) -> None:
    name = f"{PARENT}/experiments/vision"
    made = experiment_service_pb2.CreateExperimentRequest(
        parent=PARENT, experiment_id="vision", experiment=experiment_pb2.Experiment()
    )
    await api.experiments.CreateExperiment(made)
    await create(api, asked=job(run=run(experiment=name)))
    delete = experiment_service_pb2.DeleteExperimentRequest(name=name)
    refused = await refusal(api.experiments.DeleteExperiment(delete))
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "EXPERIMENT_HAS_JOBS")
    delete.force = True
    await api.experiments.DeleteExperiment(delete)
    assert await reason(get(api)) == "JOB_NOT_FOUND"


async def test_an_experiment_goes_by_force_although_its_job_fires_on_and_on(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine's part - to delete a run that it was asked to - is done here at once, and then the job fires again."""
    name = f"{PARENT}/experiments/vision"
    made = experiment_service_pb2.CreateExperimentRequest(
        parent=PARENT, experiment_id="vision", experiment=experiment_pb2.Experiment()
    )
    await api.experiments.CreateExperiment(made)
    await create(api, asked=job(run=run(experiment=name), overlap="OVERLAP_ALLOW"))
    await trigger(api)
    request_delete = RunRequests.delete_run

    async def delete_and_fire(self: RunRequests, namespace: str, run_id: str, **more: Any) -> None:
        await request_delete(self, namespace, run_id, **more)
        async with api.database.connection() as connection:
            await connection.execute("DELETE FROM run WHERE id = %s", [run_id])
        with suppress(grpc.aio.AioRpcError):
            await trigger(api)

    monkeypatch.setattr(RunRequests, "delete_run", delete_and_fire)
    delete = experiment_service_pb2.DeleteExperimentRequest(name=name, force=True)
    await api.experiments.DeleteExperiment(delete, timeout=20)
    assert await reason(get(api)) == "JOB_NOT_FOUND"
