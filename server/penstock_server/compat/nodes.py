"""Names of nodes: what KFP calls pods, and asks for logs and artifacts by.

Where attempts are pods, the name of one stands for its attempt.

An attempt is `{task}@{number}`, and a task alone stands for its newest attempt. No task of a pipeline is called like
that: `@` is not among the letters of keys.
"""

import re
from dataclasses import dataclass

from penstock_server.model.ids import TaskId

_ATTEMPT = re.compile(r"(?P<task>.+)@(?P<number>[1-9][0-9]{0,8})\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Node:
    """What a name stands for."""

    task_id: TaskId
    attempt: int | None = None
    """None: the newest."""

    def __str__(self) -> str:
        return self.task_id if self.attempt is None else f"{self.task_id}@{self.attempt}"


def node_of(name: str) -> Node:
    """The node of that name, whether or not there is one."""
    found = _ATTEMPT.match(name)
    return Node(TaskId(name)) if found is None else Node(TaskId(found["task"]), int(found["number"]))
