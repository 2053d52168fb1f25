"""Moves runs as an engine does: under a lease, in commits."""

from dataclasses import dataclass

from penstock_server.model.changes import (
    AttemptCreate,
    AttemptMove,
    Change,
    RunChanges,
    RunMove,
    TaskCreate,
    TaskMove,
)
from penstock_server.model.ids import RunUid, TaskId
from penstock_server.model.resources import Run, TaskKind
from penstock_server.model.states import AttemptState, RunState, TaskState
from penstock_server.store import leases, runs, transitions
from penstock_server.store.database import Database
from tests import factories

ROOT = TaskId("root")
STEP = TaskId("train")


@dataclass(slots=True)
class Mover:
    """Owns one run."""

    database: Database
    uid: RunUid
    fence: int
    sequence: int
    server: object

    async def move(self, *changes: Change) -> None:
        """Commit the changes."""
        batch = [RunChanges(self.uid, self.fence, self.sequence, changes)]
        async with self.database.transaction() as connection:
            result = await transitions.commit(connection, self.server, batch)  # type: ignore[arg-type]  # a ServerId
        assert not result.refused
        self.sequence += len(changes)

    async def start(self) -> None:
        """The run and its root are under way."""
        await self.move(
            RunMove(RunState.PENDING, RunState.RUNNING, "STARTED"),
            TaskMove(ROOT, TaskState.PENDING, TaskState.RUNNING, "STARTED"),
        )

    async def start_step(self, id: TaskId = STEP) -> None:
        """A step of the root has its first attempt running."""
        await self.move(
            TaskCreate(id, ROOT, str(id), str(id), TaskKind.STEP, "READY"),
            TaskMove(id, TaskState.PENDING, TaskState.QUEUED, "READY"),
            TaskMove(id, TaskState.QUEUED, TaskState.RUNNING, "STARTED"),
            AttemptCreate(id, 1, "fake"),
            AttemptMove(id, 1, AttemptState.LAUNCHING, AttemptState.RUNNING),
        )

    async def end_step(self, id: TaskId = STEP) -> None:
        """It succeeds."""
        await self.move(
            AttemptMove(id, 1, AttemptState.RUNNING, AttemptState.SUCCEEDED),
            TaskMove(id, TaskState.RUNNING, TaskState.SUCCEEDED, "COMPLETED"),
        )

    async def end(self, state: RunState = RunState.SUCCEEDED) -> None:
        """The run ends."""
        task_state = TaskState.SUCCEEDED if state is RunState.SUCCEEDED else TaskState.FAILED
        await self.move(
            TaskMove(ROOT, TaskState.RUNNING, task_state, "COMPLETED"),
            RunMove(RunState.RUNNING, state, "COMPLETED"),
        )


async def mover(database: Database, run: Run) -> Mover:
    """Take the run."""
    server = factories.server_id()
    async with database.transaction() as connection:
        await leases.register(connection, server, 600)
        claimed = {claim.uid: claim.fence for claim in await leases.claim_runs(connection, server, 1000)}
        current = await runs.get(connection, run.namespace, run.id)
    return Mover(database, run.uid, claimed[run.uid], current.event_sequence, server)
