"""The events of runs. They are written in `transitions`, together with what they tell of."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from psycopg.rows import dict_row

from penstock_server.model.ids import RunUid
from penstock_server.model.resources import Event, EventSubject
from penstock_server.store.database import Connection
from penstock_server.store.query import Row
from penstock_server.store.statements import statements

_SQL = statements("events")
_ZERO = UUID(int=0)


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the stream across runs: behind this event."""

    transaction_id: int
    run_uid: UUID = _ZERO
    sequence: int = 0


def _read(row: Row) -> Event:
    values = cast(dict[str, Any], row)
    return Event(**{**values, "subject": EventSubject(values["subject"])})


def position_of(event: Event) -> Position:
    """The position behind an event."""
    return Position(event.transaction_id, event.run_uid, event.sequence)


async def list_run(connection: Connection, run_uid: RunUid, after_sequence: int, limit: int) -> Sequence[Event]:
    """At most `limit` events of a run, behind the one of that number."""
    values = {"run_uid": run_uid, "after_sequence": after_sequence, "limit": limit}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SQL["list_run"], values)
        return [_read(row) for row in await cursor.fetchall()]


async def list_namespace(connection: Connection, namespace: str, after: Position, limit: int) -> Sequence[Event]:
    """At most `limit` moves of runs of a namespace, behind a position, none passed over that commits late."""
    values = {
        "namespace": namespace,
        "transaction_id": str(after.transaction_id),
        "run_uid": after.run_uid,
        "sequence": after.sequence,
        "limit": limit,
    }
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SQL["list_namespace"], values)
        return [_read(row) for row in await cursor.fetchall()]


async def current_position(connection: Connection) -> Position:
    """The position from which only what is committed from here on is read, and what is being committed right now."""
    row = await (await connection.execute(_SQL["current_position"])).fetchone()
    assert row is not None
    return Position(row[0])
