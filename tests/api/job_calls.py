"""Jobs as tests of the API make them."""

import json
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from penstock.v1 import job_pb2, job_slot_pb2, pipeline_pb2, pipeline_service_pb2, run_pb2
from penstock.v1 import job_service_pb2 as pb
from tests import pipelines
from tests.api.conftest import Api

PARENT = "namespaces/default"
NIGHTLY = f"{PARENT}/jobs/nightly"


def document() -> pipelines.Ir:
    """A pipeline with parameters of two types."""
    made = pipelines.chain(1, "true")
    made["root"]["inputDefinitions"] = {
        "parameters": {
            "day": {"parameterType": "STRING"},
            "number": {"parameterType": "NUMBER_INTEGER", "defaultValue": 3},
        }
    }
    return made


def run(**fields: Any) -> run_pb2.Run:
    """A run of that pipeline."""
    made = run_pb2.Run(**fields)
    if made.WhichOneof("source") is None:
        made.inline_spec.text = json.dumps(document())
    made.parameters["day"].string_value = "${slot.time:%Y-%m-%d}"
    return made


def job(*, cron: str = "0 2 * * *", time_zone: str = "Europe/Berlin", **fields: Any) -> job_pb2.Job:
    """A job that fires at night."""
    made = job_pb2.Job(**({"run": run()} | fields))
    if made.WhichOneof("trigger") is None:
        made.cron.expression, made.cron.time_zone = cron, time_zone
    return made


async def create(api: Api, id: str = "nightly", asked: job_pb2.Job | None = None, **fields: Any) -> job_pb2.Job:
    """The job made."""
    request = pb.CreateJobRequest(parent=PARENT, job_id=id, job=asked or job(), **fields)
    return (await api.jobs.CreateJob(request)).job


async def get(api: Api, name: str = NIGHTLY) -> job_pb2.Job:
    """The job as it is."""
    return (await api.jobs.GetJob(pb.GetJobRequest(name=name))).job


async def trigger(api: Api, name: str = NIGHTLY, **fields: Any) -> job_slot_pb2.JobSlot:
    """A slot of this moment."""
    return (await api.jobs.TriggerJob(pb.TriggerJobRequest(name=name, **fields))).slot


async def publish(api: Api) -> None:
    """`pipelines/train` with one version, which is called `rc` too."""
    pipeline = pipeline_service_pb2.CreatePipelineRequest(
        parent=PARENT, pipeline_id="train", pipeline=pipeline_pb2.Pipeline()
    )
    await api.pipelines.CreatePipeline(pipeline)
    version = pipeline_pb2.PipelineVersion(alias="rc")
    version.spec.text = json.dumps(document())
    await api.pipelines.CreatePipelineVersion(
        pipeline_service_pb2.CreatePipelineVersionRequest(parent=f"{PARENT}/pipelines/train", pipeline_version=version)
    )


def at(text: str) -> Timestamp:
    """A time, as in `2026-01-31T01:00:00Z`."""
    time = Timestamp()
    time.FromJsonString(text)
    return time
