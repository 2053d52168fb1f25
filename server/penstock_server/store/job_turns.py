"""Turns of jobs: which jobs need one, what is known when it begins, what it came to. All but `due` in a transaction."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg.errors import InvalidTextRepresentation

from penstock_server.model.errors import Internal
from penstock_server.model.job_turns import (
    EndedRun,
    FiredSlot,
    OpenBackfill,
    OpenRun,
    Situation,
    SlotDecision,
    Turn,
    WaitingSlot,
)
from penstock_server.model.jobs import Job, SlotKind, SlotState
from penstock_server.model.states import RunState
from penstock_server.store import jobs
from penstock_server.store.database import Connection
from penstock_server.store.statements import statements
from penstock_server.store.values import dumps

_SQL = statements("job_turns")
WAITING_MAX = 1_000
"""So many slots that wait are read for a turn."""
OF_BACKFILL_MAX = 50
"""So many of each backfill."""
OPEN_RUNS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Due:
    """What there is to do."""

    uids: Sequence[uuid.UUID]
    """Jobs that need a turn, those that have waited longest first."""
    next_s: float | None
    """Seconds until another one does; None: not known of any."""


async def due(connection: Connection, limit: int, but: Collection[uuid.UUID] = ()) -> Due:
    """The jobs that need a turn, at most `limit`, leaving out some."""
    row = await (await connection.execute(_SQL["due"], {"limit": limit, "but": list(but)})).fetchone()
    assert row is not None
    return Due(row[0], row[1])


async def lock(connection: Connection, uid: uuid.UUID) -> datetime | None:
    """Take the job's turn until the transaction ends; the present. None when another server has it or has taken it
    already, or the job is gone."""
    row = await (await connection.execute(_SQL["lock"], {"uid": uid})).fetchone()
    if row is None:
        await connection.execute(_SQL["forget_runs"], {"uid": uid})
        return None
    now: datetime = row[1]
    return now


async def read(connection: Connection, job: Job, now: datetime) -> Situation:
    """What is known of a job whose lock is held; runs that have ended are seen from here on.

    What `job` counts was read after the lock.
    """
    uid = {"uid": job.uid}
    async with connection.pipeline():  # one way to the database and back
        seeing = await connection.execute(_SQL["see_ended"], uid)
        opened = await connection.execute(_SQL["open_backfills"], uid | {"limit": OF_BACKFILL_MAX})
        ended, backfills = await seeing.fetchall(), await opened.fetchall()
    waiting = await _all(connection, "waiting", uid | {"limit": WAITING_MAX}) if job.waiting_slot_count else []
    if ended:  # Some of them may have been counted as open; nobody else tells of their end again.
        ((active_run_count,),) = await _all(connection, "count_open", uid)
        job = replace(job, active_run_count=active_run_count)
    runs = await _all(connection, "open_runs", uid | {"limit": OPEN_RUNS_MAX}) if job.active_run_count else []
    return Situation(
        job,
        now,
        [WaitingSlot(slot, SlotKind(kind), due, reason) for slot, kind, due, reason in waiting],
        [OpenRun(*row) for row in runs],
        [EndedRun(id, RunState(state), message, backfill) for id, state, message, backfill in ended],
        [OpenBackfill(*row) for row in backfills],
    )


async def write(
    connection: Connection,
    job: Job,
    turn: Turn,
    fired: Mapping[datetime, FiredSlot],
    *,
    kept: int,
    has_backfills: bool,
) -> None:
    """What the turn came to, the runs of its slots aside, which are made already; at most `kept` slots stay.
    `has_backfills`: there are open ones.

    Raises Internal when a slot is elsewhere than the turn believed: a fault of ours.
    """
    rows = [
        _row(decision, fired.get(decision.slot_time), sequence)
        for sequence, decision in enumerate(turn.slots, job.sequence + 1)
    ]
    sequence = job.sequence + len(rows) + 1
    try:
        async with connection.pipeline():  # one way to the database and back
            if rows:
                await connection.execute(_SQL["write_slots"], {"uid": job.uid, "slots": dumps(rows)})
            for run in turn.cancel:
                message = f"cancelled by its job {job.id}, for a newer run"
                await connection.execute(_SQL["cancel_run"], {"run_uid": run.uid, "message": message})
            await connection.execute(_SQL["write_job"], _progress(job, turn, fired) | {"sequence": sequence})
            if has_backfills:
                await connection.execute(_SQL["finish_backfills"], {"uid": job.uid})
            if sequence > kept:
                await connection.execute(_SQL["trim_slots"], {"uid": job.uid, "sequence": sequence - kept})
    except InvalidTextRepresentation as error:
        raise Internal("INTERNAL", f"a turn was refused: {error.diag.message_primary}") from error


async def announce(connection: Connection, uids: Sequence[uuid.UUID]) -> None:
    """Wake watchers and servers for jobs that have had a turn."""
    await connection.execute(_SQL["announce"], {"uids": list(uids)})


async def job_of(connection: Connection, uid: uuid.UUID) -> Job:
    """The job whose lock is held."""
    job = await jobs.find_by_uid(connection, uid)
    assert job is not None, "a job that is locked is there"
    return job


def _row(decision: SlotDecision, fired: FiredSlot | None, sequence: int) -> dict[str, Any]:
    return {
        "slot_time": decision.slot_time.isoformat(),
        "last_slot_time": None if decision.last_slot_time is None else decision.last_slot_time.isoformat(),
        "kind": decision.kind,
        "state": decision.state,
        "reason": decision.reason,
        "message": decision.message,
        "run_uid": None if fired is None else str(fired.run_uid),
        "run_id": None if fired is None else fired.run_id,
        "index": None if fired is None else fired.index,
        "due_time": decision.due_time.isoformat(),
        "fired": decision.state is SlotState.FIRED,
        "sequence": sequence,
        "is_new": decision.is_new,
        "request_id": None if decision.request_id is None else str(decision.request_id),
    }


def _progress(job: Job, turn: Turn, fired: Mapping[datetime, FiredSlot]) -> dict[str, object]:
    newest = max([*fired, *([job.last_slot_time] if job.last_slot_time is not None else [])], default=None)
    return {
        "uid": job.uid,
        "state": turn.standing.state,
        "reason": turn.standing.reason,
        "message": turn.standing.message,
        "consecutive_failures": turn.standing.consecutive_failures,
        "cursor_time": turn.cursor_time,
        "next_slot_time": turn.next_slot_time,
        "attention_time": turn.attention_time,
        "last_slot_time": newest,
        "last_run_id": fired[newest].run_id if newest is not None and newest in fired else job.last_run_id,
        "fired_count": job.fired_count + len(fired),
    }


async def _all(connection: Connection, statement: str, parameters: Mapping[str, object]) -> list[tuple[Any, ...]]:
    return await (await connection.execute(_SQL[statement], parameters)).fetchall()
