"""Runs as KFP's messages."""

from google.protobuf.struct_pb2 import Struct

from penstock.kfp.v2beta1 import run_pb2 as pb
from penstock_server.compat.run_histories import RunHistory
from penstock_server.compat.service_accounts import service_account_of
from penstock_server.compat.sources import set_source
from penstock_server.compat.states import RunStates, run_error
from penstock_server.compat.times import set_time, whole_seconds
from penstock_server.rpc.json_values import to_value
from penstock_server.store.kfp_runs import KfpRun


def tell_run(message: pb.Run, found: KfpRun, history: RunHistory, spec: Struct | None, states: RunStates) -> None:
    """Fill an empty message with the run and its tasks; `spec` is what it runs, None where it names a version.

    It is filled in its place: to make a run apart and to copy it into a page takes twice as long.
    """
    run = found.record
    message.MergeFromString(history.message)
    message.experiment_id = str(run.experiment_uid)
    message.run_id = str(run.uid)
    message.display_name = run.display_name
    message.storage_state = pb.Run.AVAILABLE if run.archive_time is None else pb.Run.ARCHIVED
    message.description = run.description
    message.runtime_config.SetInParent()
    message.runtime_config.pipeline_root = run.artifact_root
    for name, value in run.parameters.items():
        message.runtime_config.parameters[name].CopyFrom(to_value(value))
    message.service_account = service_account_of(run.labels)
    message.created_at.seconds = whole_seconds(run.create_time)
    message.scheduled_at.seconds = whole_seconds(run.slot_time or run.create_time)
    set_time(message.finished_at, run.end_time)
    message.state = states.of(run.state)
    if (error := run_error(run)) is not None:
        message.error.CopyFrom(error)
    message.recurring_run_id = "" if found.job_uid is None else str(found.job_uid)
    set_source(message, found.pipeline_uid, found.version_uid, spec)
