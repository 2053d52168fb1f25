"""Brings runs in: new ones, those of servers that ended, those dropped here, and what is asked of those held.

A notification says where to look; without any the claims look by themselves after a while.
"""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from penstock_server.engine import reasons
from penstock_server.engine.graphs import Graphs
from penstock_server.engine.incidents import note_takeovers
from penstock_server.engine.inputs import (
    CancelRequested,
    LimitsChanged,
    PauseRequested,
    PlanEvent,
    ResumeRequested,
    RetryRequested,
    RunTaken,
)
from penstock_server.engine.leases import RETRY_S, Clock, Lease
from penstock_server.engine.owned import OwnedRuns
from penstock_server.engine.rerun import reusable
from penstock_server.engine.restore import restore
from penstock_server.engine.results import HasContent
from penstock_server.engine.state import LiveRun
from penstock_server.launch.base import Capability, Launcher
from penstock_server.model.changes import RequestFlags
from penstock_server.model.errors import PenstockError
from penstock_server.model.ids import RunUid
from penstock_server.model.states import RunState
from penstock_server.store import leases, loading, runs
from penstock_server.store.database import Database
from penstock_server.store.notifications import RECONNECTED, Subscription

_log = logging.getLogger(__name__)

CLAIMS_MAX = 64
"""So many runs are claimed with one statement."""
LOADS_MAX = 4
"""So many runs are loaded at a time."""
FAULT_DELAY_MAX_S = 60.0
"""A run that cannot be advanced is tried again after 1, 2, 4 ... seconds, at most after so many."""


@dataclass(slots=True)
class _Dropped:
    fence: int
    due: float
    """By the monotonic clock."""


