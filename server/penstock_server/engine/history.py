"""A checker of a run's events that knows nothing of how the engine decides: only the tables and some rules.

Tests, kill tests and benchmarks hand it the events of a finished run and expect an empty list.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from penstock_server.model.ids import ROOT_TASK, TaskId
from penstock_server.model.resources import Event, EventSubject
from penstock_server.model.states import (
    ATTEMPT_MOVES,
    RUN_MOVES,
    TASK_MOVES,
    AttemptState,
    RunState,
    TaskState,
)

DependenciesOf = Callable[[TaskId], Sequence[TaskId]]
"""The tasks that have to succeed before the given one starts."""


def check(
    events: Sequence[Event], *, finished: bool = True, dependencies_of: DependenciesOf | None = None
) -> list[str]:
    """What is wrong with the history of one run; empty when nothing is.

    With `finished` the run, its tasks and its attempts must have ended; with `dependencies_of` no task may
    have started before those it depends on had succeeded.
    """
    history = _History(dependencies_of)
    for expected, event in enumerate(events, start=1):
        if event.sequence != expected:
            history.complain(event, f"has number {event.sequence} where {expected} comes next")
        history.read(event)
    if finished:
        history.expect_end()
    return history.problems


class _History:
    """The states so far, and what was found wrong."""

    def __init__(self, dependencies_of: DependenciesOf | None) -> None:
        self.problems: list[str] = []
        self._dependencies_of = dependencies_of
        self._run: RunState | None = None
        self._tasks: dict[TaskId, TaskState] = {}
        self._attempts: dict[tuple[TaskId, int], AttemptState] = {}
        self._live: dict[TaskId, int] = {}
        self._newest: dict[TaskId, int] = {}

    def read(self, event: Event) -> None:
        """Take in the next event."""
        if event.subject is EventSubject.RUN:
            self._read_run(event)
        elif event.subject is EventSubject.TASK:
            self._read_task(event)
        elif event.subject is EventSubject.ATTEMPT:
            self._read_attempt(event)

    def expect_end(self) -> None:
        """All must have ended."""
        if self._run is None or not self._run.is_final:
            self.problems.append(f"the run stands at {self._run}")
        open_tasks = [f"task {task} stands at {state}" for task, state in self._tasks.items() if not state.is_final]
        live = [f"attempt {number} of {task} has not ended" for task, number in self._live.items()]
        self.problems += open_tasks + live

    def complain(self, event: Event, what: str) -> None:
        """Note what is wrong with an event."""
        self.problems.append(f"event {event.sequence}: {what}")

    def _read_run(self, event: Event) -> None:
        before = self._run
        after = RunState(event.to_state or "")
        self._check_move(event, before, after, RUN_MOVES)
        self._run = after
        if not after.is_final:
            return
        if self._live:
            self.complain(event, f"the run ended {after} with live attempts of {sorted(self._live)}")
        root = self._tasks.get(ROOT_TASK)
        if after is RunState.SUCCEEDED and root is not TaskState.SUCCEEDED:
            self.complain(event, f"the run succeeded while its root stands at {root}")

    def _read_task(self, event: Event) -> None:
        task = event.task_id
        if task is None:
            self.complain(event, "names no task")
            return
        before = self._tasks.get(task)
        after = TaskState(event.to_state or "")
        self._check_move(event, before, after, TASK_MOVES)
        if after in (TaskState.QUEUED, TaskState.RUNNING) and before is TaskState.PENDING:
            self._check_start(event, task)
        if after.is_final and task in self._live:
            self.complain(event, f"{task} ended {after} with a live attempt")
        if not event.reason:
            self.complain(event, f"{task} went to {after} without a reason")
        self._tasks[task] = after

    def _check_start(self, event: Event, task: TaskId) -> None:
        if self._run not in (RunState.RUNNING, RunState.CANCELLING):
            self.complain(event, f"{task} started while the run stood at {self._run}")
        for needed in self._dependencies_of(task) if self._dependencies_of is not None else ():
            if (state := self._tasks.get(needed)) is not TaskState.SUCCEEDED:
                self.complain(event, f"{task} started while {needed} stood at {state}")

    def _read_attempt(self, event: Event) -> None:
        task, number = event.task_id, event.attempt
        if task is None or number is None:
            self.complain(event, "names no attempt")
            return
        before = self._attempts.get((task, number))
        after = AttemptState(event.to_state or "")
        self._check_move(event, before, after, ATTEMPT_MOVES)
        if before is None:
            self._check_new_attempt(event, task, number)
        self._attempts[task, number] = after
        if after.is_final and self._live.get(task) == number:
            del self._live[task]

    def _check_new_attempt(self, event: Event, task: TaskId, number: int) -> None:
        if task in self._live:
            self.complain(event, f"attempt {number} of {task} was made while {self._live[task]} lives")
        if number != self._newest.get(task, 0) + 1:
            self.complain(event, f"attempt {number} of {task} follows attempt {self._newest.get(task, 0)}")
        if self._tasks.get(task) is not TaskState.RUNNING:
            self.complain(event, f"attempt {number} of {task} was made while it stood at {self._tasks.get(task)}")
        self._live[task] = self._newest[task] = number

    def _check_move(
        self,
        event: Event,
        before: "RunState | TaskState | AttemptState | None",
        after: "RunState | TaskState | AttemptState",
        legal: "Mapping[Any, frozenset[Any]]",
    ) -> None:
        subject = f"{event.subject} {event.task_id or ''}".strip()
        if event.from_state != before:
            self.complain(event, f"{subject} leaves {event.from_state} but stood at {before}")
        if after not in legal[before]:
            self.complain(event, f"{subject} went from {before} to {after}")
