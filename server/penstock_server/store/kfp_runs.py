"""Runs as KFP's clients see them: found by uid, listed under KFP's names. What they have been through is in
`kfp_histories`.

A run that is to be deleted as soon as it has ended is gone already for them.
"""

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, LiteralString, cast

from penstock_server.model.errors import NotFound
from penstock_server.model.query import FieldType
from penstock_server.model.resources import Run
from penstock_server.store import runs
from penstock_server.store.database import Connection
from penstock_server.store.kfp_views import OLDEST_FIRST, find, uid_column
from penstock_server.store.query import NEVER, Column, Listing, Row, Tally, unfiltered
from penstock_server.store.statements import statements

_SQL = statements("kfp_runs")
_ABSENT: LiteralString = "'9999-12-31 00:00:00+00'::timestamptz"
_DESCRIPTION_CHARS = 200
"""So much of a description counts in an order."""
_STATE_HISTORY: LiteralString = """(
    SELECT '[' || string_agg('{"UpdateTimeInSec":' || extract(epoch FROM event.time)::bigint
        || ',"State":"' || replace(event.to_state, 'CANCELL', 'CANCEL') || '"}', ',' ORDER BY event.sequence) || ']'
    FROM event
    WHERE event.run_uid = run.uid AND event.subject = 'RUN' AND event.to_state IS NOT NULL
)"""
"""As the column of that name in KFP's own database has it, which begins with when the run was made."""
_RUNTIME_DETAILS: LiteralString = """(
    SELECT string_agg(concat_ws(' ', task.id, task.display_name, task.state, task.reason, task.message), chr(10))
    FROM task
    WHERE task.run_uid = run.uid AND task.position > 0
)"""
"""What a text is looked for in; KFP's begin with the name of the workflow."""
NOBODY = uuid.UUID(int=0)
"""Stands for a uid that there is not, in an order."""


@dataclass(frozen=True, slots=True)
class KfpRun:
    """A run, and the uids of what it names."""

    record: Run
    job_uid: uuid.UUID | None = None
    """Of the job that made it, which may be gone."""
    pipeline_uid: uuid.UUID | None = None
    """With `version_uid` what it executes; both None for a spec of its own, and where the version is gone."""
    version_uid: uuid.UUID | None = None
    metric: float | None = None
    """The one that the list is ordered by."""


def _read(row: Row) -> KfpRun:
    values = dict(cast(Mapping[str, Any], row))
    pipeline_uid, version_uid = values.pop("version") or (None, None)
    job_uid, metric = values.pop("job_uid"), values.pop("metric")
    return KfpRun(runs.LISTING.read(values), job_uid, pipeline_uid, version_uid, metric)


def _position(run: KfpRun, field: str) -> object:
    record = run.record
    match field:
        case "run_id" | "uid":
            return record.uid
        case "created_at" | "state_history":
            return record.create_time
        case "scheduled_at":
            return record.slot_time or record.create_time
        case "finished_at":
            return record.end_time or NEVER
        case "storage_state":
            return "AVAILABLE" if record.archive_time is None else "ARCHIVED"
        case "experiment_id":
            return record.experiment_uid
        case "recurring_run_id":
            return run.job_uid or NOBODY
        case "description":
            return record.description[:_DESCRIPTION_CHARS]
        case "runtime_details":
            return record.id
        case metric if metric.startswith("metric."):
            return -math.inf if run.metric is None else run.metric
        case _:
            return getattr(record, field)


def _text(expression: LiteralString) -> Column:
    return Column(FieldType.TEXT, expression, orderable=True)


LISTING = Listing(
    select=_SQL["runs"],
    columns={
        "run_id": uid_column("run.uid"),
        "display_name": _text("run.display_name"),
        "description": Column(FieldType.TEXT, "run.description", orderable=True, order_by="left(run.description, 200)"),
        "namespace": _text("run.namespace"),
        "created_at": Column(FieldType.TIME, "run.create_time", orderable=True),
        "scheduled_at": Column(FieldType.TIME, "coalesce(run.slot_time, run.create_time)", orderable=True),
        "finished_at": Column(
            FieldType.TIME, "run.end_time", orderable=True, order_by=f"coalesce(run.end_time, {_ABSENT})"
        ),
        "storage_state": _text("CASE WHEN run.archive_time IS NULL THEN 'AVAILABLE' ELSE 'ARCHIVED' END"),
        "archive_time": Column(FieldType.TIME, "run.archive_time"),
        "state": _text("run.state"),
        "experiment_id": uid_column("run.experiment_uid"),
        "state_history": Column(FieldType.TEXT, _STATE_HISTORY, orderable=True, order_by="run.create_time"),
        "runtime_details": Column(FieldType.TEXT, _RUNTIME_DETAILS, orderable=True, order_by="run.id"),
        # Runs without it come as where they are null: first, or descending last.
        "metric": Column(FieldType.NUMBER, "metric.value", order_by="coalesce(metric.value, '-Infinity'::float8)"),
        "recurring_run_id": uid_column("run.job_uid", absent="'00000000-0000-0000-0000-000000000000'::uuid"),
    },
    key="run.uid",
    default_order=OLDEST_FIRST,
    read=_read,
    position=_position,
    prepared=unfiltered,
    tally=Tally(
        _SQL["tallied"],
        {
            "namespace": _text("run_tally.namespace"),
            "experiment_id": uid_column("run_tally.experiment_uid"),
            "archive_time": Column(FieldType.TIME, "nullif(run_tally.archived, false)"),
        },
    ),
)


async def get(connection: Connection, namespace: str | None, uid: str) -> KfpRun:
    """Raises NotFound(RUN_NOT_FOUND), also for a text that is no uid."""
    found = await find(connection, LISTING, "run_id", uid, {"namespace": namespace, "experiment_uid": None})
    if found is None:
        raise NotFound("RUN_NOT_FOUND", f"run {uid[:200]} not found", metadata={"id": uid[:200]})
    return found


async def with_version(connection: Connection, run: Run) -> KfpRun:
    """A run that no job made, with the version that it names, where that is still there."""
    values = {
        "namespace": run.pipeline_namespace or run.namespace,
        "pipeline_id": run.pipeline_id,
        "number": run.pipeline_version,
        "spec_digest": run.spec_digest,
    }
    row = await (await connection.execute(_SQL["version"], values)).fetchone()
    return KfpRun(run, None, *(row or (None, None)))
