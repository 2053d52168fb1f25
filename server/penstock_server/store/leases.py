"""Leases: which servers are alive, and which runs are whose. All time is the database's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from penstock_server.model.changes import RequestFlags, RunLimits
from penstock_server.model.ids import RunUid, ServerId
from penstock_server.store.database import Connection
from penstock_server.store.statements import statements

_SQL = statements("leases")


@dataclass(frozen=True, slots=True)
class ClaimedRun:
    """A run that is the claiming server's from now on."""

    uid: RunUid
    fence: int
    from_owner: ServerId | None = None
    """The server whose it was until its lease ran out; None where it was nobody's."""
    is_under_way: bool = False
    """It has begun, so it had an owner before."""


async def register(connection: Connection, server_id: ServerId, ttl_s: float) -> None:
    """Begin a lease of `ttl_s` seconds, and clear away those of servers long gone."""
    await connection.execute(_SQL["sweep"])
    await connection.execute(_SQL["register"], {"server_id": server_id, "ttl_s": ttl_s})


async def heartbeat(connection: Connection, server_id: ServerId, ttl_s: float) -> bool:
    """Renew the lease; False when it has run out."""
    cursor = await connection.execute(_SQL["heartbeat"], {"server_id": server_id, "ttl_s": ttl_s})
    return await cursor.fetchone() is not None


async def release(connection: Connection, server_id: ServerId) -> None:
    """End the lease; all its runs are free at once."""
    await connection.execute(_SQL["release"], {"server_id": server_id})


async def claim_runs(connection: Connection, server_id: ServerId, limit: int) -> list[ClaimedRun]:
    """At most `limit` runs that have something to do and no living owner, oldest first. None without a lease."""
    cursor = await connection.execute(_SQL["claim"], {"server_id": server_id, "limit": limit})
    return [ClaimedRun(*row) for row in await cursor.fetchall()]


async def held_runs(connection: Connection, server_id: ServerId) -> list[ClaimedRun]:
    """The runs that are the server's."""
    cursor = await connection.execute(_SQL["held"], {"server_id": server_id})
    return [ClaimedRun(*row) for row in await cursor.fetchall()]


async def release_run(connection: Connection, uid: RunUid, fence: int) -> None:
    """Give one run up, if it is still held under `fence`."""
    await connection.execute(_SQL["release_run"], {"uid": uid, "fence": fence})


async def read_requests(connection: Connection, server_id: ServerId) -> dict[RunUid, RequestFlags]:
    """What was asked of the server's runs and has not been taken up."""
    cursor = await connection.execute(_SQL["read_requests"], {"server_id": server_id})
    return {uid: request_flags(flags) for uid, *flags in await cursor.fetchall()}


def request_flags(columns: Sequence[Any]) -> RequestFlags:
    """What was asked of a run, from the columns that tell it."""
    cancel, message, exit_tasks, pause, retry, delete, limited, *limits = columns
    return RequestFlags(
        cancel=cancel,
        cancel_message=message,
        cancel_exit_tasks=exit_tasks,
        pause=pause,
        limits=RunLimits(*limits) if limited else None,
        retry=retry,
        delete=delete,
    )
