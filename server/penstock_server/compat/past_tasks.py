"""The tasks of a run that ended elsewhere, out of what KFP tells of them.

KFP's own server tells the nodes of its workflow, one beside the other: drivers, executors, the tasks of the pipeline.
A server that says which task holds which, as this one does, has its tree kept. Ids are paths of names, as those of all
tasks are.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from penstock.kfp.v2beta1 import run_pb2 as pb
from penstock_server.compat.times import read_time
from penstock_server.model.ids import ROOT_TASK, TaskId, child_task_id
from penstock_server.model.imports import PastTask
from penstock_server.model.resources import TaskKind
from penstock_server.model.states import RunState, TaskState

FIELD = "run.run_details.task_details"
ID_CHARS_MAX = 900
_NAME_CHARS_MAX = 200
_EXECUTOR = "executor"
_ENDED: Mapping[int, TaskState] = {
    pb.SUCCEEDED: TaskState.SUCCEEDED,
    pb.FAILED: TaskState.FAILED,
    pb.SKIPPED: TaskState.SKIPPED,
    pb.CANCELED: TaskState.CANCELLED,
}
_ROOT_STATES: Mapping[RunState, TaskState] = {
    RunState.SUCCEEDED: TaskState.SUCCEEDED,
    RunState.FAILED: TaskState.FAILED,
    RunState.CANCELLED: TaskState.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Frame:
    """The run that the tasks are of."""

    display_name: str
    state: RunState
    message: str
    create_time: datetime
    start_time: datetime
    end_time: datetime


def past_tasks(details: Sequence[pb.PipelineTaskDetail], run: Frame) -> list[PastTask]:
    """The root first, parents before what they hold. Raises InvalidArgument."""
    tree = _Tree(details)
    builder = _Builder(run, [_root(run, tree.root)])
    for detail in tree.tops:
        builder.add(tree, detail, ROOT_TASK)
    return builder.found


class _Tree:
    """Which task holds which."""

    def __init__(self, details: Sequence[pb.PipelineTaskDetail]) -> None:
        known = {detail.task_id: detail for detail in details}
        holders = {id: _holder(detail, known) for id, detail in known.items()} | _holders_of_executors(details)
        held: dict[str, list[pb.PipelineTaskDetail]] = {}
        for id, detail in known.items():
            held.setdefault(holders[id], []).append(detail)
        roots = held.pop("", [])
        reached = _reached(roots, held)
        self.held = {id: tasks for id, tasks in held.items() if id in reached}
        # One that holds all others, by its own word, is the root itself.
        self.root = roots[0] if len(roots) == 1 and roots[0].task_id in self.held else None
        self.tops = roots if self.root is None else list(self.held[self.root.task_id])
        # What holds each other in a circle hangs on nothing.
        self.tops += [detail for id, detail in known.items() if id not in reached]


def _reached(
    roots: Sequence[pb.PipelineTaskDetail], held: Mapping[str, Sequence[pb.PipelineTaskDetail]]
) -> frozenset[str]:
    found = [root.task_id for root in roots]
    for id in found:
        found += [task.task_id for task in held.get(id, ())]
    return frozenset(found)


def _holder(detail: pb.PipelineTaskDetail, known: Mapping[str, pb.PipelineTaskDetail]) -> str:
    return detail.parent_task_id if detail.parent_task_id in known else ""


def _holders_of_executors(details: Sequence[pb.PipelineTaskDetail]) -> dict[str, str]:
    """KFP's nodes that only execute are all called alike; what leads to such a one says which task it is of."""
    names = {detail.task_id: detail.display_name for detail in details}
    holders: dict[str, str] = {}
    for detail in details:
        for child in detail.child_tasks:
            id = child.task_id or child.pod_name
            if names.get(id) == _EXECUTOR and detail.display_name != _EXECUTOR:
                holders.setdefault(id, detail.task_id)
    return holders


@dataclass
class _Builder:
    run: Frame
    found: list[PastTask]
    _taken: set[TaskId] = field(default_factory=lambda: {ROOT_TASK})

    def add(self, tree: _Tree, detail: pb.PipelineTaskDetail, parent: TaskId) -> None:
        """A task, and all that it holds."""
        waiting = deque([(detail, parent)])
        while waiting:
            detail, parent = waiting.popleft()
            task = self._task(tree, detail, parent)
            self.found.append(task)
            waiting.extend((child, task.id) for child in tree.held.get(detail.task_id, ()))

    def _task(self, tree: _Tree, detail: pb.PipelineTaskDetail, parent: TaskId) -> PastTask:
        created = self._time(detail, "create_time") or self.run.start_time
        started = self._time(detail, "start_time")
        state = _ENDED.get(detail.state) or (TaskState.CANCELLED if started is not None else TaskState.SKIPPED)
        id, key = self._id(tree, detail, parent)
        return PastTask(
            id=id,
            parent_id=parent,
            key=key,
            display_name=detail.display_name,
            kind=TaskKind.DAG if detail.task_id in tree.held else TaskKind.STEP,
            state=state,
            message=detail.error.message or _last_error(detail),
            create_time=created,
            start_time=None if state is TaskState.SKIPPED else started,
            end_time=self._time(detail, "end_time") or started or created,
        )

    def _id(self, tree: _Tree, detail: pb.PipelineTaskDetail, parent: TaskId) -> tuple[TaskId, str]:
        """A path that no other task has, and its last part. Where the other side has such paths too, it is theirs."""
        own = detail.task_id.rpartition(".")[2]
        is_path = tree.root is not None and child_task_id(parent, own) == detail.task_id
        name = own if is_path else detail.display_name or detail.task_id or "task"
        name = name.replace("/", "-").replace("\0", "")[:_NAME_CHARS_MAX]
        holder = parent if len(parent) + len(name) < ID_CHARS_MAX else ROOT_TASK
        key, count = name, 1
        while (id := child_task_id(holder, key)) in self._taken:
            count += 1
            key = f"{name}-{count}"
        self._taken.add(id)
        return id, key

    def _time(self, detail: pb.PipelineTaskDetail, name: str) -> datetime | None:
        message: Timestamp = getattr(detail, name)
        return read_time(message, f"{FIELD}.{name}") if message.seconds > 0 else None


def _last_error(detail: pb.PipelineTaskDetail) -> str:
    return next((entry.error.message for entry in reversed(detail.state_history) if entry.error.message), "")


def _root(run: Frame, told: pb.PipelineTaskDetail | None) -> PastTask:
    return PastTask(
        id=ROOT_TASK,
        parent_id=None,
        key=ROOT_TASK,
        display_name=run.display_name,
        kind=TaskKind.DAG,
        state=_ROOT_STATES[run.state],
        message=run.message if told is None else told.error.message or run.message,
        create_time=run.create_time,
        start_time=run.start_time,
        end_time=run.end_time,
    )
