"""The store as a model in memory: what the engine asks of Postgres, and faults when wanted."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any
from unittest.mock import patch

from penstock_server.model.changes import RequestFlags, RunChanges, RunLimits, RunMove, RunPause
from penstock_server.model.errors import Unavailable
from penstock_server.model.ids import RunUid, ServerId
from penstock_server.model.states import RunState
from penstock_server.store import leases, loading, tasks, transitions
from penstock_server.store.leases import ClaimedRun
from penstock_server.store.loading import RunRecord
from penstock_server.store.transitions import CommitResult
from tests.engine.world import Rows

LEASES = ("register", "heartbeat", "release", "claim_runs", "held_runs", "release_run", "read_requests")
"""What is asked of leases."""


@dataclass(slots=True)
class StoredRun:
    """The rows of a run, who owns it, and what was asked of it."""

    rows: Rows
    owner: ServerId | None = None
    fence: int = 0
    asked: RequestFlags = field(default_factory=RequestFlags)

    @property
    def has_ended(self) -> bool:
        return self.rows.run.state.is_final


class ModelStore:
    """All rows. Each method is one statement: whole or not at all."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.runs: dict[RunUid, StoredRun] = {}
        self.servers: dict[ServerId, float] = {}
        """When the lease of each runs out."""
        self.told: Callable[[RunUid], None] = lambda _: None
        """Called with runs that engines should look at."""

    # Of the API.

    def insert(self, rows: Rows) -> None:
        """A new run."""
        self.runs[rows.run.uid] = StoredRun(rows)
        self.told(rows.run.uid)

    def ask(self, uid: RunUid, **asked: Any) -> None:
        """Ask something of a run, where that may be asked."""
        stored = self.runs[uid]
        state = stored.rows.run.state
        if asked.get("retry"):
            allowed = state in (RunState.FAILED, RunState.CANCELLED)
        elif "pause" in asked:
            can_wait = state in (RunState.PENDING, RunState.RUNNING) and not stored.asked.cancel
            allowed = can_wait and asked["pause"] != (stored.rows.run.pause_time is not None)
        else:
            allowed = not state.is_final
        if allowed:
            stored.asked = replace(stored.asked, **asked)
            if "pause" in asked:
                since = stored.rows.now if asked["pause"] else None
                stored.rows.run = replace(stored.rows.run, pause_time=since)
            self.told(uid)

    # Of engines.

    def register(self, server: ServerId, ttl_s: float) -> None:
        self.servers[server] = self.clock() + ttl_s

    def heartbeat(self, server: ServerId, ttl_s: float) -> bool:
        if self.servers.get(server, -1.0) <= self.clock():
            return False
        self.servers[server] = self.clock() + ttl_s
        return True

    def release(self, server: ServerId) -> None:
        self.servers.pop(server, None)
        for stored in self.runs.values():
            if stored.owner == server:
                stored.owner = None

    def claim_runs(self, server: ServerId, limit: int) -> list[ClaimedRun]:
        now = self.clock()
        if self.servers.get(server, -1.0) <= now:
            return []
        claimed: list[ClaimedRun] = []
        for uid, stored in self.runs.items():
            is_free = stored.owner is None and (not stored.has_ended or stored.asked.retry)
            is_abandoned = stored.owner is not None and self.servers[stored.owner] <= now
            if (is_free or is_abandoned) and len(claimed) < limit:
                run = stored.rows.run
                is_under_way = run.start_time is not None and run.end_time is None
                claimed.append(ClaimedRun(uid, stored.fence + 1, stored.owner, is_under_way))
                stored.owner, stored.fence = server, stored.fence + 1
        return claimed

    def held_runs(self, server: ServerId) -> list[ClaimedRun]:
        return [ClaimedRun(uid, stored.fence) for uid, stored in self.runs.items() if stored.owner == server]

    def release_run(self, uid: RunUid, fence: int) -> None:
        if self.runs[uid].fence == fence:
            self.runs[uid].owner = None

    def read_requests(self, server: ServerId) -> dict[RunUid, RequestFlags]:
        return {uid: stored.asked for uid, stored in self.runs.items() if stored.owner == server and _is_asked(stored)}

    def load_run(self, uid: RunUid) -> RunRecord | None:
        stored = self.runs[uid]
        rows = stored.rows
        open_attempts = [a for (task, _), a in rows.attempts.items() if not rows.tasks[task].state.is_final]
        return RunRecord(
            run=rows.run,
            spec=b"",
            tasks=list(rows.tasks.values()),
            attempts=open_attempts,
            requests=stored.asked,
            owner=stored.owner,
            fence=stored.fence,
            now=rows.now,
        )

    def commit(self, server: ServerId, batch: Sequence[RunChanges]) -> CommitResult:
        refused = {changes.run_uid for changes in batch if not self._takes(server, changes)}
        for changes in batch:
            if changes.run_uid not in refused:
                stored = self.runs[changes.run_uid]
                stored.rows.write(changes.changes)
                for change in changes.changes:
                    _take_up(stored, change)
        return CommitResult(frozenset(refused))

    def _takes(self, server: ServerId, changes: RunChanges) -> bool:
        stored = self.runs[changes.run_uid]
        is_owner = stored.owner == server and stored.fence == changes.fence
        return is_owner and stored.rows.run.event_sequence == changes.event_sequence


