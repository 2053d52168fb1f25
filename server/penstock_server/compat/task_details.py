"""The tasks of a run as KFP tells them: one detail for each task, the root first."""

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from penstock.kfp.v2beta1 import run_pb2 as pb
from penstock_server.compat.nodes import Node
from penstock_server.compat.states import TASK_STATES, task_error, tell_task
from penstock_server.compat.times import set_time
from penstock_server.model.ids import RunUid, TaskId
from penstock_server.model.resources import ArtifactValue, Pod, TaskKind
from penstock_server.store.kfp_histories import KfpTask, Move

TaskMoves: TypeAlias = Mapping[TaskId, Sequence[Move]]
"""What tasks have been through, each in order."""
_NO_PODS: Mapping[TaskId, Pod] = MappingProxyType({})


def run_details(
    run_uid: RunUid, tasks: Sequence[KfpTask], moves: TaskMoves, pods: Mapping[TaskId, Pod] = _NO_PODS
) -> pb.RunDetails:
    """The tasks of a run, in the order in which they are given; `moves`: of those that were tried again; `pods`: of
    the newest attempts."""
    children: dict[TaskId, list[TaskId]] = defaultdict(list)
    for task in tasks:
        if task.parent_id is not None:
            children[task.parent_id].append(task.id)
    told = pb.RunDetails()
    run_id = str(run_uid)
    for task in tasks:
        detail = told.task_details.add(run_id=run_id, task_id=task.id, display_name=_display_name(task))
        _tell(detail, task, moves.get(task.id, ()))
        _tell_parts(detail, task, children.get(task.id, ()), pods.get(task.id))
    return told


def artifact_number(uid: uuid.UUID) -> int:
    """A number for the artifact, since KFP's have no other names: always the same, and unlike any other's."""
    return uid.int >> 65


def _tell(detail: pb.PipelineTaskDetail, task: KfpTask, moves: Sequence[Move]) -> None:
    """Where a task stands and what it has been through. The message is filled in its place: to make parts apart and to
    copy them there takes twice as long."""
    set_time(detail.create_time, task.create_time)
    set_time(detail.start_time, task.start_time)
    set_time(detail.end_time, task.end_time)
    detail.state = TASK_STATES[task.state]
    tell_task(detail.state_history, task, moves)
    if (error := task_error(task)) is not None:
        detail.error.CopyFrom(error)
    for name, items in task.inputs.artifacts.items():
        detail.inputs[name].artifact_ids.extend(_numbers(items))
    for name, items in task.outputs.artifacts.items():
        detail.outputs[name].artifact_ids.extend(_numbers(items))


def _tell_parts(detail: pb.PipelineTaskDetail, task: KfpTask, children: Sequence[TaskId], pod: Pod | None) -> None:
    """What holds a task, and what it holds: tasks, and its attempts, which are asked for logs."""
    detail.parent_task_id = task.parent_id or ""
    for id in children:
        detail.child_tasks.add(task_id=id)
    attempts = [str(Node(task.id, number)) for number in range(1, task.attempt_count + 1)]
    for name in attempts:
        detail.child_tasks.add(pod_name=name)
    if attempts:
        detail.executor_detail.main_job = attempts[-1]
        detail.executor_detail.failed_main_jobs.extend(attempts[:-1])
    detail.pod_name = pod.name if pod is not None else attempts[-1] if attempts else ""


def _display_name(task: KfpTask) -> str:
    """As the pipeline calls it; the outermost is `root`, and an iteration is told by its number, as `loop[3]`."""
    if task.parent_id is None:
        return task.key
    if task.kind is TaskKind.ITERATION:
        return f"{task.parent_id.rpartition('.')[2]}[{task.key}]"
    return task.display_name or task.key


def _numbers(artifacts: Sequence[ArtifactValue]) -> list[int]:
    return [artifact_number(each.uid) for each in artifacts if each.uid is not None]
