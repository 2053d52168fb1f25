"""What the API asks of a run, each in one statement that names the states in which it may be asked."""

import uuid

from penstock_server.store.database import Connection
from penstock_server.store.statements import statements

_SQL = statements("requests")


async def request_cancel(
    connection: Connection,
    namespace: str,
    id: str,
    message: str,
    revision: int | None = None,
    *,
    exit_tasks: bool = False,
) -> bool:
    """Ask for a run that has not ended to be cancelled, with `exit_tasks` sparing none; False without such a run."""
    return await _asked(connection, "cancel", namespace, id, revision, message=message, exit_tasks=exit_tasks)


async def request_cancel_of_job(connection: Connection, job_uid: uuid.UUID, message: str) -> None:
    """Ask for the runs of a job that have not ended to be cancelled."""
    await connection.execute(_SQL["cancel_of_job"], {"job_uid": job_uid, "message": message})


async def request_pause(connection: Connection, namespace: str, id: str, revision: int | None = None) -> bool:
    """Ask for a run to start nothing new; False when there is none that could, or when that was asked already."""
    return await _asked(connection, "pause", namespace, id, revision, paused=True)


async def request_resume(connection: Connection, namespace: str, id: str, revision: int | None = None) -> bool:
    """Ask for a paused run to go on; False when there is none that waits."""
    return await _asked(connection, "pause", namespace, id, revision, paused=False)


async def request_retry(connection: Connection, namespace: str, id: str, revision: int | None = None) -> bool:
    """Ask for a failed or cancelled run to go on; False when there is no such run."""
    return await _asked(connection, "retry", namespace, id, revision)


async def request_delete(connection: Connection, namespace: str, id: str, revision: int | None = None) -> bool:
    """Ask for a run that has not ended to be cancelled and deleted; False when there is no such run."""
    return await _asked(connection, "delete", namespace, id, revision)


async def delete_ended(connection: Connection, namespace: str, id: str, revision: int | None = None) -> bool:
    """Delete a run that has ended, with all its rows; False when there is no such run."""
    return await _asked(connection, "delete_ended", namespace, id, revision)


async def _asked(
    connection: Connection, statement: str, namespace: str, id: str, revision: int | None, **more: object
) -> bool:
    values = {"namespace": namespace, "id": id, "revision": revision, **more}
    return await (await connection.execute(_SQL[statement], values)).fetchone() is not None
