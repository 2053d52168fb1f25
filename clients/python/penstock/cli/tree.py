"""A run and its tasks as far as they are known here, in the shape in which they are shown."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Lock

from penstock.names import last_segment
from penstock.v1.run_pb2 import Run
from penstock.v1.run_service_pb2 import WatchRunResponse
from penstock.v1.task_pb2 import Task

_SETTLED = frozenset({Task.STATE_SUCCEEDED, Task.STATE_SKIPPED})
_ENDED = _SETTLED | {Task.STATE_FAILED, Task.STATE_CANCELLED}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the tree."""

    branch: str
    """The lines that lead to it, such as `│  └─ `."""
    task: Task


class RunTree:
    """The newest state of a run and its tasks.

    One thread may tell it what it hears while another one shows it.
    """

    def __init__(self, run: Run, tasks: Iterable[Task] = ()) -> None:
        self._lock = Lock()
        self._run = run
        self._tasks: dict[str, Task] = {task.name: task for task in tasks}

    @property
    def run(self) -> Run:
        """The run as it was told last."""
        return self._run

    def hear(self, response: WatchRunResponse) -> None:
        """Take over what a watch tells."""
        with self._lock:
            if response.HasField("run"):
                self._run = response.run
            if response.HasField("task"):
                self._tasks[response.task.name] = response.task

    def progress(self) -> tuple[int, int]:
        """How many tasks have ended, and how many there are as far as is known; the root is not counted."""
        with self._lock:
            tasks = [task for task in self._tasks.values() if task.parent_task]
        return sum(task.state in _ENDED for task in tasks), len(tasks)

    def rows(self, limit: int | None = None) -> tuple[list[Row], int]:
        """The lines of the tree from top to bottom, and how many were left out to keep to `limit`.

        What is settled, done or skipped, is left out first.
        """
        with self._lock:
            children = self._children()
        rows = list(_walk(children, "", ""))
        if limit is None or len(rows) <= limit:
            return rows, 0
        telling = [row for row in rows if row.task.state not in _SETTLED]
        kept = (telling if telling else rows)[: max(limit, 0)]
        return kept, len(rows) - len(kept)

    def _children(self) -> dict[str, list[Task]]:
        children: dict[str, list[Task]] = {}
        for task in self._tasks.values():
            # The root is the run itself, which has its own line.
            parent = "" if last_segment(task.parent_task) == "root" else task.parent_task
            if task.parent_task:
                children.setdefault(parent, []).append(task)
        return children


def task_id(task: Task) -> str:
    """The id that `penstock logs` takes."""
    return last_segment(task.name)


def state_name(message: Run | Task) -> str:
    """The state without its prefix, such as RUNNING."""
    names = Run.State if isinstance(message, Run) else Task.State
    return names.Name(message.state).removeprefix("STATE_")  # type: ignore[arg-type]  # each by its own enum


def _walk(children: dict[str, list[Task]], parent: str, lead: str) -> Iterator[Row]:
    tasks = children.get(parent, [])
    for task in tasks:
        is_last = task is tasks[-1]
        yield Row(f"{lead}{'└─ ' if is_last else '├─ '}", task)
        yield from _walk(children, task.name, f"{lead}{'   ' if is_last else '│  '}")
