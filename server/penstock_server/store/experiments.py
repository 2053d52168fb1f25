"""Experiments."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, cast

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from penstock_server.model.errors import AlreadyExists, FailedPrecondition, NotFound
from penstock_server.model.query import FieldType, Order, Page, Rows
from penstock_server.model.resources import Experiment
from penstock_server.store import namespaces
from penstock_server.store.database import Connection
from penstock_server.store.query import Column, Listing, Row
from penstock_server.store.requested import RequestKey, check_repeat, columns
from penstock_server.store.revisions import changed_meanwhile
from penstock_server.store.statements import statements

_SQL = statements("experiments")
DEFAULT = "default"


def _read(row: Row) -> Experiment:
    return Experiment(**cast(dict[str, Any], row))


def resource_name(namespace: str, id: str) -> str:
    """`namespaces/{namespace}/experiments/{id}`."""
    return f"namespaces/{namespace}/experiments/{id}"


LISTING = Listing(
    select=_SQL["list"],
    columns={
        "name": Column(
            FieldType.TEXT,
            "'namespaces/' || namespace || '/experiments/' || id",
            orderable=True,
            order_by="id",
            equal_to="id = split_part({0}, '/', 4) AND 'namespaces/' || namespace || '/experiments/' || id = {0}",
        ),
        "display_name": Column(FieldType.TEXT, "display_name", orderable=True),
        "labels": Column(FieldType.MAP, "labels"),
        "create_time": Column(FieldType.TIME, "create_time", orderable=True),
        "update_time": Column(FieldType.TIME, "update_time", orderable=True),
        "archive_time": Column(FieldType.TIME, "archive_time"),
    },
    key="uid",
    default_order=(Order("create_time", descending=True),),
    read=_read,
    position=lambda item, field: getattr(item, "id" if field == "name" else field),
)


async def insert(
    connection: Connection,
    namespace: str,
    id: str,
    *,
    display_name: str,
    description: str,
    labels: Mapping[str, str],
    request: RequestKey | None = None,
) -> tuple[Experiment, bool]:
    """A new experiment, or the one that the same request made before; whether it is new.

    Raises AlreadyExists(EXPERIMENT_EXISTS | REQUEST_ID_REUSED). The namespace must exist.
    """
    values = {"namespace": namespace, "id": id, "display_name": display_name, "description": description}
    async with connection.cursor(row_factory=class_row(Experiment)) as cursor:
        await cursor.execute(_SQL["insert"], values | {"labels": Jsonb(dict(labels))} | columns(request))
        made = await cursor.fetchone()
    if made is not None:
        return made, True
    if request is not None:
        wanted = {"namespace": namespace, "request_id": request.id}
        row = await (await connection.execute(_SQL["by_request"], wanted)).fetchone()
        if row is not None:
            check_repeat(request, row[1])
            return await get(connection, namespace, row[0]), False
    name = resource_name(namespace, id)
    raise AlreadyExists("EXPERIMENT_EXISTS", f"there is {name}; use it or choose another id", metadata={"name": name})


async def insert_named(
    connection: Connection, namespace: str, ids: Sequence[str], *, display_name: str, description: str
) -> Experiment:
    """A new experiment, the only one of that display name, under the first of `ids` that is free.

    Who makes one of the same name at the same time has to bring the same ids. Raises AlreadyExists(EXPERIMENT_EXISTS).
    The namespace must exist.
    """
    values = {"namespace": namespace, "display_name": display_name, "description": description}
    async with connection.cursor(row_factory=class_row(Experiment)) as cursor:
        for id in ids:
            await cursor.execute(_SQL["insert_named"], values | {"id": id})
            made = await cursor.fetchone()
            if made is not None:
                return made
            if await _true(connection, "has_display_name", values):
                break
    raise AlreadyExists(
        "EXPERIMENT_EXISTS", f"there is an experiment named {display_name}; use it or choose another name"
    )


async def get(connection: Connection, namespace: str, id: str) -> Experiment:
    """Raises NotFound(EXPERIMENT_NOT_FOUND)."""
    async with connection.cursor(row_factory=class_row(Experiment)) as cursor:
        await cursor.execute(_SQL["get"], {"namespace": namespace, "id": id})
        found = await cursor.fetchone()
    if found is None:
        raise not_found(namespace, id)
    return found


async def get_open(connection: Connection, namespace: str, id: str) -> Experiment:
    """One that takes new runs.

    Raises NotFound(NAMESPACE_NOT_FOUND | EXPERIMENT_NOT_FOUND), FailedPrecondition(EXPERIMENT_ARCHIVED).
    """
    try:
        experiment = await get(connection, namespace, id)
    except NotFound:
        # Of two things that are missing the greater one is named.
        await namespaces.get(connection, namespace)
        raise
    if experiment.archive_time is not None:
        name = resource_name(namespace, id)
        raise FailedPrecondition(
            "EXPERIMENT_ARCHIVED",
            f"{name} is archived; unarchive it, or name another one",
            metadata={"name": name},
        )
    return experiment


async def list_page(connection: Connection, namespace: str, page: Page) -> Rows[Experiment]:
    """A page of the experiments of a namespace."""
    return await LISTING.page(connection, page, {"namespace": namespace})


async def update(
    connection: Connection,
    uid: uuid.UUID,
    revision: int,
    *,
    display_name: str,
    description: str,
    labels: Mapping[str, str],
) -> Experiment:
    """Change it if it is at `revision`. Raises Conflict(ETAG_MISMATCH) when it is not."""
    values = {"uid": uid, "revision": revision, "display_name": display_name, "description": description}
    async with connection.cursor(row_factory=class_row(Experiment)) as cursor:
        await cursor.execute(_SQL["update"], values | {"labels": Jsonb(dict(labels))})
        updated = await cursor.fetchone()
    if updated is None:
        raise changed_meanwhile(f"experiment {uid}")
    return updated


async def set_archived(
    connection: Connection, namespace: str, id: str, *, archived: bool, revision: int | None = None
) -> Experiment:
    """Put it into the archive or take it out. Raises NotFound, Conflict, FailedPrecondition(DEFAULT_EXPERIMENT)."""
    if archived:
        check_may_go(id, "archived")
    values = {"namespace": namespace, "id": id, "archived": archived, "revision": revision}
    async with connection.cursor(row_factory=class_row(Experiment)) as cursor:
        await cursor.execute(_SQL["archive"], values)
        changed = await cursor.fetchone()
    if changed is None:
        await get(connection, namespace, id)
        raise changed_meanwhile(resource_name(namespace, id))
    return changed


async def delete(
    connection: Connection, namespace: str, id: str, *, force: bool = False, revision: int | None = None
) -> None:
    """Delete it, in a transaction; with `force` together with its jobs and its runs, all of which must have ended.

    Raises NotFound, Conflict, FailedPrecondition(DEFAULT_EXPERIMENT | EXPERIMENT_HAS_JOBS | EXPERIMENT_HAS_RUNS |
    RUN_NOT_FINISHED).
    """
    check_may_go(id, "deleted")
    # Jobs first: a turn holds its job while it waits for the experiment.
    await connection.execute(_SQL["lock_jobs"], {"namespace": namespace, "id": id})
    row = await (await connection.execute(_SQL["lock"], {"namespace": namespace, "id": id})).fetchone()
    if row is None:
        raise not_found(namespace, id)
    uid = {"uid": row[0]}
    name = resource_name(namespace, id)
    if revision is not None and revision != row[1]:
        raise changed_meanwhile(name)
    if force:
        await connection.execute(_SQL["delete_jobs"], uid)
        if await _true(connection, "has_open_runs", uid):
            message = f"{name} has runs that have not ended; cancel them and wait"
            raise FailedPrecondition("RUN_NOT_FINISHED", message, metadata={"name": name})
        await connection.execute(_SQL["delete_runs"], uid)
    elif await _true(connection, "has_jobs", uid):
        message = f"{name} has jobs; move or delete them first, or delete it with force"
        raise FailedPrecondition("EXPERIMENT_HAS_JOBS", message, metadata={"name": name})
    elif await _true(connection, "has_runs", uid):
        message = f"{name} has runs; delete them first, or delete it with force"
        raise FailedPrecondition("EXPERIMENT_HAS_RUNS", message, metadata={"name": name})
    await connection.execute(_SQL["delete"], uid)


async def archive_runs(connection: Connection, uid: uuid.UUID) -> None:
    """Put all its runs into the archive."""
    await connection.execute(_SQL["archive_runs"], {"uid": uid})


def check_may_go(id: str, done: str) -> None:
    """Raise FailedPrecondition(DEFAULT_EXPERIMENT) for the one that must not be archived or deleted."""
    if id == DEFAULT:
        raise FailedPrecondition("DEFAULT_EXPERIMENT", f"the default experiment cannot be {done}")


async def archive_some_runs(connection: Connection, namespace: str, id: str, most: int) -> int:
    """Put at most so many of its runs into the archive; how many were."""
    values = {"namespace": namespace, "id": id, "limit": most}
    return (await connection.execute(_SQL["archive_some_runs"], values)).rowcount


async def move_some_runs(connection: Connection, namespace: str, id: str, most: int) -> int:
    """Move at most so many of its runs into the default experiment; how many were."""
    values = {"namespace": namespace, "id": id, "limit": most}
    return (await connection.execute(_SQL["move_some_runs"], values)).rowcount


async def dissolve(connection: Connection, namespace: str, id: str) -> None:
    """Delete it, in a transaction; its runs and its jobs stay, in the default experiment.

    Raises NotFound, FailedPrecondition(DEFAULT_EXPERIMENT).
    """
    check_may_go(id, "deleted")
    # Jobs first, as in `delete`.
    await connection.execute(_SQL["lock_jobs"], {"namespace": namespace, "id": id})
    row = await (await connection.execute(_SQL["lock"], {"namespace": namespace, "id": id})).fetchone()
    if row is None:
        raise not_found(namespace, id)
    for statement in ("move_jobs", "move_runs"):
        await connection.execute(_SQL[statement], {"uid": row[0], "namespace": namespace})
    await connection.execute(_SQL["delete"], {"uid": row[0]})


async def _true(connection: Connection, statement: str, parameters: Mapping[str, object]) -> bool:
    row = await (await connection.execute(_SQL[statement], parameters)).fetchone()
    return row is not None and bool(row[0])


def not_found(namespace: str, id: str) -> NotFound:
    """No such experiment."""
    name = resource_name(namespace, id)
    return NotFound("EXPERIMENT_NOT_FOUND", f"there is no {name}", metadata={"name": name})
