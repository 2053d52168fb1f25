"""What runs have been through: their tasks and their moves, read in few statements and kept of runs that have ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from penstock.kfp.v2beta1 import run_pb2 as pb
from penstock_server.compat.beginnings import beginning
from penstock_server.compat.states import RunStates, is_tried_again
from penstock_server.compat.task_details import TaskMoves, run_details
from penstock_server.model.ids import RunUid, TaskId
from penstock_server.model.recent import Recent
from penstock_server.model.resources import KUBERNETES, Pod, Run
from penstock_server.store import kfp_histories, tasks
from penstock_server.store.database import Connection
from penstock_server.store.kfp_histories import History

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
        """Of a run that was just made."""
        return self._told(made.uid, beginning(made), {}, {})

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
        found = dict(zip(uids, await kfp_histories.histories(connection, uids, tasks_max), strict=True))
        task_moves = await _task_moves(connection, found)
        return {uid: self._told(uid, history, task_moves.get(uid, {}), pods) for uid, history in found.items()}

    def _told(self, uid: RunUid, history: History, task_moves: TaskMoves, pods: Mapping[TaskId, Pod]) -> RunHistory:
        message = pb.Run()
        if history.tasks:
            message.run_details.CopyFrom(run_details(uid, history.tasks, task_moves, pods))
        self.states.tell(message.state_history, history.moves)
        return RunHistory(message.SerializeToString(), len(history.tasks))


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


async def _task_moves(connection: Connection, histories: Mapping[RunUid, History]) -> Mapping[RunUid, TaskMoves]:
    """The moves of those tasks that do not tell by themselves what they have been through: in most runs none."""
    asked = [
        (uid, task.id)
        for uid, history in histories.items()
        for task in history.tasks
        if is_tried_again(task, history.moves)
    ]
    return await kfp_histories.task_moves(connection, asked) if asked else {}
