"""Versions of pipelines: numbered, immutable but for names and labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from penstock_server.model.errors import AlreadyExists, FailedPrecondition, NotFound
from penstock_server.model.jobs import PIPELINE_VERSION_DELETED
from penstock_server.model.query import FieldType, Order, Page, Rows
from penstock_server.model.resources import CachePolicy, PipelineVersion
from penstock_server.store import jobs, pipelines, specs
from penstock_server.store.database import Connection
from penstock_server.store.query import Column, Listing, Row
from penstock_server.store.requested import RequestKey, check_repeat, columns
from penstock_server.store.revisions import changed_meanwhile
from penstock_server.store.statements import statements
from penstock_server.store.values import dumps

_SQL = statements("pipeline_versions")


@dataclass(frozen=True, slots=True)
class NewPipelineVersion:
    """A version to be stored."""

    alias: str | None
    display_name: str
    description: str
    labels: Mapping[str, str]
    spec_digest: str
    document: bytes
    """The canonical spec."""
    sdk_version: str
    interface: Sequence[Mapping[str, Any]]
    cache_policy: CachePolicy = CachePolicy.DEFAULT
    cache_max_age_s: float | None = None
    kfp_name: str | None = None
    """What clients of KFP call it where that cannot be its alias."""
    code_source_url: str = ""


def _read(row: Row) -> PipelineVersion:
    values = cast(dict[str, Any], row)
    policy = CachePolicy(values["cache_policy"])
    return PipelineVersion(**{**values, "interface": tuple(values["interface"]), "cache_policy": policy})


def resource_name(version: PipelineVersion) -> str:
    """`namespaces/{namespace}/pipelines/{pipeline}/versions/{number}`."""
    return f"{pipelines.resource_name(version.namespace, version.pipeline_id)}/versions/{version.number}"


LISTING = Listing(
    select=_SQL["list"],
    columns={
        "number": Column(FieldType.NUMBER, "v.number", orderable=True),
        "alias": Column(FieldType.TEXT, "coalesce(v.alias, '')"),
        "display_name": Column(FieldType.TEXT, "v.display_name", orderable=True),
        "labels": Column(FieldType.MAP, "v.labels"),
        "spec_digest": Column(FieldType.TEXT, "v.spec_digest"),
        "create_time": Column(FieldType.TIME, "v.create_time", orderable=True),
        "update_time": Column(FieldType.TIME, "v.update_time", orderable=True),
    },
    key="v.uid",
    default_order=(Order("number", descending=True),),
    read=_read,
    position=getattr,
)


async def insert(
    connection: Connection,
    namespace: str,
    pipeline_id: str,
    new: NewPipelineVersion,
    request: RequestKey | None = None,
) -> tuple[PipelineVersion, bool]:
    """The pipeline's next version, in a transaction, or the one that the same request made before.

    Raises NotFound(PIPELINE_NOT_FOUND), AlreadyExists(ALIAS_EXISTS | REQUEST_ID_REUSED),
    FailedPrecondition(PIPELINE_ARCHIVED).
    """
    pipeline_uid, _, archived = await pipelines.lock(connection, namespace, pipeline_id)
    if request is not None:
        wanted = {"namespace": namespace, "request_id": request.id}
        row = await (await connection.execute(_SQL["by_request"], wanted)).fetchone()
        if row is not None:
            check_repeat(request, row[2])
            return await get(connection, namespace, row[1], number=row[0]), False
    if archived:
        message = f"pipeline {pipeline_id} is archived; unarchive it first"
        raise FailedPrecondition("PIPELINE_ARCHIVED", message)
    await specs.insert(connection, new.spec_digest, new.document)
    row = await (await connection.execute(_SQL["next_number"], {"pipeline_uid": pipeline_uid})).fetchone()
    assert row is not None
    values = {
        "namespace": namespace,
        "pipeline_uid": pipeline_uid,
        "number": row[0],
        "alias": new.alias,
        "display_name": new.display_name,
        "description": new.description,
        "labels": Jsonb(dict(new.labels)),
        "spec_digest": new.spec_digest,
        "sdk_version": new.sdk_version,
        "interface": Jsonb(list(new.interface), dumps=dumps),
        "cache_policy": new.cache_policy,
        "cache_max_age_s": new.cache_max_age_s,
        "kfp_name": new.kfp_name,
        "code_source_url": new.code_source_url,
    }
    if await (await connection.execute(_SQL["insert"], values | columns(request))).fetchone() is None:
        taken = new.kfp_name or new.alias
        message = f"pipeline {pipeline_id} has a version with the alias or the name {taken}; choose another one"
        raise AlreadyExists("ALIAS_EXISTS", message)
    return await get(connection, namespace, pipeline_id, number=row[0]), True


async def get(
    connection: Connection,
    namespace: str,
    pipeline_id: str,
    *,
    number: int | None = None,
    alias: str | None = None,
) -> PipelineVersion:
    """By number or alias; the newest when neither is given. Raises NotFound(PIPELINE_VERSION_NOT_FOUND)."""
    values = {"namespace": namespace, "pipeline_id": pipeline_id, "number": number, "alias": alias}
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_SQL["get"], values)
        row = await cursor.fetchone()
    if row is None:
        await pipelines.get(connection, namespace, pipeline_id)
        name = f"{pipelines.resource_name(namespace, pipeline_id)}/versions/{number or alias or 'latest'}"
        raise NotFound("PIPELINE_VERSION_NOT_FOUND", f"there is no {name}", metadata={"name": name})
    return _read(row)


async def list_page(connection: Connection, namespace: str, pipeline_id: str, page: Page) -> Rows[PipelineVersion]:
    """A page of the versions of a pipeline, without their specs."""
    return await LISTING.page(connection, page, {"namespace": namespace, "pipeline_id": pipeline_id})


async def update(
    connection: Connection,
    version: PipelineVersion,
    *,
    display_name: str,
    description: str,
    labels: Mapping[str, str],
) -> PipelineVersion:
    """Change it if it is as read. Raises Conflict(ETAG_MISMATCH) when it is not."""
    values = {"uid": version.uid, "revision": version.revision, "labels": Jsonb(dict(labels))}
    parameters = values | {"display_name": display_name, "description": description}
    if await (await connection.execute(_SQL["update"], parameters)).fetchone() is None:
        raise changed_meanwhile(resource_name(version))
    return await get(connection, version.namespace, version.pipeline_id, number=version.number)


async def delete(connection: Connection, version: PipelineVersion, *, revision: int | None = None) -> None:
    """Delete it, in a transaction. Jobs that have nothing to run without it are disabled.

    Raises Conflict(ETAG_MISMATCH) when it is not at `revision`.
    """
    name = resource_name(version)
    values = {"uid": version.uid, "revision": revision}
    if await (await connection.execute(_SQL["delete"], values)).fetchone() is None:
        raise changed_meanwhile(name)
    of = (version.namespace, version.pipeline_id)
    await jobs.disable_without_version(connection, *of, reason=PIPELINE_VERSION_DELETED, deleted=name)
