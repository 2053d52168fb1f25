"""What runs have been through: their tasks and their moves, read in few statements and kept of runs that have ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from penstock.kfp.v2beta1 import run_pb2 as pb
from penstock_server.compat.beginnings import first_move, root
from penstock_server.compat.states import RunStates, is_tried_again
from penstock_server.compat.task_details import TaskMoves, run_details
from penstock_server.model.ids import RunUid, TaskId
from penstock_server.model.recent import Recent
from penstock_server.model.resources import KUBERNETES, Event, Pod, Run, Task
from penstock_server.store import kfp_runs, tasks
from penstock_server.store.database import Connection

TASKS_OF_PAGE_MAX = 10_000
"""So many tasks a page of runs tells at most. Runs for whose tasks there is no room come without `run_details`."""
KEPT_BYTES_MAX = 8 * 1024 * 1024

_Version = tuple[RunUid, int]
"""A run and the number of its newest event: tasks and runs do not move without an event."""


@dataclass(frozen=True, slots=True)
class RunHistory:
    """What a run has been through."""

    message: bytes
    """A Run of which only `run_details` and `state_history` are set, in binary form."""
    task_count: int


@dataclass(frozen=True, slots=True)
class RunHistories:
    """Reads it. Whoever watches a list asks for the same runs time and again, most of which have ended."""

    states: RunStates
    _kept: Recent[_Version, RunHistory] = field(default_factory=lambda: Recent(KEPT_BYTES_MAX))

    def beginning(self, made: Run) -> RunHistory:
        """Of a run that was just made, with the outermost of its tasks, which is made with it."""
        return self._history(made, [first_move(made)], [root(made)], {})

    async def of_run(self, connection: Connection, run: Run) -> RunHistory:
        """Of one run, with all its tasks and the names of their pods."""
        newest = await tasks.newest_attempts(connection, run.uid, None, KUBERNETES)
        pods = {id: pod for id, attempt in newest.items() if (pod := Pod.of(attempt)) is not None}
        return (await self._read(connection, [run], None, pods))[run.uid]

    async def of_page(self, connection: Connection, runs: Sequence[Run]) -> list[RunHistory]:
        """Of each of the runs, with as many tasks as there is room for, and without the names of their pods."""
        kept = {run.uid: found for run in runs if (found := self._kept.get(_version(run))) is not None}
        missing = [run for run in runs if run.uid not in kept]
        read = await self._read(connection, missing, TASKS_OF_PAGE_MAX, {}) if missing else {}
        for run in missing:
            history = read[run.uid]
            # One without tasks may be one for whose tasks there was no room.
            if run.state.is_final and history.task_count:
                self._kept.keep(_version(run), history, len(history.message))
        return fitting([kept.get(run.uid) or read[run.uid] for run in runs])

    async def _read(
        self, connection: Connection, runs: Sequence[Run], tasks_max: int | None, pods: Mapping[TaskId, Pod]
    ) -> Mapping[RunUid, RunHistory]:
        uids = [run.uid for run in runs]
        moves = await kfp_runs.moves(connection, uids)
        listed = await kfp_runs.tasks_of(connection, uids, tasks_max)
        task_moves = await _task_moves(connection, moves, listed)
        return {
            uid: self._history(run, moves.get(uid, ()), listed.get(uid), task_moves.get(uid, {}), pods)
            for uid, run in zip(uids, runs, strict=True)
        }

    def _history(
        self,
        run: Run,
        moves: Sequence[Event],
        tasks: Sequence[Task] | None,
        task_moves: TaskMoves,
        pods: Mapping[TaskId, Pod] | None = None,
    ) -> RunHistory:
        details = None if tasks is None else run_details(run.uid, tasks, task_moves, pods or {})
        message = pb.Run(run_details=details, state_history=self.states.history(moves))
        return RunHistory(message.SerializeToString(), len(tasks or ()))


def _version(run: Run) -> _Version:
    return run.uid, run.event_sequence


def fitting(histories: Sequence[RunHistory]) -> list[RunHistory]:
    """The histories; from the first one on whose tasks are too many for a page, without tasks."""
    fitting, room = [], TASKS_OF_PAGE_MAX
    for history in histories:
        room = room - history.task_count if history.task_count <= room else -1
        fitting.append(history if room >= 0 else _without_tasks(history))
    return fitting


def _without_tasks(history: RunHistory) -> RunHistory:
    message = pb.Run.FromString(history.message)
    message.ClearField("run_details")
    return RunHistory(message.SerializeToString(), 0)


async def _task_moves(
    connection: Connection, moves: Mapping[RunUid, Sequence[Event]], tasks: Mapping[RunUid, Sequence[Task]]
) -> Mapping[RunUid, TaskMoves]:
    """The moves of those tasks that do not tell by themselves what they have been through: in most runs none."""
    asked = [
        (uid, task.id) for uid, of_run in tasks.items() for task in of_run if is_tried_again(task, moves.get(uid, ()))
    ]
    return await kfp_runs.task_moves(connection, asked) if asked else {}
