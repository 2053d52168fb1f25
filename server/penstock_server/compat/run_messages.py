"""Runs as KFP's messages."""

from google.protobuf.struct_pb2 import Struct

from penstock.kfp.v2beta1 import run_pb2 as pb
from penstock.kfp.v2beta1 import runtime_config_pb2
from penstock_server.compat.run_histories import RunHistory
from penstock_server.compat.service_accounts import service_account_of
from penstock_server.compat.sources import set_source
from penstock_server.compat.states import RunStates, run_error
from penstock_server.compat.times import exact_time, record_time
from penstock_server.rpc.json_values import to_value
from penstock_server.store.kfp_runs import KfpRun


def run_message(found: KfpRun, history: RunHistory, spec: Struct | None, states: RunStates) -> pb.Run:
    """The run with its tasks; `spec` is what it runs, None where it names a version."""
    run = found.record
    message = pb.Run(
        experiment_id=str(run.experiment_uid),
        run_id=str(run.uid),
        display_name=run.display_name,
        storage_state=pb.Run.AVAILABLE if run.archive_time is None else pb.Run.ARCHIVED,
        description=run.description,
        runtime_config=runtime_config_pb2.RuntimeConfig(
            parameters={name: to_value(value) for name, value in run.parameters.items()},
            pipeline_root=run.artifact_root,
        ),
        service_account=service_account_of(run.labels),
        created_at=record_time(run.create_time),
        scheduled_at=record_time(run.slot_time or run.create_time),
        finished_at=exact_time(run.end_time),
        state=states.of(run.state),
        error=run_error(run),
        recurring_run_id="" if found.job_uid is None else str(found.job_uid),
    )
    message.MergeFromString(history.message)
    set_source(message, found.pipeline_uid, found.version_uid, spec)
    return message
