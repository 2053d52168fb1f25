"""What jobs cost: ten thousand with nothing due, a thousand due in the same second, one that fires each second."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import psutil
import psycopg

from penstock_server.engine.graphs import Graphs
from penstock_server.engine.job_turns import JobTurns, TurnSettings
from penstock_server.engine.jobs import Jobs, NewJob
from penstock_server.engine.loop import Engine
from penstock_server.engine.new_runs import NewRuns
from penstock_server.engine.schedules import Schedules
from penstock_server.engine.settings import EngineSettings
from penstock_server.launch.fake import FakeHost, FakeLauncher
from penstock_server.model.jobs import JobRun, JobSchedule
from penstock_server.store import job_turns
from penstock_server.store.database import Database
from penstock_server.store.notifications import Notifications
from tests import pipelines
from tests.bench.bed import PASS, Bed, Row
from tests.engine.job_world import inline

IDLE_JOBS = 10_000
AT_ONCE = 1_000
LOOKS = 300
IDLE_S = 10
FIRINGS = 30
AHEAD_S = 3.0
_COPY = """
INSERT INTO job ({columns})
SELECT {values} FROM (SELECT * FROM job WHERE id = 'template') AS old, generate_series(1, %(count)s) AS n
"""
_CHANGED = {
    "uid": "gen_random_uuid()",
    "id": "%(prefix)s || '-' || n",
    "state": "'ENABLED'",
    "start_time": "%(due)s - interval '1 hour'",
    "cursor_time": "%(due)s - interval '1 hour'",
    "next_slot_time": "%(due)s",
    "attention_time": "%(due)s",
}
_LATENESS = """
SELECT extract(epoch FROM fire_time - due_time)::float8
FROM job_slot JOIN job ON job.uid = job_slot.job_uid
WHERE job.id LIKE %s AND job_slot.state = 'FIRED' ORDER BY 1
"""


def jobs(bed: Bed) -> list[Row]:
    """Every measure of jobs."""
    at_once_s, last_s = bed.loop.run_until_complete(_all_at_once(bed.dsn))
    late = _each_second(bed)
    idle_ms = _idle(bed)
    due_ms = bed.loop.run_until_complete(_due(bed.dsn))
    return [
        Row("1,000 slots due in the same second, until all have fired", at_once_s, "s", None, "10"),
        Row("the same, lateness of the last", last_s, "s"),
        Row("a job that fires each second, lateness p50", 1000 * late[len(late) // 2], "ms", None, "1,000"),
        Row("the same, p99", 1000 * late[-1 - len(late) // 100], "ms", None, "1,000"),
        Row("10,000 jobs and none due, the query", due_ms, "ms"),
        Row("the same, the server's CPU in a second", idle_ms, "ms"),
    ]


async def _all_at_once(dsn: str) -> tuple[float, float]:
    """Seconds from when they are due until the last has fired, on one engine with a fake launcher; its lateness."""
    async with _server(dsn) as (database, making):
        await _make_template(making)
        due = await _present(database) + timedelta(seconds=AHEAD_S)
        await asyncio.to_thread(_copy, dsn, "burst", AT_ONCE, due)
        while await _fired(database, "burst-%") < AT_ONCE:
            await asyncio.sleep(0.05)
        seconds = (await _present(database) - due).total_seconds()
        lateness = _lateness(dsn, "burst-%")
        await asyncio.to_thread(_forget, dsn, "burst-%")
    return seconds, lateness[-1]


@asynccontextmanager
async def _server(dsn: str) -> AsyncIterator[tuple[Database, Jobs]]:
    """All that a server has for jobs and runs, but for its launcher."""
    database, notifications, launcher, graphs = Database(dsn), Notifications(dsn), FakeLauncher(FakeHost()), Graphs()
    await database.open()
    await notifications.start()
    await launcher.start()
    settings = EngineSettings(artifact_root="file:///nowhere", max_parallel_steps=8)
    engine = Engine(database, notifications, launcher, settings, graphs=graphs)
    await engine.start()
    new_runs = NewRuns(database, graphs, engine)
    turns = JobTurns(database, new_runs, TurnSettings())
    schedules = Schedules(database, notifications, turns)
    await schedules.start()
    try:
        yield database, Jobs(database, new_runs, turns)
    finally:
        await schedules.close()
        await engine.drain()
        await engine.close()
        await launcher.close()
        await notifications.close()
        await database.close()


async def _make_template(making: Jobs) -> None:
    schedule = JobSchedule(interval_s=3600.0, cron=None)
    spec = inline(pipelines.chain(1, *PASS))
    await making.create(NewJob("default", "template", spec, JobRun("default"), schedule, enabled=False))


async def _present(database: Database) -> datetime:
    async with database.connection() as connection:
        row = await (await connection.execute("SELECT clock_timestamp()")).fetchone()
    assert row is not None
    now: datetime = row[0]
    return now


async def _fired(database: Database, prefix: str) -> int:
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT count(*) FROM job WHERE fired_count > 0 AND id LIKE %s", [prefix])
        row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


def _each_second(bed: Bed) -> list[float]:
    """Lateness of each slot, in order, on a server that has nothing else to do."""
    job = bed.client.create_job(pipelines.chain(1, *PASS), every=1, overlap="ALLOW", job_id="each-second")
    bed.settle()
    while len(late := _lateness(bed.dsn, "each-second")) < FIRINGS:
        time.sleep(1)
    bed.client.jobs.delete(job)
    bed.settle()
    return late


def _idle(bed: Bed) -> float:
    """Milliseconds of the server's CPU in a second in which none of many jobs is due."""
    _copy(bed.dsn, "idle", IDLE_JOBS, datetime.now().astimezone() + timedelta(days=1))
    process = psutil.Process(bed.server_pid)
    before = sum(process.cpu_times()[:2])
    time.sleep(IDLE_S)
    return 1000 * (sum(process.cpu_times()[:2]) - before) / IDLE_S


async def _due(dsn: str) -> float:
    """Milliseconds of the query that finds jobs which need a turn, where none does."""
    database = Database(dsn)
    await database.open()
    times = []
    async with database.connection() as connection:
        for _ in range(LOOKS):
            start = time.perf_counter()
            assert not (await job_turns.due(connection, 64)).uids
            times.append(1000 * (time.perf_counter() - start))
    await database.close()
    return statistics.median(times)


def _copy(dsn: str, prefix: str, count: int, due: datetime) -> None:
    """Copies of the job `template`, enabled, all due at the same time."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        named = connection.execute("SELECT column_name FROM information_schema.columns WHERE table_name = 'job'")
        columns = [row[0] for row in named]
        values = ", ".join(_CHANGED.get(column, f"old.{column}") for column in columns)
        statement = _COPY.format(columns=", ".join(columns), values=values)
        connection.execute(statement.encode(), {"prefix": prefix, "count": count, "due": due})
        connection.execute("ANALYZE job")
        connection.execute("NOTIFY penstock_job")


def _lateness(dsn: str, prefix: str) -> list[float]:
    with psycopg.connect(dsn) as connection:
        return [row[0] for row in connection.execute(_LATENESS, [prefix])]


def _forget(dsn: str, prefix: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("DELETE FROM job WHERE id LIKE %s", [prefix])