def _is_asked(stored: StoredRun) -> bool:
    asked = stored.asked
    return asked.cancel or asked.retry or asked.delete or asked.pause is not None or asked.limits is not None


def _take_up(stored: StoredRun, change: object) -> None:
    """What was asked for is asked for no more once a change has taken it up."""
    run = stored.rows.run
    match change:
        case RunMove(_, to):
            if to is RunState.PENDING:
                stored.asked = replace(stored.asked, retry=False)
            if to.is_final or to is RunState.CANCELLING:
                stored.asked = replace(stored.asked, cancel=False, pause=None)
                stored.rows.run = replace(run, pause_time=None)
            if to.is_final:
                stored.asked = replace(stored.asked, cancel_exit_tasks=False)
                stored.owner = None
        case RunPause(paused):
            if paused == (run.pause_time is not None):
                stored.asked = replace(stored.asked, pause=None)
        case RunLimits():
            if change == RunLimits(run.priority, run.max_parallel_tasks):
                stored.asked = replace(stored.asked, limits=None)


@dataclass(slots=True)
class Faults:
    """How things go wrong between a server and everything else, as chances of each single call."""

    random: Random
    before: float = 0.0
    """A statement is not carried out, and the server is told that it failed."""
    after: float = 0.0
    """A statement is carried out, and the server is told that it failed."""
    latency_s: float = 0.02
    """The longest that a call takes on its way, or an answer."""


class Wire:
    """The way from one server to everything else: it takes time, fails, stands still, and ends with the server."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.frozen_until = 0.0
        self.is_cut = False

    async def travel(self) -> None:
        """Be on the way; what is on the way when the server ends never arrives."""
        await asyncio.sleep(self.faults.random.random() * self.faults.latency_s)
        loop = asyncio.get_running_loop()
        while (left := self.frozen_until - loop.time()) > 0:
            await asyncio.sleep(left)
        if self.is_cut:
            await loop.create_future()


class SimulatedDatabase:
    """What the engine takes for the database."""

    def __init__(self, store: ModelStore, wire: Wire) -> None:
        self.store = store
        self.wire = wire

    @asynccontextmanager
    async def connection(self, **_: object) -> AsyncIterator["SimulatedDatabase"]:
        """A connection: this itself."""
        yield self

    transaction = connection

    async def ask(self, statement: Callable[..., Any], *values: Any) -> Any:
        """Carry the statement out, and answer."""
        faults = self.wire.faults
        await self.wire.travel()
        if faults.random.random() < faults.before:
            raise Unavailable("DATABASE_UNAVAILABLE", "the connection was lost before")
        answer = statement(*values)
        await self.wire.travel()
        if faults.random.random() < faults.after:
            raise Unavailable("DATABASE_UNAVAILABLE", "the connection was lost after")
        return answer


async def _nothing_cached(database: SimulatedDatabase, _: str, wanted: Collection[tasks.Wanted]) -> Mapping[Any, Any]:
    empty: dict[Any, Any] = {}
    found: Mapping[Any, Any] = await database.ask(lambda: empty)
    return found


def _asks(name: str) -> Callable[..., Awaitable[Any]]:
    async def ask(database: SimulatedDatabase, *values: Any) -> Any:
        return await database.ask(getattr(database.store, name), *values)

    return ask


@contextmanager
def in_place_of_postgres() -> Iterator[None]:
    """Let the functions of the store ask the model."""
    places: list[tuple[object, str]] = [(leases, name) for name in LEASES]
    places += [(loading, "load_run"), (transitions, "commit")]
    patches = [patch.object(module, name, _asks(name)) for module, name in places]
    patches.append(patch.object(tasks, "find_cached", _nothing_cached))
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()
