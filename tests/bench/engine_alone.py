"""The engine alone: real Postgres, fake launcher. Steps a second, and what a step costs as runs grow."""

import time
import uuid
from collections.abc import Sequence
from typing import Any

from penstock_server.engine.graphs import Graphs
from penstock_server.engine.loop import Engine
from penstock_server.engine.new_runs import NewRunRequest, NewRuns
from penstock_server.engine.settings import EngineSettings
from penstock_server.launch.fake import FakeHost, FakeLauncher
from penstock_server.model.resources import Run
from penstock_server.spec.document import from_struct
from penstock_server.store import runs
from penstock_server.store.database import Database
from penstock_server.store.notifications import EVENT_CHANNEL, Notifications
from tests import pipelines
from tests.bench.bed import Bed, Row

WIDTHS = (10, 100, 1_000, 10_000)
SLOTS = 100


def engine(bed: Bed) -> list[Row]:
    """One run of so many tasks that wait for nothing, and a chain of two hundred."""
    return bed.loop.run_until_complete(_engine(bed.dsn))


async def _engine(dsn: str) -> list[Row]:
    database, notifications = Database(dsn), Notifications(dsn)
    launcher, graphs = FakeLauncher(FakeHost()), Graphs()
    settings = EngineSettings(artifact_root="file:///nowhere", max_parallel_steps=SLOTS)
    await database.open()
    await notifications.start()
    await launcher.start()
    moving = Engine(database, notifications, launcher, settings, graphs=graphs)
    await moving.start()
    new_runs = NewRuns(database, graphs, moving)
    try:
        await _seconds(database, notifications, new_runs, pipelines.wide(10, "true"))
        costs = [
            await _seconds(database, notifications, new_runs, pipelines.wide(width, "true")) / width for width in WIDTHS
        ]
        chain = await _seconds(database, notifications, new_runs, pipelines.chain(200, "true")) / 200
    finally:
        await moving.drain()
        await moving.close()
        await launcher.close()
        await notifications.close()
        await database.close()
    return [*_rows(costs), Row("engine alone, chain of 200, a step", 1000 * chain, "ms")]


def _rows(costs: Sequence[float]) -> list[Row]:
    flat = [
        Row(f"engine alone, {width} tasks, a step", 1000 * cost, "ms", 1000 * costs[1], "flat: 1")
        for width, cost in zip(WIDTHS, costs, strict=True)
    ]
    return [*flat, Row("engine alone, 1,000 tasks", 1 / costs[2], "steps/s", None, "1,000 on one core")]


async def _seconds(database: Database, notifications: Notifications, new_runs: NewRuns, spec: dict[str, Any]) -> float:
    with notifications.subscribe(EVENT_CHANNEL) as news:
        start = time.perf_counter()
        request = NewRunRequest("default", f"bench-{uuid.uuid4().hex[:12]}", from_struct(spec))
        run, _ = await new_runs.create_run(request)
        while not (await _read(database, run)).state.is_final:
            await news.wait(1)
        return time.perf_counter() - start


async def _read(database: Database, run: Run) -> Run:
    async with database.connection() as connection:
        return await runs.get(connection, run.namespace, run.id)
