"""Jobs whose pipeline, or the version of it that they run, is deleted."""

import json
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from penstock.v1 import job_service_pb2 as pb
from penstock.v1 import pipeline_pb2
from penstock.v1.job_pb2 import Job
from penstock.v1.pipeline_service_pb2 import (
    CreatePipelineVersionRequest,
    DeletePipelineRequest,
    DeletePipelineVersionRequest,
)
from penstock_server.model.jobs import PIPELINE_DELETED, PIPELINE_VERSION_DELETED
from tests.api.calls import reason
from tests.api.conftest import Api
from tests.api.job_calls import NIGHTLY, PARENT, create, document, get, job, publish, run

PIPELINE = f"{PARENT}/pipelines/train"
FIRST, SECOND = f"{PIPELINE}/versions/1", f"{PIPELINE}/versions/2"


async def schedule(api: Api, version: str, id: str = "nightly", **fields: Any) -> Job:
    """A job that runs `version` of the pipeline."""
    return await create(api, id, job(run=run(pipeline_version=f"{PIPELINE}/versions/{version}")), **fields)


async def add_version(api: Api, alias: str = "") -> None:
    version = pipeline_pb2.PipelineVersion(alias=alias)
    version.spec.text = json.dumps(document())
    await api.pipelines.CreatePipelineVersion(CreatePipelineVersionRequest(parent=PIPELINE, pipeline_version=version))


async def delete_version(api: Api, name: str) -> None:
    await api.pipelines.DeletePipelineVersion(DeletePipelineVersionRequest(name=name))


def standing(job: Job) -> tuple[int, str, bool]:
    """Whether it fires, why not, and whether it tells of a next slot."""
    return job.state, job.reason, job.HasField("next_slot_time")


FIRES = (Job.STATE_ENABLED, "", True)


@pytest.mark.parametrize("version", ["1", "rc", "latest"])
async def test_a_job_is_disabled_with_the_version_that_it_runs(api: Api, version: str) -> None:
    await publish(api)
    made = await schedule(api, version)
    await delete_version(api, FIRST)
    left = await get(api)
    assert standing(left) == (Job.STATE_DISABLED, PIPELINE_VERSION_DELETED, False)
    assert FIRST in left.message
    assert left.etag != made.etag
    assert left.update_time.ToNanoseconds() > made.update_time.ToNanoseconds()


@pytest.mark.parametrize("version", ["1", "rc", "latest"])
async def test_a_job_is_disabled_with_the_pipeline_that_it_runs(api: Api, version: str) -> None:
    await publish(api)
    await schedule(api, version)
    await api.pipelines.DeletePipeline(DeletePipelineRequest(name=PIPELINE, force=True))
    left = await get(api)
    assert standing(left) == (Job.STATE_DISABLED, PIPELINE_DELETED, False)
    assert PIPELINE in left.message


async def test_jobs_that_have_something_to_run_go_on(api: Api) -> None:
    await publish(api)
    await add_version(api, alias="next")
    for id, version in {"second": "2", "next": "next", "newest": "latest"}.items():
        await schedule(api, version, id)
    await create(api, "own-spec")
    await delete_version(api, FIRST)
    for id in ("second", "next", "newest", "own-spec"):
        assert standing(await get(api, f"{PARENT}/jobs/{id}")) == FIRES, id


async def test_a_job_that_somebody_disabled_keeps_that_reason(api: Api) -> None:
    await publish(api)
    made = await schedule(api, "1", disabled=True)
    await delete_version(api, FIRST)
    assert await get(api) == made


async def test_a_job_in_the_archive_comes_back_disabled(api: Api) -> None:
    await publish(api)
    await schedule(api, "1")
    await api.jobs.ArchiveJob(pb.ArchiveJobRequest(name=NIGHTLY))
    await delete_version(api, FIRST)
    back = (await api.jobs.UnarchiveJob(pb.UnarchiveJobRequest(name=NIGHTLY))).job
    assert standing(back) == (Job.STATE_DISABLED, PIPELINE_VERSION_DELETED, False)


async def test_a_job_is_enabled_again_once_it_has_something_to_run(api: Api) -> None:
    await publish(api)
    await schedule(api, "1")
    await add_version(api)
    await delete_version(api, FIRST)
    enable = pb.EnableJobRequest(name=NIGHTLY)
    assert await reason(api.jobs.EnableJob(enable)) == "PIPELINE_VERSION_NOT_FOUND"
    changed = Job(name=NIGHTLY, run=run(pipeline_version=SECOND))
    await api.jobs.UpdateJob(pb.UpdateJobRequest(job=changed, update_mask=FieldMask(paths=["run"])))
    assert standing((await api.jobs.EnableJob(enable)).job) == FIRES


async def test_a_deletion_that_is_refused_leaves_jobs_alone(api: Api) -> None:
    await publish(api)
    made = await schedule(api, "1")
    assert await reason(api.pipelines.DeletePipeline(DeletePipelineRequest(name=PIPELINE))) == "PIPELINE_HAS_VERSIONS"
    assert await get(api) == made
