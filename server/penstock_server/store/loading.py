"""A run with everything that an engine needs to go on with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from penstock_server.model.changes import RequestFlags
from penstock_server.model.ids import RunUid
from penstock_server.model.resources import Attempt, Run, Task
from penstock_server.store import runs, tasks
from penstock_server.store.database import Connection
from penstock_server.store.leases import request_flags
from penstock_server.store.statements import statements

_SQL = statements("loading")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as its rows tell."""

    run: Run
    spec: bytes
    """The canonical document."""
    tasks: Sequence[Task]
    """Parents before their children."""
    attempts: Sequence[Attempt]
    """At tasks that have not ended."""
    requests: RequestFlags
    owner: UUID | None
    fence: int
    now: datetime
    """The database's time."""


async def load_run(connection: Connection, uid: RunUid) -> RunRecord | None:
    """The run; None when it is gone. Only its owner moves it, so an owner reads one state, statement by statement."""
    header = await (await connection.execute(_SQL["header"], {"uid": uid})).fetchone()
    run = await runs.find_by_uid(connection, uid)
    if header is None or run is None:
        return None
    owner, fence, now, document, *flags = header
    return RunRecord(
        run=run,
        spec=bytes(document),
        tasks=await tasks.all_of_run(connection, uid),
        attempts=await tasks.attempts_of_run(connection, uid),
        requests=request_flags(flags),
        owner=owner,
        fence=fence,
        now=now,
    )
