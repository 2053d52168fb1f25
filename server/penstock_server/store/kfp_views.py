"""Resources as KFP's clients see them: found by uid, listed under KFP's names for their fields, with KFP's own names.

A list is asked with the namespace to look in; None looks in all. The columns of a Listing bear KFP's names.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, TypeVar, cast

from psycopg.rows import class_row

from penstock_server.model.errors import NotFound
from penstock_server.model.query import Comparison, FieldType, Operator, Order, Page
from penstock_server.model.resources import Experiment, Pipeline, PipelineVersion
from penstock_server.store import experiments, pipeline_versions, pipelines
from penstock_server.store.database import Connection
from penstock_server.store.query import NEVER, Column, Listing, Row, always
from penstock_server.store.statements import statements

T = TypeVar("T")

_SQL = statements("kfp_views")
_UUID: LiteralString = "^[0-9a-fA-F]{{8}}-[0-9a-fA-F]{{4}}-[0-9a-fA-F]{{4}}-[0-9a-fA-F]{{4}}-[0-9a-fA-F]{{12}}$"
_LAST_RUN: LiteralString = "(SELECT max(run.create_time) FROM run WHERE run.experiment_uid = experiment.uid)"
_VERSION_NAME: LiteralString = "coalesce(v.kfp_name, v.alias, v.number::text)"
OLDEST_FIRST = (Order("created_at"),)


@dataclass(frozen=True, slots=True)
class ExperimentView:
    """An experiment."""

    record: Experiment
    last_run_time: datetime | None
    """When the newest of its runs was made."""


@dataclass(frozen=True, slots=True)
class PipelineView:
    """A pipeline."""

    record: Pipeline
    name: str
    """What KFP's clients call it: the id, unless they gave it a name that cannot be one."""


@dataclass(frozen=True, slots=True)
class VersionView:
    """A version of a pipeline."""

    record: PipelineVersion
    name: str
    """What KFP's clients call it: the name that they gave it, or the alias, or the number."""
    code_source_url: str


def uid_column(expression: LiteralString, *, absent: LiteralString = "") -> Column:
    """A column for `expression`, a uid; text that is none equals no uid. `absent`: what orders rows without one."""
    equal: LiteralString = f"{expression} = CASE WHEN {{0}} ~ '{_UUID}' THEN {{0}}::uuid END"
    shown: LiteralString = f"coalesce({expression}::text, '')" if absent else f"{expression}::text"
    order_by: LiteralString = f"coalesce({expression}, {absent})" if absent else expression
    return Column(FieldType.TEXT, shown, orderable=True, order_by=order_by, equal_to=equal)


def _text(expression: LiteralString) -> Column:
    return Column(FieldType.TEXT, expression, orderable=True)


def _read_experiment(row: Row) -> ExperimentView:
    values = dict(cast(Mapping[str, Any], row))
    last = values.pop("last_run_time")
    return ExperimentView(experiments.LISTING.read(values), last)


def _read_pipeline(row: Row) -> PipelineView:
    values = dict(cast(Mapping[str, Any], row))
    name = values.pop("kfp_name")
    return PipelineView(pipelines.LISTING.read(values), name)


def _read_version(row: Row) -> VersionView:
    values = dict(cast(Mapping[str, Any], row))
    name, url = values.pop("kfp_name"), values.pop("code_source_url")
    return VersionView(pipeline_versions.LISTING.read(values), name, url)


_FIELDS: Mapping[str, str] = {
    "experiment_id": "uid",
    "pipeline_id": "uid",
    "pipeline_version_id": "uid",
    "created_at": "create_time",
}


def _position(view: ExperimentView | PipelineView | VersionView, field: str) -> object:
    match field:
        case "name" if not isinstance(view, ExperimentView):
            return view.name
        case "storage_state" if isinstance(view, ExperimentView):
            return "AVAILABLE" if view.record.archive_time is None else "ARCHIVED"
        case "last_run_created_at" if isinstance(view, ExperimentView):
            return view.last_run_time or NEVER
        case _:
            return getattr(view.record, _FIELDS.get(field, field))


EXPERIMENTS = Listing(
    select=_SQL["experiments"],
    columns={
        "experiment_id": uid_column("experiment.uid"),
        "display_name": _text("experiment.display_name"),
        "created_at": Column(FieldType.TIME, "experiment.create_time", orderable=True),
        "last_run_created_at": Column(
            FieldType.TIME,
            _LAST_RUN,
            orderable=True,
            order_by=f"coalesce({_LAST_RUN}, '9999-12-31 00:00:00+00'::timestamptz)",
        ),
        "description": _text("experiment.description"),
        "namespace": _text("experiment.namespace"),
        "storage_state": _text("CASE WHEN experiment.archive_time IS NULL THEN 'AVAILABLE' ELSE 'ARCHIVED' END"),
        "archive_time": Column(FieldType.TIME, "experiment.archive_time"),
    },
    key="experiment.uid",
    default_order=OLDEST_FIRST,
    read=_read_experiment,
    position=_position,
    prepared=always,
)

