"""Engines on a real Postgres with a fake host under them."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest

from penstock_server.engine.graphs import Graphs
from penstock_server.engine.history import check
from penstock_server.engine.loop import Engine
from penstock_server.engine.new_runs import NewRuns, Taker
from penstock_server.engine.requests import RunRequests
from penstock_server.engine.results import HasContent, anything
from penstock_server.engine.run_requests import NewRunRequest
from penstock_server.engine.settings import EngineSettings
from penstock_server.launch.base import NO_CAPABILITIES
from penstock_server.launch.fake import FakeHost, FakeLauncher
from penstock_server.model.errors import Unavailable
from penstock_server.model.ids import RunUid
from penstock_server.model.resources import Event, Run, Task
from penstock_server.spec.document import from_struct
from penstock_server.store import events, runs, tasks
from penstock_server.store.database import Database
from penstock_server.store.notifications import Notifications

BOUND_S = 20.0
Ir = dict[str, Any]
Condition = Callable[[], bool | Awaitable[bool]]


async def eventually(condition: Condition, what: str, bound_s: float = BOUND_S) -> None:
    """Wait until the condition holds; fail after `bound_s`. A database that is away is waited for as well."""
    give_up = time.monotonic() + bound_s
    while not await _holds(condition):
        assert time.monotonic() < give_up, f"{what}: not within {bound_s} s"
        await asyncio.sleep(0.005)


async def _holds(condition: Condition) -> bool:
    try:
        holds = condition()
        return holds if isinstance(holds, bool) else await holds
    except Unavailable:
        return False


class Server:
    """What one server has of the engine: it can be killed, which drops all without a word."""

    def __init__(self, database: Database, host: FakeHost, settings: dict[str, Any]) -> None:
        has_content: HasContent = settings.pop("has_content", anything)
        self.launcher = FakeLauncher(host, capabilities=settings.pop("capabilities", NO_CAPABILITIES))
        self.notifications = Notifications(database.dsn)
        defaults = {"artifact_root": "file:///artifacts", "max_parallel_steps": 4}
        engine_settings = EngineSettings(**{**defaults, **settings})
        self.engine = Engine(database, self.notifications, self.launcher, engine_settings, has_content=has_content)

    async def start(self) -> "Server":
        await self.notifications.start()
        await self.launcher.start()
        await self.engine.start()
        return self

    async def kill(self) -> None:
        """Nothing is written, flushed or given up."""
        await self.engine.close()
        await self.launcher.close()
        await self.notifications.close()

    async def stop(self) -> None:
        """As on SIGTERM."""
        await self.engine.drain()
        await self.kill()


class Field:
    """A database, hosts, servers and the runs given to them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.servers: list[Server] = []
        self.new_runs = NewRuns(database, Graphs())
        self.requests = RunRequests(database)
        self._numbers = itertools.count(1)

    async def server(self, host: FakeHost | None = None, **settings: Any) -> Server:
        """One more server, started."""
        server = Server(self.database, host or FakeHost(), settings)
        self.servers.append(server)
        return await server.start()

    def new_runs_of(self, taker: "Server | Taker") -> NewRuns:
        """Requests that hand new runs to an engine of the same process."""
        return NewRuns(self.database, Graphs(), taker.engine if isinstance(taker, Server) else taker)

    async def submit(self, ir: Ir, **more: Any) -> RunUid:
        """Create a run."""
        request = NewRunRequest(namespace="default", run_id=f"r{next(self._numbers)}", source=from_struct(ir), **more)
        run, _ = await self.new_runs.create_run(request)
        return run.uid

    async def run(self, uid: RunUid) -> Run:
        """The run as it is stored."""
        async with self.database.connection() as connection:
            found = await runs.find_by_uid(connection, uid)
        assert found is not None
        return found

    async def tasks(self, uid: RunUid) -> dict[str, Task]:
        """The run's tasks by id."""
        async with self.database.connection() as connection:
            return {str(task.id): task for task in await tasks.all_of_run(connection, uid)}

    async def events(self, uid: RunUid) -> Sequence[Event]:
        """The run's whole history."""
        async with self.database.connection() as connection:
            return await events.list_run(connection, uid, 0, 1_000_000)

    async def ended(self, uid: RunUid, state: str = "SUCCEEDED", *, bound_s: float = BOUND_S) -> Run:
        """The run once it has ended, as expected and with a clean history."""

        async def final() -> bool:
            return (await self.run(uid)).state.is_final

        await eventually(final, f"end of run {uid}", bound_s)
        run = await self.run(uid)
        assert run.state == state, f"{run.reason}: {run.message}"
        assert check(await self.events(uid)) == []
        return run

    async def task_in(self, uid: RunUid, task: str, *states: str) -> None:
        """Wait until the task stands in one of the states."""

        async def there() -> bool:
            found = (await self.tasks(uid)).get(task)
            return found is not None and found.state in states

        await eventually(there, f"{task} in {states}")


@pytest.fixture
async def field(database: Database) -> AsyncIterator[Field]:
    made = Field(database)
    yield made
    for server in made.servers:
        await server.kill()
