"""The runs that this server owns, in memory, and the one task that moves them.

    observations, timers, answers, claims ──► inbox ──► plan.advance ──► committer ──► effects

Nothing else touches a `LiveRun`. What cannot be written or done makes the run be dropped and loaded again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from penstock_server.engine.commit import Committer
from penstock_server.engine.dispatch import Dispatcher
from penstock_server.engine.effects import (
    Adopt,
    AwaitTwin,
    Decisions,
    Effect,
    Finished,
    Forget,
    GiveSlotBack,
    GoOn,
    KeepSlot,
    Launch,
    Limit,
    LookUpCache,
    Stop,
    WaitForDeadline,
    WaitForQueue,
    WaitForRetry,
    WantSlot,
)
from penstock_server.engine.incidents import note_failure
from penstock_server.engine.inputs import (
    Continued,
    DeadlinePassed,
    Observed,
    PlanEvent,
    QueueTimedOut,
    RetryDue,
    SlotGranted,
    TwinEnded,
    TwinFound,
)
from penstock_server.engine.leases import Clock
from penstock_server.engine.observer import EngineObserver
from penstock_server.engine.plan import advance
from penstock_server.engine.slots import Slots
from penstock_server.engine.state import LiveRun
from penstock_server.engine.steps import uses_results
from penstock_server.engine.twins import Twins
from penstock_server.launch.base import Observation
from penstock_server.model.ids import AttemptId, RunUid, TaskId
from penstock_server.model.states import RunState

_log = logging.getLogger(__name__)

TURN_S = 0.005
"""After so long the other tasks of the process have their turn."""
WAITING_PER_SLOT_MAX = 8
"""With more steps waiting for each slot a server is busy."""


class Owner(Protocol):
    """Who brings runs in, and hears of those that leave."""

    def finished(self, run: LiveRun) -> None:
        """The run has ended and is no longer held."""

    def dropped(self, run: LiveRun, *, fault: bool) -> None:
        """The run is no longer held although it has not ended: load it again. `fault`: not at once."""

    def look_up(self, run: LiveRun, ask: LookUpCache) -> None:
        """Look through the results of earlier runs and answer with `CacheAnswered`."""

    def may_act(self) -> bool:
        """True while the lease is surely valid."""


class OwnedRuns:
    """Takes inputs in order, advances runs, hands decisions to the committer and lets effects happen."""

    def __init__(self, owner: Owner, slots: Slots, observer: EngineObserver, clock: Clock) -> None:
        self._owner = owner
        self._clock = clock
        self._slots = slots
        self._twins = Twins()
        self._observer = observer
        self._runs: dict[RunUid, LiveRun] = {}
        self._timers: dict[LiveRun, set[asyncio.TimerHandle]] = {}
        self._inbox: deque[tuple[LiveRun | None, PlanEvent]] = deque()
        self._inbox_since = 0.0
        self._awake = asyncio.Event()
        self._granting = True
        self._committer: Committer
        self._dispatcher: Dispatcher

    def wire(self, committer: Committer, dispatcher: Dispatcher) -> None:
        """Hand over what decisions go to; the three know each other."""
        self._committer = committer
        self._dispatcher = dispatcher

    def __len__(self) -> int:
        return len(self._runs)

    @property
    def running_step_count(self) -> int:
        """How many steps hold a slot."""
        return self._slots.held

    def get(self, uid: RunUid) -> LiveRun | None:
        """The run, if it is held."""
        return self._runs.get(uid)

    def take(self, run: LiveRun, *events: PlanEvent) -> None:
        """Hold the run from now on, and begin with the events; one that is held already stays as it is."""
        if run.uid in self._runs:
            return
        self._observer.run_taken(run.record, resumed=run.state is not RunState.PENDING)
        self._runs[run.uid] = run
        self._slots.set_limits(run.uid, run.limits)
        for event in events:
            self.post(run, event)

    def post(self, run: LiveRun, event: PlanEvent) -> None:
        """Something happened to the run."""
        self._enter((run, event))

    def observed(self, observation: Observation) -> None:
        """A launcher saw something; what it saw of runs not held here is told again when they are loaded."""
        self._enter((None, Observed(observation)))

    @property
    def is_busy(self) -> bool:
        """True while steps wait in numbers that other servers had better share."""
        return self._slots.waiting > WAITING_PER_SLOT_MAX * self._slots.limit

    def stop_granting(self) -> None:
        """Start no further steps."""
        self._granting = False

    def drop_all(self) -> list[LiveRun]:
        """Let go of all runs, as they are in the database."""
        runs = list(self._runs.values())
        for run in runs:
            self._let_go(run)
        return runs

    async def work(self) -> None:
        """Take one input after the other, until cancelled."""
        while True:
            await self._awake.wait()
            self._awake.clear()
            if self._inbox:
                self._observer.loop_lag(self._clock() - self._inbox_since)
            self._work_through()
            while self._inbox:
                await asyncio.sleep(0)
                self._work_through()
            self._report()

    # Of the committer: how a commit went.

    def committed(self, run: LiveRun, effects: list[Effect]) -> None:
        """Let the effects happen."""
        if not self._holds(run):
            return
        try:
            for effect in effects:
                _PERFORM[type(effect)](self, run, effect)
        except Exception:
            # As in `_advance`: what was not done is derived anew from the database.
            _log.exception("effects of a run broke", extra={"run": str(run.uid)})
            self.unknown(run, fault=True)

    def refused(self, run: LiveRun) -> None:
        """The run is another server's, or elsewhere than thought; its attempts are left alone either way."""
        self.unknown(run, fault=False)

    def unknown(self, run: LiveRun, *, fault: bool) -> None:
        """The database knows better what the run's state is."""
        if self._let_go(run):
            self._owner.dropped(run, fault=fault)

    # Of the dispatcher: whether it may act.

    def may_act(self, run: LiveRun) -> bool:
        """True while the run is held, as this object, under a valid lease."""
        return self._holds(run) and self._owner.may_act()

    def reload(self, run: LiveRun) -> None:
        """An effect could not happen; derive it again from the database."""
        self.unknown(run, fault=False)

    # The work itself.

    def _work_through(self) -> None:
        """Take inputs until there are none, or until others have to have their turn; then hand out free slots."""
        until = self._clock() + TURN_S
        while self._inbox and self._clock() < until:
            run, event = self._inbox.popleft()
            self._advance(run, event)
        self._grant()

    def _enter(self, item: tuple[LiveRun | None, PlanEvent]) -> None:
        if not self._inbox:
            self._inbox_since = self._clock()
            self._awake.set()
        self._inbox.append(item)

    def _advance(self, run: LiveRun | None, event: PlanEvent) -> None:
        if isinstance(event, Observed):
            run = self._runs.get(event.observation.attempt.run_uid)
        if run is None or not self._holds(run):
            return
        try:
            self._carry_out(run, advance(run, event))
        except Exception:
            # A fault of ours in one run must not end the others'; the database still has its last good state.
            _log.exception("a run could not be advanced", extra={"run": str(run.uid), "event": repr(event)})
            self.unknown(run, fault=True)

    def _carry_out(self, run: LiveRun, decisions: Decisions) -> None:
        for ask in decisions.asks:
            match ask:
                case WantSlot():
                    self._slots.want(run.uid, ask.task_id, self._clock())
                case GiveSlotBack():
                    self._slots.give_back(run.uid, ask.task_id)
                case KeepSlot():
                    self._slots.keep(run.uid, ask.task_id)
                    self._starts(run, ask.task_id)
                case Limit():
                    self._slots.set_limits(run.uid, ask.limits)
                case LookUpCache():
                    self._look_up(run, ask)
                case AwaitTwin():
                    if not self._twins.wait(ask.cache_key, run.uid, ask.task_id):
                        self.post(run, TwinEnded(ask.task_id))
                case GoOn():
                    self.post(run, Continued())
        self._committer.add(run, decisions)

    def _grant(self) -> None:
        """Hand out free slots now, so that the end of one step and the start of the next are one commit."""
        while self._granting and (granted := self._slots.grant()) is not None:
            uid, task_id = granted
            if (run := self._runs.get(uid)) is not None:
                twin = self._twin_of(run, task_id)
                if twin is None:
                    self._starts(run, task_id)
                self._advance(run, SlotGranted(task_id) if twin is None else TwinFound(task_id, twin))

    def _look_up(self, run: LiveRun, ask: LookUpCache) -> None:
        """Look for a result, unless one is being made, or has been made and is not committed."""
        twin = self._twin_of(run, ask.task_id)
        if twin is None:
            self._owner.look_up(run, ask)
        else:
            self.post(run, TwinFound(ask.task_id, twin))

    def _twin_of(self, run: LiveRun, task_id: TaskId) -> str | None:
        """The step that runs already and whose results the task would take, in words."""
        task = run.tasks[task_id]
        if task.cache_key is None or not uses_results(run, task):
            return None
        found = self._twins.running(task.cache_key)
        if found is None or (other := self._runs.get(found[0])) is None:
            return None
        return f"run {other.record.id} task {found[1]}"

    def _starts(self, run: LiveRun, task_id: TaskId) -> None:
        if (key := run.tasks[task_id].cache_key) is not None:
            self._twins.start(key, run.uid, task_id)

    def _tell_twins(self, waiting: Iterable[tuple[RunUid, TaskId]]) -> None:
        for uid, task_id in waiting:
            if (run := self._runs.get(uid)) is not None:
                self.post(run, TwinEnded(task_id))

    def _report(self) -> None:
        since = self._slots.waiting_since
        oldest_s = 0.0 if since is None else self._clock() - since
        self._observer.queue_depth(self._slots.waiting, self._slots.held, oldest_s)

    def _holds(self, run: LiveRun) -> bool:
        return self._runs.get(run.uid) is run

    def _let_go(self, run: LiveRun) -> bool:
        if not self._holds(run):
            return False
        del self._runs[run.uid]
        self._committer.drop(run)
        self._slots.drop(run.uid)
        self._tell_twins(self._twins.drop(run.uid))
        self._awake.set()
        for timer in self._timers.pop(run, ()):
            timer.cancel()
        return True

    def _finish(self, run: LiveRun, _: Finished) -> None:
        self._observer.run_finished(run.record, run.state, run.reason)
        if self._let_go(run):
            self._owner.finished(run)

    def _launch(self, run: LiveRun, effect: Launch) -> None:
        self._dispatcher.launch(run, effect)

    def _adopt(self, run: LiveRun, effect: Adopt) -> None:
        self._dispatcher.adopt(run, effect)

    def _stop(self, run: LiveRun, effect: Stop) -> None:
        self._dispatcher.stop(run, effect)

    def _forget(self, run: LiveRun, effect: Forget) -> None:
        if effect.state is not None:
            attempt = AttemptId(run.uid, effect.task_id, effect.number)
            self._observer.attempt_finished(attempt, run.record, effect.state)
            self._tell_twins(self._twins.end(run.uid, effect.task_id))
        if effect.failure is not None:
            note_failure(run, effect.failure)
        self._dispatcher.forget(run, effect)

    def _wait_for_retry(self, run: LiveRun, effect: WaitForRetry) -> None:
        self._after(effect.delay_s, run, RetryDue(effect.task_id))

    def _wait_for_queue(self, run: LiveRun, effect: WaitForQueue) -> None:
        self._after(effect.delay_s, run, QueueTimedOut(effect.task_id, effect.wait))

    def _wait_for_deadline(self, run: LiveRun, effect: WaitForDeadline) -> None:
        self._after(effect.delay_s, run, DeadlinePassed())

    def _after(self, delay_s: float, run: LiveRun, event: PlanEvent) -> None:
        timers = self._timers.setdefault(run, set())

        def ring() -> None:
            timers.discard(handle)
            self.post(run, event)

        handle = asyncio.get_running_loop().call_later(delay_s, ring)
        timers.add(handle)


_PERFORM: dict[type, Callable[[OwnedRuns, LiveRun, Any], None]] = {
    Launch: OwnedRuns._launch,
    Adopt: OwnedRuns._adopt,
    Stop: OwnedRuns._stop,
    Forget: OwnedRuns._forget,
    WaitForRetry: OwnedRuns._wait_for_retry,
    WaitForQueue: OwnedRuns._wait_for_queue,
    WaitForDeadline: OwnedRuns._wait_for_deadline,
    Finished: OwnedRuns._finish,
}
