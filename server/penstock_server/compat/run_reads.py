"""Reads what stands in other rows than a run's own, for many runs in few statements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from google.protobuf.struct_pb2 import Struct

from penstock.kfp.v2beta1 import run_pb2 as pb
from penstock_server.compat.beginnings import first_move, root
from penstock_server.compat.run_messages import RunParts, run_message
from penstock_server.compat.spec_messages import SpecMessages
from penstock_server.compat.states import RunStates, is_tried_again
from penstock_server.compat.task_details import TaskMoves
from penstock_server.model.ids import RunUid, TaskId
from penstock_server.model.resources import KUBERNETES, Event, Pod, Task
from penstock_server.store import kfp_runs, tasks
from penstock_server.store.database import Connection
from penstock_server.store.kfp_runs import KfpRun

TASKS_OF_PAGE_MAX = 10_000
"""So many tasks a page of runs tells at most. Runs for whose tasks there is no room come without `run_details`."""


@dataclass(frozen=True, slots=True)
class RunReads:
    """Makes messages of runs."""

    states: RunStates
    specs: SpecMessages = field(default_factory=SpecMessages)

    async def message(self, connection: Connection, found: KfpRun) -> pb.Run:
        """The run with all its tasks."""
        newest = await tasks.newest_attempts(connection, found.record.uid, None, KUBERNETES)
        pods = {id: pod for id, attempt in newest.items() if (pod := Pod.of(attempt)) is not None}
        (message,) = await self._messages(connection, [found], None, pods)
        return message

    def beginning(self, made: KfpRun, spec: Struct | None) -> pb.Run:
        """A run as it was made, with the outermost of its tasks, which is made with it; `spec` as in `RunParts`."""
        run = made.record
        return run_message(RunParts(made, [first_move(run)], [root(run)], spec), self.states)

    async def page(self, connection: Connection, found: Sequence[KfpRun]) -> list[pb.Run]:
        """The runs, with as many tasks as there is room for, and without the names of their pods."""
        return await self._messages(connection, found, TASKS_OF_PAGE_MAX, {})

    async def _messages(
        self, connection: Connection, found: Sequence[KfpRun], tasks_max: int | None, pods: Mapping[TaskId, Pod]
    ) -> list[pb.Run]:
        uids = [run.record.uid for run in found]
        moves = await kfp_runs.moves(connection, uids)
        listed = await kfp_runs.tasks_of(connection, uids, tasks_max)
        task_moves = await self._task_moves(connection, moves, listed)
        messages = []
        for run in found:
            uid = run.record.uid
            spec = None
            if run.pipeline_uid is None:
                spec = await self.specs.get(connection, run.record.spec_digest)
            parts = RunParts(run, moves.get(uid, ()), listed.get(uid), spec, task_moves.get(uid, {}), pods)
            messages.append(run_message(parts, self.states))
        return messages

    async def _task_moves(
        self,
        connection: Connection,
        moves: Mapping[RunUid, Sequence[Event]],
        tasks: Mapping[RunUid, Sequence[Task]],
    ) -> Mapping[RunUid, TaskMoves]:
        """The moves of those tasks that do not tell by themselves what they have been through: in most runs none."""
        asked = [
            (uid, task.id)
            for uid, of_run in tasks.items()
            for task in of_run
            if is_tried_again(task, moves.get(uid, ()))
        ]
        return await kfp_runs.task_moves(connection, asked) if asked else {}