PIPELINES = Listing(
    select=_SQL["pipelines"],
    columns={
        "pipeline_id": uid_column("pipeline.uid"),
        "name": Column(
            FieldType.TEXT,
            "coalesce(pipeline.kfp_name, pipeline.id)",
            orderable=True,
            equal_to="(pipeline.kfp_name = {0} OR pipeline.id = {0} AND pipeline.kfp_name IS NULL)",
        ),
        "display_name": _text("pipeline.display_name"),
        "created_at": Column(FieldType.TIME, "pipeline.create_time", orderable=True),
        "description": _text("pipeline.description"),
        "namespace": _text("pipeline.namespace"),
        "tags": Column(FieldType.MAP, "pipeline.labels"),
    },
    key="pipeline.uid",
    default_order=OLDEST_FIRST,
    read=_read_pipeline,
    position=_position,
)

VERSIONS = Listing(
    select=_SQL["versions"],
    columns={
        "pipeline_version_id": uid_column("v.uid"),
        "name": _text(_VERSION_NAME),
        "display_name": _text(f"CASE v.display_name WHEN '' THEN {_VERSION_NAME} ELSE v.display_name END"),
        "created_at": Column(FieldType.TIME, "v.create_time", orderable=True),
        "description": _text("v.description"),
        "pipeline_spec": Column(
            FieldType.TEXT, "(SELECT convert_from(document, 'UTF8') FROM spec WHERE digest = v.spec_digest)"
        ),
        "tags": Column(FieldType.MAP, "v.labels"),
    },
    key="v.uid",
    default_order=OLDEST_FIRST,
    read=_read_version,
    position=lambda view, field: (
        view.record.display_name or view.name if field == "display_name" else _position(view, field)
    ),
)


async def get_experiment(connection: Connection, namespace: str | None, uid: str) -> ExperimentView:
    """Raises NotFound(EXPERIMENT_NOT_FOUND), also for a text that is no uid."""
    found = await find(connection, EXPERIMENTS, "experiment_id", uid, {"namespace": namespace})
    return _present(found, "EXPERIMENT_NOT_FOUND", "experiment", uid)


async def get_experiment_record(connection: Connection, namespace: str | None, uid: str) -> Experiment:
    """The experiment without what its runs tell of it. Raises as `get_experiment` does."""
    async with connection.cursor(row_factory=class_row(Experiment)) as cursor:
        await cursor.execute(_SQL["experiment_record"], {"namespace": namespace, "uid": uid})
        return _present(await cursor.fetchone(), "EXPERIMENT_NOT_FOUND", "experiment", uid)


async def get_pipeline(connection: Connection, namespace: str | None, uid: str) -> PipelineView:
    """Raises NotFound(PIPELINE_NOT_FOUND), also for a text that is no uid."""
    found = await find(connection, PIPELINES, "pipeline_id", uid, {"namespace": namespace})
    return _present(found, "PIPELINE_NOT_FOUND", "pipeline", uid)


async def get_pipeline_by_name(connection: Connection, namespace: str, name: str) -> PipelineView:
    """Raises NotFound(PIPELINE_NOT_FOUND)."""
    found = await find(connection, PIPELINES, "name", name, {"namespace": namespace})
    return _present(found, "PIPELINE_NOT_FOUND", "pipeline", name)


async def get_version(connection: Connection, namespace: str | None, uid: str) -> VersionView:
    """Raises NotFound(PIPELINE_VERSION_NOT_FOUND), also for a text that is no uid."""
    scope = {"namespace": namespace, "pipeline_uid": None}
    found = await find(connection, VERSIONS, "pipeline_version_id", uid, scope)
    return _present(found, "PIPELINE_VERSION_NOT_FOUND", "pipeline version", uid)


async def find_latest_version(connection: Connection, pipeline_uid: uuid.UUID) -> VersionView | None:
    """The newest version of a pipeline, if it has any."""
    scope = {"namespace": None, "pipeline_uid": pipeline_uid}
    newest = Page(1, order=(Order("created_at", descending=True),))
    return next(iter((await VERSIONS.page(connection, newest, scope)).items), None)


async def find(
    connection: Connection, listing: Listing[T], field: str, value: str, scope: Mapping[str, object]
) -> T | None:
    """The one item of a list whose field has that value; None when there is none."""
    wanted = Comparison(field, Operator.EQUAL, value, literal=True)
    return next(iter((await listing.page(connection, Page(1, wanted), scope)).items), None)


def _present(found: T | None, reason: str, kind: str, id: str) -> T:
    if found is None:
        raise NotFound(reason, f"{kind} {id[:200]} not found", metadata={"id": id[:200]})
    return found
