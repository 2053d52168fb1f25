"""Namespaces."""

from collections.abc import Mapping
from typing import Any, cast

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from penstock_server.model.errors import AlreadyExists, FailedPrecondition, NotFound
from penstock_server.model.query import FieldType, Order, Page, Rows
from penstock_server.model.resources import Namespace
from penstock_server.store.database import Connection
from penstock_server.store.query import Column, Listing, Row
from penstock_server.store.revisions import changed_meanwhile
from penstock_server.store.statements import statements

_SQL = statements("namespaces")
DEFAULT = "default"


def _read(row: Row) -> Namespace:
    return Namespace(**cast(dict[str, Any], row))


LISTING = Listing(
    select=_SQL["list"],
    columns={
        "name": Column(FieldType.TEXT, "'namespaces/' || name", orderable=True),
        "display_name": Column(FieldType.TEXT, "display_name", orderable=True),
        "labels": Column(FieldType.MAP, "labels"),
        "create_time": Column(FieldType.TIME, "create_time", orderable=True),
        "update_time": Column(FieldType.TIME, "update_time", orderable=True),
    },
    key="uid",
    default_order=(Order("create_time", descending=True),),
    read=_read,
    position=lambda item, field: f"namespaces/{item.name}" if field == "name" else getattr(item, field),
)


async def insert(
    connection: Connection, name: str, *, display_name: str, description: str, labels: Mapping[str, str]
) -> Namespace:
    """A new namespace with its default experiment. Raises AlreadyExists(NAMESPACE_EXISTS)."""
    values = {"name": name, "display_name": display_name, "description": description}
    async with connection.cursor(row_factory=class_row(Namespace)) as cursor:
        await cursor.execute(_SQL["insert"], values | {"labels": Jsonb(dict(labels))})
        made = await cursor.fetchone()
    if made is None:
        raise AlreadyExists("NAMESPACE_EXISTS", f"there is a namespace {name}; use it or choose another name")
    await connection.execute(_SQL["insert_default_experiment"], {"name": name})
    return made


async def get(connection: Connection, name: str) -> Namespace:
    """Raises NotFound(NAMESPACE_NOT_FOUND)."""
    async with connection.cursor(row_factory=class_row(Namespace)) as cursor:
        await cursor.execute(_SQL["get"], {"name": name})
        found = await cursor.fetchone()
    if found is None:
        raise not_found(name)
    return found


async def list_page(connection: Connection, page: Page) -> Rows[Namespace]:
    """A page of all namespaces."""
    return await LISTING.page(connection, page, {})


async def update(
    connection: Connection,
    name: str,
    revision: int,
    *,
    display_name: str,
    description: str,
    labels: Mapping[str, str],
) -> Namespace:
    """Change it if it is at `revision`. Raises Conflict(ETAG_MISMATCH) when it is not."""
    values = {"name": name, "revision": revision, "display_name": display_name, "description": description}
    async with connection.cursor(row_factory=class_row(Namespace)) as cursor:
        await cursor.execute(_SQL["update"], values | {"labels": Jsonb(dict(labels))})
        updated = await cursor.fetchone()
    if updated is None:
        raise changed_meanwhile(f"namespaces/{name}")
    return updated


async def delete(connection: Connection, name: str) -> None:
    """Delete it; in a transaction. Raises FailedPrecondition(NAMESPACE_NOT_EMPTY | DEFAULT_NAMESPACE), NotFound."""
    if name == DEFAULT:
        raise FailedPrecondition("DEFAULT_NAMESPACE", "the default namespace cannot be deleted")
    parameters = {"name": name}
    if await (await connection.execute(_SQL["lock"], parameters)).fetchone() is None:
        raise not_found(name)
    row = await (await connection.execute(_SQL["holds_resources"], parameters)).fetchone()
    if row is not None and row[0]:
        message = f"namespace {name} still holds runs, jobs, pipelines or experiments; delete them first"
        raise FailedPrecondition("NAMESPACE_NOT_EMPTY", message)
    await connection.execute(_SQL["delete_experiments"], parameters)
    await connection.execute(_SQL["delete"], parameters)


def not_found(name: str) -> NotFound:
    """No such namespace."""
    message = f"there is no namespace {name}; make it with `penstock namespaces create {name}`, or name another one"
    return NotFound("NAMESPACE_NOT_FOUND", message, metadata={"name": f"namespaces/{name}"})
