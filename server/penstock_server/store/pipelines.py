"""Pipelines. Their versions are in `pipeline_versions`."""

import uuid
from collections.abc import Mapping
from typing import Any, cast

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from penstock_server.model.errors import AlreadyExists, FailedPrecondition, NotFound
from penstock_server.model.jobs import PIPELINE_DELETED
from penstock_server.model.query import FieldType, Order, Page, Rows
from penstock_server.model.resources import Pipeline
from penstock_server.store import jobs
from penstock_server.store.database import Connection
from penstock_server.store.query import Column, Listing, Row
from penstock_server.store.requested import RequestKey, check_repeat, columns
from penstock_server.store.revisions import changed_meanwhile
from penstock_server.store.statements import statements

_SQL = statements("pipelines")


def _read(row: Row) -> Pipeline:
    return Pipeline(**cast(dict[str, Any], row))


def resource_name(namespace: str, id: str) -> str:
    """`namespaces/{namespace}/pipelines/{id}`."""
    return f"namespaces/{namespace}/pipelines/{id}"


LISTING = Listing(
    select=_SQL["list"],
    columns={
        "name": Column(
            FieldType.TEXT,
            "'namespaces/' || namespace || '/pipelines/' || id",
            orderable=True,
            order_by="id",
            equal_to="id = split_part({0}, '/', 4) AND 'namespaces/' || namespace || '/pipelines/' || id = {0}",
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
    kfp_name: str | None = None,
    request: RequestKey | None = None,
) -> tuple[Pipeline, bool]:
    """A new pipeline, or the one that the same request made before; whether it is new.

    `kfp_name` is what clients of KFP call it where that cannot be its id. Raises AlreadyExists(PIPELINE_EXISTS |
    REQUEST_ID_REUSED). The namespace must exist.
    """
    values = {"namespace": namespace, "id": id, "display_name": display_name, "description": description}
    parameters = values | {"labels": Jsonb(dict(labels)), "kfp_name": kfp_name} | columns(request)
    if await (await connection.execute(_SQL["insert"], parameters)).fetchone() is not None:
        return await get(connection, namespace, id), True
    if request is not None:
        wanted = {"namespace": namespace, "request_id": request.id}
        row = await (await connection.execute(_SQL["by_request"], wanted)).fetchone()
        if row is not None:
            check_repeat(request, row[1])
            return await get(connection, namespace, row[0]), False
    name = resource_name(namespace, id)
    taken = f"{name}; use it or choose another id" if kfp_name is None else f"a pipeline named {kfp_name}"
    raise AlreadyExists("PIPELINE_EXISTS", f"there is {taken}", metadata={"name": name})


async def get(connection: Connection, namespace: str, id: str) -> Pipeline:
    """Raises NotFound(PIPELINE_NOT_FOUND)."""
    async with connection.cursor(row_factory=class_row(Pipeline)) as cursor:
        await cursor.execute(_SQL["get"], {"namespace": namespace, "id": id})
        found = await cursor.fetchone()
    if found is None:
        raise not_found(namespace, id)
    return found


async def list_page(connection: Connection, namespace: str, page: Page) -> Rows[Pipeline]:
    """A page of the pipelines of a namespace."""
    return await LISTING.page(connection, page, {"namespace": namespace})


async def update(
    connection: Connection,
    pipeline: Pipeline,
    *,
    display_name: str,
    description: str,
    labels: Mapping[str, str],
) -> Pipeline:
    """Change it if it is as read. Raises Conflict(ETAG_MISMATCH) when it is not."""
    values = {"uid": pipeline.uid, "revision": pipeline.revision, "labels": Jsonb(dict(labels))}
    parameters = values | {"display_name": display_name, "description": description}
    if await (await connection.execute(_SQL["update"], parameters)).fetchone() is None:
        raise changed_meanwhile(resource_name(pipeline.namespace, pipeline.id))
    return await get(connection, pipeline.namespace, pipeline.id)


async def set_archived(
    connection: Connection, namespace: str, id: str, *, archived: bool, revision: int | None = None
) -> Pipeline:
    """Put it into the archive or take it out. Raises NotFound, Conflict."""
    values = {"namespace": namespace, "id": id, "archived": archived, "revision": revision}
    changed = await (await connection.execute(_SQL["archive"], values)).fetchone()
    pipeline = await get(connection, namespace, id)
    if changed is None:
        raise changed_meanwhile(resource_name(namespace, id))
    return pipeline


async def lock(connection: Connection, namespace: str, id: str) -> tuple[uuid.UUID, int, bool]:
    """Uid, revision and whether it is archived, kept as they are until the transaction ends. Raises NotFound."""
    row = await (await connection.execute(_SQL["lock"], {"namespace": namespace, "id": id})).fetchone()
    if row is None:
        raise not_found(namespace, id)
    return row[0], row[1], row[2] is not None


async def delete(
    connection: Connection, namespace: str, id: str, *, force: bool = False, revision: int | None = None
) -> None:
    """Delete it, in a transaction; with `force` together with its versions. Runs keep their specs; jobs that run it
    are disabled.

    Raises NotFound, Conflict, FailedPrecondition(PIPELINE_HAS_VERSIONS).
    """
    found, at, _ = await lock(connection, namespace, id)
    name, uid = resource_name(namespace, id), {"uid": found}
    if revision is not None and revision != at:
        raise changed_meanwhile(name)
    if not force:
        row = await (await connection.execute(_SQL["has_versions"], uid)).fetchone()
        if row is not None and row[0]:
            message = f"{name} has versions; delete them first, or delete it with force"
            raise FailedPrecondition("PIPELINE_HAS_VERSIONS", message, metadata={"name": name})
    await connection.execute(_SQL["delete_versions"], uid)
    await connection.execute(_SQL["delete"], uid)
    await jobs.disable_without_version(connection, namespace, id, reason=PIPELINE_DELETED, deleted=name)


def not_found(namespace: str, id: str) -> NotFound:
    """No such pipeline."""
    name = resource_name(namespace, id)
    return NotFound("PIPELINE_NOT_FOUND", f"there is no {name}", metadata={"name": name})