class Claims:
    """Looks for work, loads it and hands it over."""

    def __init__(
        self,
        database: Database,
        subscription: Subscription,
        lease: Lease,
        owned: OwnedRuns,
        graphs: Graphs,
        has_content: HasContent,
        *,
        launcher: Launcher,
        runs_max: int,
        poll_s: float,
        clock: Clock,
    ) -> None:
        self._database = database
        self._subscription = subscription
        self._lease = lease
        self._owned = owned
        self._graphs = graphs
        self._has_content = has_content
        self._launcher = launcher
        self._runs_max = runs_max
        self._poll_s = poll_s
        self._clock = clock
        self._dropped: dict[RunUid, _Dropped] = {}
        self._faults: dict[RunUid, int] = {}
        self._doomed: set[RunUid] = set()
        self._loads = asyncio.Semaphore(LOADS_MAX)
        self._has_backlog = False

    @property
    def has_backlog(self) -> bool:
        """True while runs may wait in the database for room here: no younger one is to pass them."""
        return self._has_backlog

    def note_backlog(self) -> None:
        """A run is left to the database: look there as soon as one ends."""
        self._has_backlog = True

    async def work(self) -> None:
        """Look whenever there is reason to, until cancelled."""
        payloads: frozenset[str] = frozenset()
        while True:
            try:
                await self._look(payloads)
                payloads = await self._subscription.wait(self._wait_s())
            except PenstockError as error:
                _log.warning("no runs claimed", extra={"reason": error.reason})
                payloads = frozenset()
                await asyncio.sleep(RETRY_S)

    def dropped(self, run: LiveRun, *, fault: bool) -> None:
        """Load the run again, after a while that grows when it was at fault."""
        delay_s = 0.0
        if fault:
            faults = self._faults[run.uid] = self._faults.get(run.uid, 0) + 1
            delay_s = min(FAULT_DELAY_MAX_S, 2.0 ** (faults - 1))
        self._dropped[run.uid] = _Dropped(run.fence, self._clock() + delay_s)
        self._subscription.put(str(run.uid))

    def finished(self, run: LiveRun) -> None:
        """The run has ended here: delete it if that was asked for, and take the next one that waits for room."""
        self._faults.pop(run.uid, None)
        if run.uid in self._doomed:
            self._dropped[run.uid] = _Dropped(run.fence, self._clock())
        if run.uid in self._doomed or self._has_backlog:
            self._subscription.put(str(run.uid))

    def forget(self) -> None:
        """Another lease begins; nothing that was dropped is this server's any more."""
        self._dropped.clear()
        self._doomed.clear()

    def _wait_s(self) -> float:
        """Until the next look without a notification."""
        now = self._clock()
        return min([self._poll_s, *(max(0.05, dropped.due - now) for dropped in self._dropped.values())])

    async def _look(self, payloads: frozenset[str]) -> None:
        """Look at the runs that were named, or, without any, at all that there may be."""
        if not self._lease.is_valid:
            return
        everywhere = not payloads or RECONNECTED in payloads
        named = frozenset() if everywhere else frozenset(RunUid(UUID(payload)) for payload in payloads)
        held = frozenset(uid for uid in named if self._owned.get(uid) is not None)
        await self._load_dropped()
        if everywhere:
            await self._find_strays()
        if everywhere or named - held:
            await self._claim()
        if everywhere or held:
            await self._read_requests()

    async def _claim(self) -> None:
        while (room := min(CLAIMS_MAX, self._runs_max - len(self._owned))) > 0:
            async with self._database.transaction() as connection:
                claimed = await leases.claim_runs(connection, self._lease.server_id, room)
            now = self._clock()
            self._dropped |= {claim.uid: _Dropped(claim.fence, now) for claim in claimed}
            note_takeovers(claimed)
            await self._load_dropped()
            if len(claimed) < room:
                self._has_backlog = False
                return
        self._has_backlog = True

    async def _find_strays(self) -> None:
        """Runs that are this server's by the database, and that it does not know of: made by a call that broke."""
        async with self._database.connection() as connection:
            held = await leases.held_runs(connection, self._lease.server_id)
        now = self._clock()
        for claim in held:
            if self._owned.get(claim.uid) is None and claim.uid not in self._dropped:
                self._dropped[claim.uid] = _Dropped(claim.fence, now)

    async def _load_dropped(self) -> None:
        now = self._clock()
        due = [(uid, dropped.fence) for uid, dropped in self._dropped.items() if dropped.due <= now]
        results = await asyncio.gather(*(self._load(uid, fence) for uid, fence in due), return_exceptions=True)
        _raise_first(results)

    async def _load(self, uid: RunUid, fence: int) -> None:
        async with self._loads, self._database.connection() as connection:
            record = await loading.load_run(connection, uid)
            repeated = record.run.rerun_of if record is not None else None
            earlier = await loading.load_run(connection, repeated) if repeated is not None else None
        if record is None or record.owner != self._lease.server_id or record.fence != fence:
            _log.info("run is gone, or another server's", extra={"run": str(uid), "fence": fence})
            self._forget_run(uid)
            return
        try:
            graph = self._graphs.compiled(record.run.spec_digest, record.spec)
            live = restore(
                record.run,
                record.tasks,
                record.attempts,
                record.now,
                graph,
                fence=fence,
                launcher=self._launcher.name,
                makes_pods=Capability.PODS in self._launcher.capabilities,
            )
            if earlier is not None:
                live.reusable = await asyncio.to_thread(reusable, earlier.run, earlier.tasks, self._has_content)
        except Exception:
            # A run that this version cannot read must not keep the server from the others.
            _log.exception("a run could not be loaded", extra={"run": str(uid)})
            self._try_later(uid, fence)
            return
        await self._hand_over(live, record.requests)
        self._dropped.pop(uid, None)

    async def _hand_over(self, live: LiveRun, requests: RequestFlags) -> None:
        uid = live.uid
        if requests.delete:
            self._doomed.add(uid)
        live.cancels_exit_tasks = requests.cancel_exit_tasks
        if live.state.is_final and (requests.delete or not requests.retry):
            await self._let_go(live, delete=requests.delete)
            return
        self._owned.take(live, *_first_events(live, requests))

    async def _let_go(self, live: LiveRun, *, delete: bool) -> None:
        """There is nothing to do for a run that has ended, but to delete it, if that was asked for."""
        self._doomed.discard(live.uid)
        async with self._database.transaction() as connection:
            if delete:
                await runs.delete(connection, live.uid)
            else:
                await leases.release_run(connection, live.uid, live.fence)

    async def _read_requests(self) -> None:
        async with self._database.connection() as connection:
            asked = await leases.read_requests(connection, self._lease.server_id)
        for uid, requests in asked.items():
            if (live := self._owned.get(uid)) is None:
                continue
            if requests.delete:
                self._doomed.add(uid)
            for event in _wishes(requests):
                self._owned.post(live, event)

    def _try_later(self, uid: RunUid, fence: int) -> None:
        faults = self._faults[uid] = self._faults.get(uid, 0) + 1
        self._dropped[uid] = _Dropped(fence, self._clock() + min(FAULT_DELAY_MAX_S, 2.0 ** (faults - 1)))

    def _forget_run(self, uid: RunUid) -> None:
        self._dropped.pop(uid, None)
        self._faults.pop(uid, None)
        self._doomed.discard(uid)


def _first_events(live: LiveRun, requests: RequestFlags) -> list[PlanEvent]:
    if live.state.is_final:
        return [RetryRequested()]
    wishes = _wishes(requests)
    if live.state is RunState.PENDING and (requests.cancel or requests.delete):
        return wishes
    return [RunTaken(), *wishes]


def _wishes(requests: RequestFlags) -> list[PlanEvent]:
    wishes: list[PlanEvent] = []
    if requests.pause is not None:
        wishes.append(PauseRequested() if requests.pause else ResumeRequested())
    if requests.limits is not None:
        wishes.append(LimitsChanged(requests.limits))
    if requests.cancel:
        message = requests.cancel_message or "cancelled on request"
        wishes.append(CancelRequested(reasons.CANCEL_REQUESTED, message, requests.cancel_exit_tasks))
    elif requests.delete:
        wishes.append(CancelRequested(reasons.RUN_DELETED, "cancelled in order to be deleted"))
    return wishes


def _raise_first(results: Iterable[BaseException | None]) -> None:
    for result in results:
        if result is not None:
            raise result
