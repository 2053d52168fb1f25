"""The engine: takes runs, moves them, and lets go of them when they end or the server does.

    store ◄── claims ──► owned ──► committer ──► store
                 ▲         ▲ │                     │ then
              notified     │ └── slots             ▼
                        observations ◄── launcher ◄── dispatcher

Every part is a task of its own; only `owned` touches a run.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress

from penstock_server.engine.claims import Claims
from penstock_server.engine.commit import Committer
from penstock_server.engine.deletions import Deletions
from penstock_server.engine.dispatch import Dispatcher
from penstock_server.engine.effects import LookUpCache
from penstock_server.engine.graphs import Graphs
from penstock_server.engine.inputs import RunTaken
from penstock_server.engine.leases import RETRY_S, Clock, Lease
from penstock_server.engine.lookups import Lookups
from penstock_server.engine.observer import EngineObserver, NullObserver
from penstock_server.engine.owned import OwnedRuns
from penstock_server.engine.requested import RequestedSteps
from penstock_server.engine.restore import new_live_run
from penstock_server.engine.results import HasContent, anything
from penstock_server.engine.settings import EngineSettings
from penstock_server.engine.slots import Slots
from penstock_server.engine.state import LiveRun
from penstock_server.launch.base import Capability, Launcher
from penstock_server.model.changes import RunChanges
from penstock_server.model.errors import PenstockError
from penstock_server.model.ids import RunUid, ServerId
from penstock_server.model.resources import Run
from penstock_server.spec.graph import PipelineGraph
from penstock_server.store import transitions
from penstock_server.store.database import Database
from penstock_server.store.notifications import DELETED_CHANNEL, JOB_CHANNEL, RUN_CHANNEL, Notifications

_log = logging.getLogger(__name__)


FENCE_OF_NEW = 1
"""Of the lease under which a run is made."""


def new_server_id() -> ServerId:
    """Drawn anew at each start."""
    return ServerId(uuid.uuid4())


class Engine:
    """Moves runs. Database, notifications and launcher are started before it and closed after it."""

    def __init__(
        self,
        database: Database,
        notifications: Notifications,
        launcher: Launcher,
        settings: EngineSettings,
        *,
        graphs: Graphs | None = None,
        observer: EngineObserver | None = None,
        has_content: HasContent = anything,
        new_id: Callable[[], ServerId] = new_server_id,
        clock: Clock = time.monotonic,
    ) -> None:
        self._database = database
        self._notifications = notifications
        self._launcher = launcher
        self._settings = settings
        self._graphs = graphs or Graphs()
        observer = observer or NullObserver()
        self._observer = observer
        self._clock = clock
        self._lease = Lease(database, ttl_s=settings.lease_ttl_s, new_id=new_id, on_lost=self._lease_lost, clock=clock)
        self._owned = OwnedRuns(self, Slots(settings.max_parallel_steps), observer, clock)
        self._committer = Committer(self._write, self._owned, observer, linger_s=settings.linger_s)
        steps = RequestedSteps(settings.artifact_root, observer)
        self._dispatcher = Dispatcher(launcher, steps, self._owned, observer)
        self._owned.wire(self._committer, self._dispatcher)
        self._has_content = has_content
        self._lookups = Lookups(database, self._owned, launcher, has_content)
        self._claims: Claims
        self._claiming: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._exits = AsyncExitStack()

    @property
    def server_id(self) -> ServerId:
        """Under which this server's lease stands."""
        return self._lease.server_id

    @property
    def run_count(self) -> int:
        """How many runs this server holds."""
        return len(self._owned)

    @property
    def running_step_count(self) -> int:
        """How many steps hold a slot."""
        return self._owned.running_step_count

    def offer(self) -> ServerId | None:
        """Under which id this server takes a run that is about to be made; None when it does not."""
        if self._claiming is None or not self._lease.is_valid:
            return None
        if self._claims.has_backlog or self._owned.is_busy or len(self._owned) >= self._settings.runs_max:
            self._claims.note_backlog()
            return None
        return self._lease.server_id

    def take_new(self, run: Run, graph: PipelineGraph) -> None:
        """Take up a run that was made under an offer."""
        if self._claiming is not None:
            live = new_live_run(
                run,
                graph,
                fence=FENCE_OF_NEW,
                launcher=self._launcher.name,
                makes_pods=Capability.PODS in self._launcher.capabilities,
            )
            self._owned.take(live, RunTaken())

    async def start(self) -> None:
        """Take up work. Raises Unavailable without the database."""
        await self._lease.start()
        subscription = self._exits.enter_context(self._notifications.subscribe(RUN_CHANNEL))
        self._claims = Claims(
            self._database,
            subscription,
            self._lease,
            self._owned,
            self._graphs,
            self._has_content,
            launcher=self._launcher,
            runs_max=self._settings.runs_max,
            poll_s=self._settings.poll_s,
            clock=self._clock,
        )
        deleted = self._exits.enter_context(self._notifications.subscribe(DELETED_CHANNEL))
        deletions = Deletions(deleted, self._launcher)
        works = (
            self._owned.work,
            self._committer.work,
            self._lookups.work,
            self._lease.work,
            self._observe,
            deletions.work,
        )
        self._tasks = [self._supervise(work) for work in works]
        self._claiming = self._supervise(self._claims.work)

    async def drain(self) -> None:
        """Start nothing new, write what was decided, give the runs up; running steps are left running."""
        await self._stop_claiming()
        self._owned.stop_granting()
        try:
            await self._committer.flush()
            await self._dispatcher.settle(self._settings.drain_timeout_s)
            await self._committer.flush()
            self._owned.drop_all()
            await self._lease.end()
        except PenstockError as error:
            # Whoever takes the runs over waits for the lease to run out instead; nothing is lost.
            _log.warning("drained without giving the lease up", extra={"error": repr(error)})

    async def close(self) -> None:
        """End all tasks, at once; attempts go on. May be called twice."""
        await self._stop_claiming()
        await self._dispatcher.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self._owned.drop_all()
        await self._exits.aclose()

    # Of the owned runs: what becomes of those that leave.

    def finished(self, run: LiveRun) -> None:
        """The run has ended; whoever takes the turns of jobs looks whether its job has to hear of that."""
        self._claims.finished(run)
        if run.record.job_id is not None:
            self._notifications.wake(JOB_CHANNEL, str(run.uid))

    def dropped(self, run: LiveRun, *, fault: bool) -> None:
        """The run has to be loaded again."""
        self._claims.dropped(run, fault=fault)

    def look_up(self, run: LiveRun, ask: LookUpCache) -> None:
        """Look through the results of earlier runs."""
        self._lookups.ask(run, ask)

    def may_act(self) -> bool:
        """True while the lease is surely valid."""
        return self._lease.is_valid

    def _lease_lost(self) -> None:
        self._owned.drop_all()
        self._claims.forget()

    async def _write(self, batch: Sequence[RunChanges]) -> frozenset[RunUid]:
        async with self._database.connection() as connection:
            result = await transitions.commit(connection, self._lease.server_id, batch)
        return result.refused

    async def _observe(self) -> None:
        async for observation in self._launcher.observe():
            self._owned.observed(observation)

    async def _stop_claiming(self) -> None:
        if self._claiming is not None:
            self._claiming.cancel()
            with suppress(asyncio.CancelledError):
                await self._claiming
            self._claiming = None

    def _supervise(self, work: Callable[[], Awaitable[None]]) -> "asyncio.Task[None]":
        return asyncio.create_task(_keep_going(work), name=f"engine {work.__qualname__}")


async def _keep_going(work: Callable[[], Awaitable[None]]) -> None:
    """A part that breaks must not end the server: it is started again, and what it held is loaded again."""
    while True:
        try:
            await work()
            return
        except Exception:
            # Told with its trace; the work begins anew from the database and the launcher.
            _log.exception("a part of the engine broke and is started again")
            await asyncio.sleep(RETRY_S)
