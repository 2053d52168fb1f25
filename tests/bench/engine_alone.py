"""The engine alone: real Postgres, fake launcher. Steps a second, and what time and memory cost as runs grow."""

import os
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from penstock_server.engine.graphs import Graphs
from penstock_server.engine.loop import Engine
from penstock_server.engine.new_runs import NewRuns
from penstock_server.engine.run_requests import NewRunRequest
from penstock_server.engine.settings import EngineSettings
from penstock_server.launch.fake import FakeHost, FakeLauncher
from penstock_server.model.resources import Run
from penstock_server.spec.document import from_struct
from penstock_server.store import runs
from penstock_server.store.database import Database
from penstock_server.store.notifications import EVENT_CHANNEL, Notifications
from tests import pipelines
from tests.bench import processes
from tests.bench.bed import Bed, Row

WIDTHS = (100, 10, 1_000, 10_000)
"""The first is what the others are compared with."""
LENGTHS = (200, 2_000)
SIDE = 100
SLOTS = 100


def engine(bed: Bed) -> list[Row]:
    """Runs of tasks that wait for nothing, chains, and a loop of loops."""
    return bed.loop.run_until_complete(_engine(bed.dsn))


@dataclass(frozen=True, slots=True)
class AloneEngine:
    """An engine without a server."""

    database: Database
    notifications: Notifications
    new_runs: NewRuns

    async def run(self, request: NewRunRequest) -> Run:
        """Make the run and wait for its end."""
        with self.notifications.subscribe(EVENT_CHANNEL) as news:
            run, _ = await self.new_runs.create_run(request)
            while not run.state.is_final:
                await news.wait(1)
                async with self.database.connection() as connection:
                    run = await runs.get(connection, run.namespace, run.id)
        assert run.state == "SUCCEEDED", f"{run.reason}: {run.message}"
        return run


@asynccontextmanager
async def alone(dsn: str, host: FakeHost, *, slots: int) -> AsyncIterator[AloneEngine]:
    """An engine on the fake host, started and in the end drained."""
    database, notifications, launcher, graphs = Database(dsn), Notifications(dsn), FakeLauncher(host), Graphs()
    settings = EngineSettings(artifact_root="file:///nowhere", max_parallel_steps=slots)
    await database.open()
    await notifications.start()
    await launcher.start()
    moving = Engine(database, notifications, launcher, settings, graphs=graphs)
    await moving.start()
    try:
        yield AloneEngine(database, notifications, NewRuns(database, graphs, moving))
    finally:
        await moving.drain()
        await moving.close()
        await launcher.close()
        await notifications.close()
        await database.close()


@dataclass(frozen=True, slots=True)
class _Cost:
    step_ms: float
    peak_mib: float
    """Of memory, above what the process held before."""


async def _engine(dsn: str) -> list[Row]:
    async with alone(dsn, FakeHost(), slots=SLOTS) as moving:
        await _cost(moving, pipelines.wide(10, "true"), 10)
        wide = {width: await _cost(moving, pipelines.wide(width, "true"), width) for width in WIDTHS}
        chains = {length: await _cost(moving, pipelines.chain(length, "true"), length) for length in LENGTHS}
        loops = await _cost(moving, pipelines.loop_of_loops(SIDE, "true"), SIDE * SIDE)
    first, shortest = wide[WIDTHS[0]], chains[LENGTHS[0]]
    return [
        Row("engine alone, 1,000 tasks", 1000 / wide[1_000].step_ms, "steps/s", None, "1,000 on one core"),
        *_rows("{} tasks", wide, first),
        *_rows("chain of {}", chains, shortest),
        *_rows("{0} x {0} in loops", {SIDE: loops}, first),
    ]


def _rows(name: str, costs: dict[int, _Cost], least: _Cost) -> list[Row]:
    rows = []
    for size, cost in sorted(costs.items()):
        label = f"engine alone, {name.format(f'{size:,}')}"
        rows.append(Row(f"{label}, a step", cost.step_ms, "ms", least.step_ms, "flat within 1.5"))
        if size >= SIDE and cost is not least:
            rows.append(Row(f"{label}, memory", cost.peak_mib, "MiB"))
    return rows


async def _cost(moving: AloneEngine, spec: dict[str, Any], steps: int) -> _Cost:
    pid = os.getpid()
    processes.begin_memory_peak(pid)
    before = processes.memory_mib(pid)
    start = time.perf_counter()
    await moving.run(NewRunRequest("default", f"bench-{uuid.uuid4().hex[:12]}", from_struct(spec)))
    seconds = time.perf_counter() - start
    return _Cost(1000 * seconds / steps, processes.memory_peak_mib(pid) - before)
