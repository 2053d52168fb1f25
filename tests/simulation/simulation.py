"""Whole servers on a model of the store, a fake host and virtual time; one seed decides everything.

Random programs run on servers that are killed, stand still past their leases and come back, over a database that fails
before or after it has done what it was asked, and launchers that tell late, twice and wrongly. Then the faults end, and
everything has to come to its end. What is wrong is told by the histories of the runs alone.
"""

import asyncio
import logging
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random

from penstock_server.engine.graphs import Graphs
from penstock_server.engine.loop import Engine
from penstock_server.engine.reasons import WAITING_FOR_ENGINE
from penstock_server.engine.settings import EngineSettings
from penstock_server.model.changes import TaskCreate
from penstock_server.model.errors import PenstockError
from penstock_server.model.ids import ROOT_TASK, RunUid, ServerId
from penstock_server.model.resources import Run, TaskKind
from penstock_server.store.notifications import DELETED_CHANNEL, RUN_CHANNEL, Subscription
from tests.engine.programs import Program, graph_of, random_program
from tests.engine.world import Rows, created, new_run
from tests.simulation.checker import problems_of
from tests.simulation.clock import NothingWillHappenError, VirtualTimeLoop
from tests.simulation.host import Lies, SimulatedHost, SimulatedLauncher
from tests.simulation.store import Faults, ModelStore, SimulatedDatabase, Wire, in_place_of_postgres

TROUBLE_S = 40.0
"""So long things go wrong."""
CALM_S = 900.0
"""So long everything has, after that, to come to its end."""
LEASE_S = 3.0
SERVERS_MAX = 3
RUNS_MAX = 3


@dataclass(frozen=True, slots=True)
class Told:
    """What a seed came to."""

    seed: int
    problems: tuple[str, ...]
    tasks: int
    seconds: float
    """Of virtual time."""


@dataclass(slots=True)
class SimulatedServer:
    """An engine, and its ways to everything else."""

    engine: Engine
    launcher: SimulatedLauncher
    wire: Wire
    woken: list[Subscription] = field(default_factory=list)


class SimulatedNotifications:
    """What the engine takes for Postgres' notifications."""

    def __init__(self) -> None:
        self.subscriptions: dict[str, set[Subscription]] = {RUN_CHANNEL: set(), DELETED_CHANNEL: set()}

    def subscribe(self, channel: str) -> Subscription:
        """Hear what is told on the channel."""
        return Subscription(self.subscriptions[channel])


