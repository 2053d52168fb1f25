"""Jobs as KFP's clients see them: found by uid, listed under KFP's names, with the uids of what they name."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, LiteralString, cast

from penstock_server.model.errors import NotFound
from penstock_server.model.jobs import Job
from penstock_server.model.query import FieldType
from penstock_server.store import jobs
from penstock_server.store.database import Connection
from penstock_server.store.kfp_views import OLDEST_FIRST, find, uid_column
from penstock_server.store.query import Column, Listing, Row
from penstock_server.store.statements import statements

_SQL = statements("kfp_jobs")


@dataclass(frozen=True, slots=True)
class KfpJob:
    """A job, and the uids of what it names."""

    record: Job
    experiment_uid: uuid.UUID
    pipeline_uid: uuid.UUID | None
    """None for a spec of its own, and where the pipeline is gone."""
    version_uid: uuid.UUID | None
    """None as well where it takes the newest version each time."""


def _read(row: Row) -> KfpJob:
    values = dict(cast(Mapping[str, Any], row))
    pipeline_uid, version_uid = values.pop("version") or (None, None)
    experiment_uid = values.pop("experiment_uid")
    return KfpJob(jobs.LISTING.read(values), experiment_uid, pipeline_uid, version_uid)


def _position(job: KfpJob, field: str) -> object:
    names = {"recurring_run_id": "uid", "created_at": "create_time", "updated_at": "update_time"}
    return getattr(job.record, names.get(field, field))


def _text(expression: LiteralString) -> Column:
    return Column(FieldType.TEXT, expression, orderable=True)


LISTING = Listing(
    select=_SQL["jobs"],
    columns={
        "recurring_run_id": uid_column("job.uid"),
        "display_name": _text("job.display_name"),
        "description": _text("job.description"),
        "created_at": Column(FieldType.TIME, "job.create_time", orderable=True),
        "updated_at": Column(FieldType.TIME, "job.update_time", orderable=True),
    },
    key="job.uid",
    default_order=OLDEST_FIRST,
    read=_read,
    position=_position,
)


async def get(connection: Connection, namespace: str | None, uid: str) -> KfpJob:
    """Raises NotFound(JOB_NOT_FOUND), also for a text that is no uid."""
    found = await find(connection, LISTING, "recurring_run_id", uid, {"namespace": namespace, "experiment_uid": None})
    if found is None:
        raise NotFound("JOB_NOT_FOUND", f"recurring run {uid[:200]} not found", metadata={"id": uid[:200]})
    return found
