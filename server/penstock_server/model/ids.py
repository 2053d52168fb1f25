"""Ids: what names a run, a task in it and an attempt at it, everywhere."""

import re
import uuid
from dataclasses import dataclass
from typing import NewType

RunUid = NewType("RunUid", uuid.UUID)
TaskId = NewType("TaskId", str)
"""The path of keys from the run's root to the task, joined by dots: `train`, `outer.train`, `loop.3.train`."""
ServerId = NewType("ServerId", uuid.UUID)
"""One server process; drawn anew at each start."""

ROOT_TASK = TaskId("root")
RESOURCE_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?\Z")
"""What a resource id looks like (AIP-122), in names such as `namespaces/{namespace}/runs/{run}`."""


@dataclass(frozen=True, slots=True, order=True)
class AttemptId:
    """One try at one step. Deterministic, so that launching twice finds the first."""

    run_uid: RunUid
    task_id: TaskId
    number: int
    """1 for the first try."""

    def __str__(self) -> str:
        return f"{self.run_uid}/{self.task_id}/{self.number}"


def child_task_id(parent: TaskId, key: str) -> TaskId:
    """The id of the task `key` of the DAG `parent`.

    The root's own name is left out, except where a path would start with it and could be taken for the root.
    """
    if parent != ROOT_TASK:
        return TaskId(f"{parent}.{key}")
    return TaskId(f"{ROOT_TASK}.{key}" if key == ROOT_TASK else key)