class Simulation:
    """One world."""

    def __init__(self, seed: int, loop: VirtualTimeLoop, store: ModelStore) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.loop = loop
        self.store = store
        self.store.told = self._tell
        self.programs: dict[RunUid, Program] = {}
        self.graphs = Graphs()
        self.host = SimulatedHost(self.store, lambda uid: _Fate(f"{seed}/{uid}"), self.random.random)
        self.servers: list[tuple[SimulatedServer, SimulatedNotifications]] = []
        self.faults = Faults(self.random, before=self._chance(0.03), after=self._chance(0.03))
        self.lies = Lies(twice=self._chance(0.2), lost=self._chance(0.03), refusals=self._chance(0.05))
        self.lost_notifications = self._chance(0.3)
        self.limit = self.random.choice([None, 1, 2])
        self._ids = count(1)

    async def run(self) -> None:
        """Trouble, then calm."""
        for _ in range(self.random.randint(1, SERVERS_MAX)):
            await self._start_server()
        for _ in range(self.random.randint(1, RUNS_MAX)):
            self._make_run()
        while self.loop.time() < TROUBLE_S:
            await asyncio.sleep(self.random.random() * 2.0)
            await self._meddle()
        await self._calm_down()
        give_up = self.loop.time() + CALM_S
        while not self._is_over() and self.loop.time() < give_up:
            await asyncio.sleep(1.0)
        for server, _ in list(self.servers):
            await self._kill(server)

    def problems(self) -> list[str]:
        """What is wrong, by what is left."""
        found = list(self.host.problems)
        for uid, program in self.programs.items():
            rows = self.store.runs[uid].rows
            found += [f"run {rows.run.id}: {each}" for each in problems_of(rows.events, program, self.limit)]
        return found

    def _chance(self, most: float) -> float:
        return self.random.choice([0.0, most / 3, most])

    def _is_over(self) -> bool:
        return all(stored.has_ended for stored in self.store.runs.values())

    # Who acts.

    async def _meddle(self) -> None:
        servers = [server for server, _ in self.servers]
        what = self.random.choice(["kill", "freeze", "start", "ask", "ask", "nothing", "nothing"])
        if what == "kill" and servers:
            await self._kill(self.random.choice(servers))
        elif what == "freeze" and servers:
            self.random.choice(servers).wire.frozen_until = self.loop.time() + self.random.random() * 3 * LEASE_S
        elif what == "start" and len(servers) < SERVERS_MAX:
            await self._start_server()
        elif what == "ask":
            self._ask(self.random.choice(list(self.programs)))

    def _ask(self, uid: RunUid) -> None:
        match self.random.choice(["cancel", "pause", "resume", "retry", "retry"]):
            case "cancel":
                self.store.ask(uid, cancel=True, cancel_exit_tasks=self.random.random() < 0.2)
            case "pause":
                self.store.ask(uid, pause=True)
            case "resume":
                self.store.ask(uid, pause=False)
            case "retry":
                self.store.ask(uid, retry=True)

    async def _calm_down(self) -> None:
        self.faults.before = self.faults.after = 0.0
        self.lies.twice = self.lies.lost = self.lies.refusals = self.lost_notifications = 0.0
        if not self.servers:
            await self._start_server()
        for uid in self.programs:
            self.store.ask(uid, pause=False)

    def _make_run(self) -> None:
        number = next(self._ids)
        uid = RunUid(uuid.UUID(int=number))
        program = random_program(self.random)
        digest = f"sha256:{number}"
        self.graphs.put(digest, graph_of(program))
        self.programs[uid] = program
        run = replace(new_run(), uid=uid, id=f"r{number}", spec_digest=digest, reason=WAITING_FOR_ENGINE)
        run = replace(run, max_parallel_tasks=self.limit)
        self.store.insert(new_rows(run))

    async def _start_server(self) -> None:
        wire = Wire(self.faults)
        notifications = SimulatedNotifications()
        launcher = SimulatedLauncher(self.host, wire, self.lies)
        engine = Engine(
            SimulatedDatabase(self.store, wire),  # type: ignore[arg-type]  # in its place
            notifications,  # type: ignore[arg-type]  # in its place
            launcher,
            EngineSettings("file:///a", max_parallel_steps=4, lease_ttl_s=LEASE_S, poll_s=1.0),
            graphs=self.graphs,
            new_id=lambda: ServerId(uuid.UUID(int=self.random.getrandbits(128))),
            clock=self.loop.time,
        )
        await launcher.start()
        while True:
            try:
                await engine.start()
                break
            except PenstockError:
                await asyncio.sleep(0.5)
        self.servers.append((SimulatedServer(engine, launcher, wire), notifications))

    async def _kill(self, server: SimulatedServer) -> None:
        """At whatever it waits for: nothing of it goes any further."""
        server.wire.is_cut = True
        self.servers = [each for each in self.servers if each[0] is not server]
        await server.engine.close()
        await server.launcher.close()

    def _tell(self, uid: RunUid) -> None:
        for _, notifications in self.servers:
            if self.random.random() >= self.lost_notifications:
                for subscription in tuple(notifications.subscriptions[RUN_CHANNEL]):
                    delay_s = self.random.random() * 0.1
                    self.loop.call_later(delay_s, subscription.put, str(uid))


@dataclass(frozen=True, slots=True)
class _Fate:
    """How attempts end."""

    salt: str

    def __call__(self, task: str, attempt: int) -> str:
        drawn = zlib.crc32(f"{self.salt}/{task}/{attempt}".encode()) % 12
        return "fail" if drawn < 2 else "lost" if drawn == 2 else "ok"


def new_rows(run: Run) -> Rows:
    """The rows of a run that was just made, with its root."""
    rows = Rows(run)
    rows.events.append(created(run))
    rows.write([TaskCreate(ROOT_TASK, None, ROOT_TASK, "p", TaskKind.DAG, run.reason)])
    return rows


def simulate(seed: int, make_store: Callable[[Callable[[], float]], ModelStore] = ModelStore) -> Told:
    """Play one seed, on a store that is told the time by the function it is made with."""
    loop = VirtualTimeLoop()
    asyncio.set_event_loop(loop)
    simulation = Simulation(seed, loop, make_store(loop.time))
    problems: list[str] = []
    try:
        with in_place_of_postgres(), _quiet():
            loop.run_until_complete(simulation.run())
    except NothingWillHappenError:
        problems.append("everybody waits, and nobody for a time")
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    problems += simulation.problems()
    tasks = sum(len(stored.rows.tasks) for stored in simulation.store.runs.values())
    return Told(seed, tuple(problems), tasks, loop.time())


@contextmanager
def _quiet() -> Iterator[None]:
    """Faults are logged by the thousand."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
