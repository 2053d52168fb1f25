"""What comes from another installation: made as always, with the uid and the times that it had there.

A repeat finds it by that uid, so that each is taken over once.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg.errors import UniqueViolation
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from penstock_server.model.errors import AlreadyExists
from penstock_server.model.ids import TaskId
from penstock_server.model.imports import Kept, PastEvent, PastRun, PastTask
from penstock_server.store import experiments, jobs, pipelines, runs
from penstock_server.store.database import Connection
from penstock_server.store.statements import statements
from penstock_server.store.values import dumps

_SQL = statements("imports")


@dataclass(frozen=True, slots=True)
class Imported:
    """Something that has one of the ids that were asked for."""

    uid: uuid.UUID
    kind: str
    namespace: str
    id: str
    """Of a version: that of its pipeline."""
    number: int
    """Of a version."""

    @property
    def name(self) -> str:
        """Its whole name."""
        match self.kind:
            case "experiment":
                return experiments.resource_name(self.namespace, self.id)
            case "pipeline":
                return pipelines.resource_name(self.namespace, self.id)
            case "version":
                return f"{pipelines.resource_name(self.namespace, self.id)}/versions/{self.number}"
            case "job":
                return jobs.resource_name(self.namespace, self.id)
            case _:
                return runs.resource_name(self.namespace, self.id)


@dataclass(frozen=True, slots=True)
class RunPlace:
    """Where a run that ended elsewhere belongs here, and what it executed."""

    namespace: str
    id: str
    experiment_id: str
    spec_digest: str
    document: bytes | None
    """The canonical spec; None when it is known to be stored."""
    pipeline_id: str | None = None
    pipeline_version: int | None = None
    job_uid: uuid.UUID | None = None
    """Of the job that made it, if that is here."""


async def keep_experiment(connection: Connection, made: uuid.UUID, kept: Kept, *, archived: bool) -> bool:
    """Give an experiment that this transaction has made what it keeps of its own; False where its uid is taken."""
    return await _keep(connection, "keep_experiment", made, kept, archived=archived)


async def keep_pipeline(connection: Connection, made: uuid.UUID, kept: Kept) -> bool:
    """Give a pipeline that this transaction has made what it keeps of its own; False where its uid is taken."""
    return await _keep(connection, "keep_pipeline", made, kept)


async def keep_version(connection: Connection, made: uuid.UUID, kept: Kept) -> bool:
    """Give a version that this transaction has made what it keeps of its own; False where its uid is taken."""
    return await _keep(connection, "keep_version", made, kept)


async def find_all(connection: Connection, uids: Sequence[uuid.UUID]) -> list[Imported]:
    """What has one of these uids, in all namespaces."""
    async with connection.cursor(row_factory=class_row(Imported)) as cursor:
        await cursor.execute(_SQL["imported"], {"uids": list(uids)})
        return await cursor.fetchall()


async def find_experiment_named(connection: Connection, namespace: str, display_name: str) -> str | None:
    """The id of the experiment of a display name."""
    values = {"namespace": namespace, "display_name": display_name}
    row = await (await connection.execute(_SQL["experiment_named"], values)).fetchone()
    return None if row is None else str(row[0])


async def find_run(connection: Connection, namespace: str, uid: uuid.UUID) -> str | None:
    """The id of the run of that uid. Raises AlreadyExists(IMPORT_ID_TAKEN) where it is in another namespace."""
    return await _place(connection, "place_of_run", namespace, uid, "run")


async def find_job(connection: Connection, namespace: str, uid: uuid.UUID) -> str | None:
    """The id of the job of that uid. Raises AlreadyExists(IMPORT_ID_TAKEN) where it is in another namespace."""
    return await _place(connection, "place_of_job", namespace, uid, "job")


async def insert_run(
    connection: Connection, place: RunPlace, run: PastRun, events: Sequence[PastEvent], reason: str
) -> bool:
    """Record a run that has ended; False when its uid is taken.

    Raises AlreadyExists(RUN_EXISTS), NotFound(NAMESPACE_NOT_FOUND | EXPERIMENT_NOT_FOUND).
    """
    values = asdict(place) | {name: getattr(run, name) for name in PastRun.__dataclass_fields__}
    values |= {"labels": Jsonb(dict(run.labels)), "parameters": Jsonb(dict(run.parameters), dumps=dumps)}
    values |= {"reason": reason, "event_count": len(events)}
    values |= {"tasks": dumps(_task_rows(run.tasks, events)), "events": dumps(_event_rows(events))}
    if await (await connection.execute(_SQL["insert_run"], values)).fetchone() is not None:
        return True
    if await find_run(connection, place.namespace, run.uid) is not None:
        return False
    await experiments.get(connection, place.namespace, place.experiment_id)
    name = runs.resource_name(place.namespace, place.id)
    raise AlreadyExists("RUN_EXISTS", f"there is {name}; use it or choose another id", metadata={"name": name})


async def _keep(connection: Connection, statement: str, made: uuid.UUID, kept: Kept, **more: object) -> bool:
    values = {"made": made, "uid": kept.uid, "create_time": kept.create_time, **more}
    try:
        async with connection.transaction():
            row = await (await connection.execute(_SQL[statement], values)).fetchone()
    except UniqueViolation:
        # An import into another namespace has just taken the uid; by now that is committed, and seen.
        row = await (await connection.execute(_SQL[statement], values)).fetchone()
    return row is not None and bool(row[0] == kept.uid)


async def _place(connection: Connection, statement: str, namespace: str, uid: uuid.UUID, kind: str) -> str | None:
    row = await (await connection.execute(_SQL[statement], {"uid": uid})).fetchone()
    if row is None:
        return None
    if row[0] != namespace:
        name = f"namespaces/{row[0]}/{kind}s/{row[1]}"
        message = f"{kind} {uid} is {name} already; it can be in one namespace only"
        raise AlreadyExists("IMPORT_ID_TAKEN", message, metadata={"name": name})
    return str(row[1])


def _task_rows(tasks: Sequence[PastTask], events: Sequence[PastEvent]) -> list[dict[str, Any]]:
    """The tasks; the position of each is the number of the event that made it."""
    positions: dict[TaskId, int] = {}
    for sequence, event in enumerate(events, 1):
        if event.task_id is not None:
            positions.setdefault(event.task_id, sequence)
    return [_row(asdict(task)) | {"position": positions[task.id]} for task in tasks]


def _event_rows(events: Sequence[PastEvent]) -> list[dict[str, Any]]:
    return [_row(asdict(event)) | {"sequence": sequence} for sequence, event in enumerate(events, 1)]


def _row(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}
