"""Five servers that take turns of jobs on a real Postgres whose clock goes by leaps, while everything goes wrong.

A seed decides what happens: servers die at whatever they wait for, connections are cut between any two statements,
commits are not told of, users change, trigger, fill up and disable jobs, runs end well and badly. Who is faster is not
decided by the seed. Then it is calm, everything comes to its end, and `checker` reads the tables.
"""

import asyncio
import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from random import Random
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from penstock_server.engine.jobs import JobChange
from penstock_server.model.errors import PenstockError
from penstock_server.model.jobs import CatchUp, Job, Overlap
from penstock_server.store.backfills import NewBackfill
from penstock_server.store.database import Database
from penstock_server.store.requested import RequestKey
from tests.engine.job_world import START, JobWorld
from tests.jobs.audit import forget, read_record
from tests.jobs.checker import problems_of
from tests.jobs.faults import FaultyDatabase

SERVERS = 5
JOBS = 2
STEPS = 12
CALM_MAX = 500
"""So many rounds everything has to come to its end."""
OPEN = "SELECT id, cancel_request_time IS NOT NULL FROM run WHERE job_uid IS NOT NULL AND end_time IS NULL ORDER BY id"


class Server:
    """Takes turns until it is killed."""

    def __init__(self, world: JobWorld) -> None:
        self.world = world
        self._task = asyncio.create_task(self._serve())

    async def kill(self) -> None:
        """At whatever it waits for."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _serve(self) -> None:
        while True:
            try:
                await asyncio.sleep(min(await self.world.schedules.look(), 0.01))
            except PenstockError:
                await asyncio.sleep(0.005)


class JobSimulation:
    """One seed, on a database that is used for several."""

    def __init__(self, seed: int, admin: Database, faulty: FaultyDatabase) -> None:
        self.random = Random(seed)
        self.world = JobWorld(admin)
        self.faulty = faulty
        self.users = JobWorld(faulty)
        self.servers: list[Server] = []
        self.problems: list[str] = []
        self.elapsed_s = 0.0
        self._ids = count(1)
        self._jobs: list[Job] = []

    async def run(self) -> None:
        """Trouble, then calm."""
        await self.world.set_clock(START)
        self._jobs = [await self.world.create(**self._schedule()) for _ in range(JOBS)]
        for _ in range(STEPS):
            await self._step()
        await self._calm_down()

    async def _step(self) -> None:
        self.elapsed_s += self.random.choice([0.0, 5.0, 20.0, 45.0, 45.0, 300.0])
        await self.world.set_clock(START + timedelta(seconds=self.elapsed_s))
        while len(self.servers) < SERVERS:
            self.servers.append(Server(JobWorld(self.faulty)))
        acts = [self._act() for _ in range(self.random.randint(0, 2))]
        await asyncio.gather(self._end_runs(0.5), *acts)
        await asyncio.sleep(self.random.random() * 0.02)
        for server in list(self.servers):
            if self.random.random() < 0.3:
                await self._kill(server)

    async def _kill(self, server: Server) -> None:
        self.servers.remove(server)
        await server.kill()
        self._note_failures(server.world)

    async def _calm_down(self) -> None:
        self.faulty.chance = 0.0
        for server in list(self.servers):
            await self._kill(server)
        for _ in range(CALM_MAX):
            if self.problems:
                return
            if await self.world.due():
                await self.world.schedules.look()
                self._note_failures(self.world)
            elif not await self._end_runs(1.0):
                return
        self.problems.append("it does not come to an end")

    def _note_failures(self, world: JobWorld) -> None:
        self.problems += [f"a turn of {uid} failed" for uid in world.schedules._resting]

    async def _end_runs(self, share: float) -> bool:
        """Some of the open runs end; whether there were any."""
        async with self.world.database.connection() as connection:
            runs = await (await connection.execute(OPEN)).fetchall()
        for id, is_cancelling in runs:
            if self.random.random() < share:
                state = "FAILED" if self.random.random() < 0.3 else "SUCCEEDED"
                await self.world.end_run(id, "CANCELLED" if is_cancelling else state)
        return bool(runs)

    async def _act(self) -> None:
        """What users do, once more with the same request id where they do not know what came of it."""
        act = self.random.choice([self._change, self._enable, self._enable, self._archive, self._fill_up, self._cancel])
        act = self.random.choice([act, act, self._trigger])
        job, key = self.random.choice(self._jobs), RequestKey(uuid.UUID(int=self.random.getrandbits(128)), "digest")
        for _ in range(2):
            try:
                await act(job, key)
            except PenstockError:
                continue
            except psycopg.Error as error:
                self.problems.append(f"a call failed: {error}")
            break

    async def _change(self, job: Job, _: RequestKey) -> None:
        wanted = self._schedule()

        def change(job: Job) -> JobChange:
            return JobChange(schedule=replace(job.schedule, **wanted))

        await self.users.jobs.update("default", job.id, change)

    async def _enable(self, job: Job, _: RequestKey) -> None:
        await self.users.jobs.set_enabled("default", job.id, enabled=self.random.random() < 0.7)

    async def _archive(self, job: Job, _: RequestKey) -> None:
        await self.users.jobs.set_archived("default", job.id, archived=self.random.random() < 0.3)

    async def _trigger(self, job: Job, key: RequestKey) -> None:
        await self.users.jobs.trigger("default", job.id, key)

    async def _fill_up(self, job: Job, key: RequestKey) -> None:
        end = START + timedelta(seconds=self.random.uniform(-300, self.elapsed_s))
        span = timedelta(seconds=self.random.uniform(0, 400))
        new = NewBackfill(f"b-{next(self._ids)}", end - span, end, self.random.randint(1, 3), key)
        await self.users.backfills.create("default", job.id, new, slot_limit=100)

    async def _cancel(self, job: Job, _: RequestKey) -> None:
        id = f"b-{self.random.randint(1, 5)}"
        await self.users.backfills.cancel("default", job.id, id, cancel_runs=self.random.random() < 0.5)

    def _schedule(self) -> dict[str, Any]:
        interval_s = self.random.choice([10.0, 30.0, 60.0, None])
        return {
            "interval_s": interval_s,
            "cron": None if interval_s is not None else self.random.choice(["* * * * *", "30 * * * * *"]),
            "catch_up": self.random.choice(list(CatchUp)),
            "catch_up_limit": self.random.choice([1, 3]),
            "overlap": self.random.choice(list(Overlap)),
            "max_concurrency": self.random.randint(1, 3),
            "jitter_s": self.random.choice([0.0, 0.0, 8.0, 60.0]),
            "max_consecutive_failures": self.random.choice([0, 0, 2]),
        }


@dataclass(frozen=True, slots=True)
class Told:
    """What a seed came to."""

    problems: tuple[str, ...]
    slots: int


async def simulate(dsn: str, seed: int) -> Told:
    """Play one seed on a database with `simulated` time whose record is kept; what was wrong."""
    dsn = make_conninfo(dsn, options=f"{conninfo_to_dict(dsn)['options']} -c synchronous_commit=off")
    forget(dsn)
    random = Random(f"faults of {seed}")
    admin, faulty = Database(dsn, pool_size_max=4), FaultyDatabase(dsn, random, random.choice([0.0, 0.01, 0.03]))
    simulation = JobSimulation(seed, admin, faulty)
    await admin.open()
    await faulty.open()
    with _quiet():
        try:
            await simulation.run()
        finally:
            await faulty.close()
            await admin.close()
    slots = sum(len(record.slots) for record in read_record(dsn)[1])
    return Told((*simulation.problems, *problems_of(dsn)), slots)


@contextmanager
def _quiet() -> Iterator[None]:
    """Faults are logged by the hundred."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
