"""Jobs on a real Postgres whose clock a test holds.

Statements read the time as `now()`. The connections of this world look for functions in a schema of their own before
all others, and there `now()` is what the test says it is; everything else is Postgres as ever.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from penstock_server.engine.backfills import Backfills
from penstock_server.engine.graphs import Graphs
from penstock_server.engine.job_turns import JobTurns, TurnSettings
from penstock_server.engine.jobs import Jobs, NewJob
from penstock_server.engine.new_runs import NewRuns
from penstock_server.engine.run_requests import InlineSpec
from penstock_server.engine.schedules import Schedules
from penstock_server.model.jobs import Backfill, Job, JobRun, JobSchedule, JobSlot
from penstock_server.model.query import Page
from penstock_server.model.resources import Run
from penstock_server.spec import document as documents
from penstock_server.spec.compile import compile_pipeline
from penstock_server.store import backfills, job_slots, jobs, runs
from penstock_server.store.database import Database
from penstock_server.store.notifications import Notifications
from tests import pipelines

START = datetime(2026, 1, 5, 12, tzinfo=UTC)
"""When each world begins: noon on a Monday."""
_CLOCK = """
CREATE SCHEMA simulated;
CREATE TABLE simulated.clock (time timestamptz NOT NULL);
INSERT INTO simulated.clock VALUES (%s);
CREATE FUNCTION simulated.now() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT time FROM simulated.clock';
"""
_END_RUN = """
UPDATE run
SET state = %(state)s, message = %(message)s, start_time = now(), end_time = now(), job_unseen = true, owner = NULL
WHERE id = %(id)s AND end_time IS NULL
"""


def simulated(dsn: str, start: datetime = START) -> str:
    """A DSN of the same database on which the time is what `simulated.clock` says, beginning at `start`."""
    with psycopg.connect(dsn) as connection:
        for statement in _CLOCK.strip().split(";\n"):
            connection.execute(statement.encode(), [start] if "%s" in statement else None)
    return make_conninfo(dsn, options="-c search_path=simulated,pg_catalog,public")


def inline(document: dict[str, Any] | None = None) -> InlineSpec:
    """A spec as the API has checked it, by default of one step that takes nothing."""
    read = documents.from_struct(document or pipelines.chain(1, "true"))
    canonical = documents.canonical(read)
    return InlineSpec(documents.digest(canonical), canonical, compile_pipeline(read))


@dataclass
class JobWorld:
    """A database, and what one server has for jobs."""

    database: Database
    """On the simulated clock."""
    settings: TurnSettings = field(default_factory=TurnSettings)
    ids: Any = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.new_runs = NewRuns(self.database, Graphs())
        self.turns = JobTurns(self.database, self.new_runs, self.settings)
        self.jobs = Jobs(self.database, self.new_runs, self.turns)
        self.backfills = Backfills(self.database, self.turns)
        self.schedules = Schedules(self.database, Notifications(self.database.dsn), self.turns)

    async def create(
        self, *, document: dict[str, Any] | None = None, run: JobRun | None = None, **schedule: Any
    ) -> Job:
        """A job, by default one that fires each minute."""
        return await self.jobs.create(
            NewJob(
                "default",
                f"job-{next(self.ids)}",
                inline(document),
                run or JobRun("default"),
                JobSchedule(**({"interval_s": 60.0, "cron": None} | schedule)),
            )
        )

    async def set_clock(self, time: datetime) -> None:
        """It is so late."""
        async with self.database.connection() as connection:
            await connection.execute("UPDATE simulated.clock SET time = %s", [time])

    async def at(self, seconds: float) -> None:
        """So many seconds after the start servers look, until there is nothing left to do."""
        await self.set_clock(START + timedelta(seconds=seconds))
        await self.settle()

    async def settle(self) -> None:
        """Take all turns that are due."""
        while await self.due():
            await self.schedules.look()

    async def due(self) -> Sequence[uuid.UUID]:
        """The jobs that need a turn."""
        async with self.database.connection() as connection:
            rows = await connection.execute(
                "SELECT uid FROM job WHERE attention_time <= now() UNION SELECT job_uid FROM run WHERE job_unseen"
            )
            return [row[0] for row in await rows.fetchall()]

    async def end_run(self, id: str, state: str = "SUCCEEDED", message: str = "") -> None:
        """A run ends, as the commit of an engine ends it."""
        async with self.database.connection() as connection:
            cursor = await connection.execute(_END_RUN, {"id": id, "state": state, "message": message})
            assert cursor.rowcount == 1, f"no run {id} is open"

    async def end_runs(self, job: Job, state: str = "SUCCEEDED") -> None:
        """All runs of the job that are open end."""
        for run in await self.open_runs(job):
            await self.end_run(run.id, state)

    async def job(self, job: Job) -> Job:
        """The job as it is."""
        async with self.database.connection() as connection:
            return await jobs.get(connection, job.namespace, job.id)

    async def slots(self, job: Job) -> list[JobSlot]:
        """All slots of the job, oldest first."""
        async with self.database.connection() as connection:
            found = await job_slots.changed_after(connection, job.uid, 0, 100_000)
        return sorted(found, key=lambda slot: (slot.slot_time, slot.last_slot_time is not None))

    async def told(self, job: Job) -> list[str]:
        """The slots in short: seconds after the start, and the state, or the reason of one that has not fired."""
        return [_short(slot) for slot in await self.slots(job)]

    async def runs(self, job: Job) -> list[Run]:
        """All runs of the job, in the order of their slots."""
        async with self.database.connection() as connection:
            rows = await runs.list_page(connection, job.namespace, Page(1_000))
        found = [run for run in rows.items if run.job_id == job.id]
        return sorted(found, key=lambda run: run.slot_time or run.create_time)

    async def open_runs(self, job: Job) -> list[Run]:
        """Those that have not ended."""
        return [run for run in await self.runs(job) if run.end_time is None]

    async def cancelling(self, job: Job) -> list[str]:
        """Ids of the runs that are asked to be cancelled."""
        async with self.database.connection() as connection:
            rows = await connection.execute(
                "SELECT id FROM run WHERE job_uid = %s AND cancel_request_time IS NOT NULL AND end_time IS NULL",
                [job.uid],
            )
            return [row[0] for row in await rows.fetchall()]

    async def backfill(self, job: Job, id: str) -> Backfill:
        """A backfill as it is."""
        async with self.database.connection() as connection:
            return await backfills.get(connection, job, id)


def _short(slot: JobSlot) -> str:
    seconds = f"{(slot.slot_time - START).total_seconds():g}"
    if slot.last_slot_time is not None:
        seconds += f"..{(slot.last_slot_time - START).total_seconds():g}"
    return f"{seconds} {slot.reason or slot.state}"
