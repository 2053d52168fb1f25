"""Recurring runs as KFP's messages: jobs, told in its words."""

from google.protobuf.struct_pb2 import Struct
from google.rpc.code_pb2 import Code
from google.rpc.status_pb2 import Status

from penstock.kfp.v2beta1 import recurring_run_pb2 as pb
from penstock.kfp.v2beta1 import runtime_config_pb2
from penstock_server.compat.literals import unescaped_values
from penstock_server.compat.service_accounts import service_account_of
from penstock_server.compat.sources import set_source
from penstock_server.compat.times import record_time
from penstock_server.compat.triggers import trigger_of
from penstock_server.engine.past_events import IMPORTED
from penstock_server.engine.turns import DISABLED_BY_USER
from penstock_server.model.jobs import CatchUp, Job, JobState
from penstock_server.rpc.json_values import to_value
from penstock_server.store.kfp_jobs import KfpJob


def recurring_message(found: KfpJob, spec: Struct | None, namespace: str) -> pb.RecurringRun:
    """The job. `spec`: what it runs, where it names no pipeline. One in the archive is disabled."""
    job, run = found.record, found.record.run
    message = pb.RecurringRun(
        recurring_run_id=str(job.uid),
        display_name=job.display_name,
        description=job.description,
        runtime_config=runtime_config_pb2.RuntimeConfig(
            parameters={name: to_value(value) for name, value in unescaped_values(run.parameters).items()},
            pipeline_root=run.artifact_root,
        ),
        service_account=service_account_of(run.labels),
        max_concurrency=job.schedule.max_concurrency,
        trigger=trigger_of(job.schedule, job.create_time),
        mode=pb.RecurringRun.ENABLE if job.fires else pb.RecurringRun.DISABLE,
        created_at=record_time(job.create_time),
        updated_at=record_time(job.update_time),
        status=pb.RecurringRun.ENABLED if job.fires else pb.RecurringRun.DISABLED,
        error=_error(job),
        no_catchup=job.schedule.catch_up is not CatchUp.ALL,
        namespace=namespace,
        experiment_id=str(found.experiment_uid),
    )
    set_source(message, found.pipeline_uid, found.version_uid, spec)
    return message


def _error(job: Job) -> Status | None:
    """Why it fires no more, when it was not a user who said so."""
    if job.state is JobState.ENABLED or job.reason in (DISABLED_BY_USER, IMPORTED):
        return None
    return Status(code=Code.FAILED_PRECONDITION, message=job.message or job.reason)
