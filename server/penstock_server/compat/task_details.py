"""The tasks of a run as KFP tells them: one detail for each task, the root first."""

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from penstock.kfp.v2beta1 import run_pb2 as pb
from penstock_server.compat.nodes import Node
from penstock_server.compat.states import TASK_STATES, task_error, task_history
from penstock_server.compat.times import exact_time
from penstock_server.model.ids import RunUid, TaskId
from penstock_server.model.resources import ArtifactValue, Event, Pod, Task, TaskKind

TaskMoves: TypeAlias = Mapping[TaskId, Sequence[Event]]
"""What tasks have been through, each in order."""
_NO_PODS: Mapping[TaskId, Pod] = MappingProxyType({})


def run_details(
    run_uid: RunUid, tasks: Sequence[Task], moves: TaskMoves, pods: Mapping[TaskId, Pod] = _NO_PODS
) -> pb.RunDetails:
    """The tasks of a run, in the order in which they are given; `moves`: of those that were tried again; `pods`: of
    the newest attempts."""
    children: dict[TaskId, list[TaskId]] = defaultdict(list)
    for task in tasks:
        if task.parent_id is not None:
            children[task.parent_id].append(task.id)
    run_id = str(run_uid)
    details = (
        _detail(run_id, task, children.get(task.id, ()), moves.get(task.id, ()), pods.get(task.id)) for task in tasks
    )
    return pb.RunDetails(task_details=details)


def artifact_number(uid: uuid.UUID) -> int:
    """A number for the artifact, since KFP's have no other names: always the same, and unlike any other's."""
    return uid.int >> 65


def _detail(
    run_id: str, task: Task, children: Sequence[TaskId], moves: Sequence[Event], pod: Pod | None
) -> pb.PipelineTaskDetail:
    attempts = [str(Node(task.id, number)) for number in range(1, task.attempt_count + 1)]
    detail = pb.PipelineTaskDetail(
        run_id=run_id,
        task_id=task.id,
        display_name=_display_name(task),
        create_time=exact_time(task.create_time),
        start_time=exact_time(task.start_time),
        end_time=exact_time(task.end_time),
        state=TASK_STATES[task.state],
        error=task_error(task),
        inputs=_artifacts(task.inputs.artifacts),
        outputs=_artifacts(task.outputs.artifacts),
        parent_task_id=task.parent_id or "",
        state_history=task_history(task, moves),
        pod_name=pod.name if pod is not None else attempts[-1] if attempts else "",
        child_tasks=_children(children, attempts),
    )
    if attempts:
        detail.executor_detail.main_job = attempts[-1]
        detail.executor_detail.failed_main_jobs.extend(attempts[:-1])
    return detail


def _display_name(task: Task) -> str:
    """As the pipeline calls it; the outermost is `root`, and an iteration is told by its number, as `loop[3]`."""
    if task.parent_id is None:
        return task.key
    if task.kind is TaskKind.ITERATION:
        return f"{task.parent_id.rpartition('.')[2]}[{task.key}]"
    return task.display_name or task.key


def _children(tasks: Sequence[TaskId], attempts: Sequence[str]) -> list[pb.PipelineTaskDetail.ChildTask]:
    """What a task holds: tasks, and its attempts, which are asked for logs."""
    child = pb.PipelineTaskDetail.ChildTask
    return [*(child(task_id=id) for id in tasks), *(child(pod_name=name) for name in attempts)]


def _artifacts(values: Mapping[str, Sequence[ArtifactValue]]) -> dict[str, pb.ArtifactList]:
    return {
        name: pb.ArtifactList(artifact_ids=[artifact_number(each.uid) for each in items if each.uid is not None])
        for name, items in values.items()
    }
