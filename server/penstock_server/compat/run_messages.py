"""Runs as KFP's messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from google.protobuf.struct_pb2 import Struct

from penstock.kfp.v2beta1 import run_pb2 as pb
from penstock.kfp.v2beta1 import runtime_config_pb2
from penstock_server.compat.service_accounts import service_account_of
from penstock_server.compat.sources import set_source
from penstock_server.compat.states import RunStates, run_error
from penstock_server.compat.task_details import TaskMoves, run_details
from penstock_server.compat.times import exact_time, record_time
from penstock_server.model.ids import TaskId
from penstock_server.model.resources import Event, Pod, Task
from penstock_server.rpc.json_values import to_value
from penstock_server.store.kfp_runs import KfpRun


@dataclass(frozen=True, slots=True)
class RunParts:
    """A run with what stands in other rows."""

    found: KfpRun
    moves: Sequence[Event]
    """The run's own, in order."""
    tasks: Sequence[Task] | None
    """All, parents first; None where there is no room for them."""
    spec: Struct | None
    """What it runs; None where it names a version."""
    task_moves: TaskMoves = field(default_factory=dict)
    """Of the tasks that were tried again."""
    pods: Mapping[TaskId, Pod] = field(default_factory=dict)
    """Of the newest attempts of its tasks, where those are pods."""


def run_message(parts: RunParts, states: RunStates) -> pb.Run:
    """The run with its tasks."""
    found, run = parts.found, parts.found.record
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
        run_details=None if parts.tasks is None else run_details(run.uid, parts.tasks, parts.task_moves, parts.pods),
        recurring_run_id="" if found.job_uid is None else str(found.job_uid),
        state_history=states.history(parts.moves),
    )
    set_source(message, found.pipeline_uid, found.version_uid, parts.spec)
    return message
