"""One attempt as a pod: created or found, watched, stopped, judged.

    launch ──► create ──► see ──► see ──► ... ──► conclude
    adopt ───► find ───────▲       │ main ended, others go on: end the pod
                           └───────┘

What is known of it stands in the cluster and in its records; whatever is done here may have been done before, by this
server or another, and may be done again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from penstock_server.launch import verdicts
from penstock_server.launch.base import Observation, Phase, StepRequest
from penstock_server.launch.kubernetes.account import Account
from penstock_server.launch.kubernetes.api_errors import ApiError, ApiUnavailableError
from penstock_server.launch.kubernetes.budget import BudgetPlace
from penstock_server.launch.kubernetes.claims import is_claim_step, run_claim_step
from penstock_server.launch.kubernetes.conclusion import conclude, of_absent
from penstock_server.launch.kubernetes.creation import NotYetError, create_pod, find_pod
from penstock_server.launch.kubernetes.history import History
from penstock_server.launch.kubernetes.judge import is_overtime, judge
from penstock_server.launch.kubernetes.judgement import (
    Circumstances,
    Ending,
    Grounds,
    Judgement,
    Overtime,
    Pending,
    Refused,
    Started,
    Stuck,
    Verdict,
)
from penstock_server.launch.kubernetes.names import MAIN
from penstock_server.launch.kubernetes.nodes import is_lost
from penstock_server.launch.kubernetes.policy import PodError
from penstock_server.launch.kubernetes.records import Closing
from penstock_server.launch.kubernetes.removal import end_overtime, release, remove
from penstock_server.launch.kubernetes.troubles import newest_trouble
from penstock_server.launch.kubernetes.view import PodView
from penstock_server.launch.kubernetes.waits import is_unclear
from penstock_server.launch.kubernetes.work import Work
from penstock_server.launch.kubernetes.workplace import Workplace

_log = logging.getLogger(__name__)

REFUSED_RETRY_S = 10.0
LOOK_S = 15.0
"""So often the node of a pod that should be gone is asked after, or the events of one that does not start."""


@dataclass(slots=True)
class PodAttempt:
    """One attempt that this launcher has been told of. All methods are for the event loop."""

    request: StepRequest
    place: Workplace
    tell: Callable[[Observation], None]
    account: Account = field(init=False)
    """What was told of it."""
    pod: PodView | None = None
    """As it was seen last."""
    is_gone: bool = False
    """True once the pod was seen and is no more."""
    _history: History = field(default_factory=History)
    _is_stopping: bool = False
    _is_node_lost: bool = False
    _is_concluding: bool = False
    _is_ending_pod: bool = False
    _is_timing_out: bool = False
    _asked_at: float = 0.0
    """When its node or its events were asked for last, or the pod was made, by the loop's clock."""
    _refused_since: datetime | None = None
    """Since when its namespace has no room for it, or we no role there."""
    _room: BudgetPlace = field(init=False)
    """Its place among the pods that have not started."""
    _work: Work = field(init=False)

    def __post_init__(self) -> None:
        self.account = Account(self.request.attempt, self.tell)
        self._room = BudgetPlace(self.place.budget)
        self._work = Work(self.request.attempt, self._give_up)

    @property
    def depends_on_time(self) -> bool:
        """True while the mere passing of time may change what is to be said of it."""
        if self.pod is None or self._is_concluding:
            return False
        is_ending = self.pod.deletion_at is not None or self.pod.ended(MAIN) is not None
        return self.account.is_pending or is_ending or is_overtime(self.pod, self.place.clock())

    @property
    def is_reported(self) -> bool:
        """True when *stage-out* has stored its report, which keeps the attempt from starting again."""
        last = self.account.last
        return last is not None and last.phase is Phase.SUCCEEDED and not is_claim_step(self.request)

    def launch(self) -> None:
        """Make the pod, unless there is one."""
        self._work.begin(self._claim if is_claim_step(self.request) else self._create)

    def adopt(self, pod: PodView | None) -> None:
        """Go on with the pod there is; without one, find out what became of the attempt, or launch it."""
        if pod is not None:
            self._room.take_over()
            self.see(pod, False)
        elif self.request.has_started and not is_claim_step(self.request):
            self._work.begin(self._find)
        else:
            self.launch()

    def stop(self) -> None:
        """End it, with a short grace."""
        if self.account.has_ended or self._is_concluding or self._is_stopping:
            return
        self._is_stopping = True
        if self.pod is not None:
            self._work.begin(self._stop_pod)
        elif self._room.is_awaited or self._refused_since is not None:
            self._room.give_up()
            self._work.begin(self._stop_without_pod)
        # Else it is being made: that comes to an end first, and then looks at what was asked.

    def see(self, pod: PodView, is_gone: bool) -> None:
        """The pod is like this; with `is_gone` it was, and is no more."""
        if self.pod is not None and self.pod.uid != pod.uid and not self.is_gone:
            return  # another one of that name; that ours is gone is told as well
        if self._is_older(pod) and not is_gone:
            return
        if self.pod is None:
            age = self.place.clock() - pod.created_at
            self._asked_at = asyncio.get_running_loop().time() - max(0.0, age.total_seconds())
        self.pod, self.is_gone = pod, is_gone
        if not self._is_concluding:
            self._history = self._history.after(pod, self.place.clock())
            self._keep_log(pod)
            self.look()

    def look(self) -> None:
        """Judge what was seen last, at this time."""
        if self.pod is None or self._is_concluding:
            return
        circumstances = Circumstances(
            self.place.clock(),
            self.is_gone,
            is_stopping=self._is_stopping,
            is_timing_out=self._is_timing_out,
            is_node_lost=self._is_node_lost,
        )
        self._act(judge(self.pod, self._history, circumstances, self.place.settings.graces))

    async def close(self) -> None:
        """Let go of it; the pod goes on."""
        await self._work.close()
        self._room.give_back()

    # Acting on what is seen

    def _act(self, judgement: Judgement) -> None:
        match judgement:
            case Pending():
                self._wait(judgement)
            case Started(reason, message):
                self._report_started(reason, message)
            case Ending(held_by, is_slow):
                self._report_started()
                if held_by and not self._is_ending_pod:
                    self._is_ending_pod = True
                    self._work.begin(self._release)
                if is_slow:
                    self._ask(self._look_for_report)
            case Stuck():
                self._ask(self._look_at_node)
            case Overtime():
                if not self._is_timing_out:
                    self._is_timing_out = True
                    self._work.begin(self._end_overtime)
            case Refused():
                self._is_concluding = True
                self._work.begin(self._explain)
            case Verdict():
                self._is_concluding = True
                self._work.begin(lambda: self._conclude(judgement))

    def _wait(self, waits: Pending) -> None:
        self.account.waits(self.pod, waits.reason, waits.message)
        if waits.is_grave and waits.grounds is not None:
            self._warn(waits.reason, waits.message, waits.grounds, waits.grounds.value)
        if self.pod is not None and is_unclear(self.pod, self.place.clock()):
            self._ask(self._look_for_trouble)

    def _warn(self, reason: str, message: str, grounds: Grounds, ends_as: str) -> None:
        grace_s = self.place.settings.graces.of(grounds).total_seconds()
        self.account.warn(self.pod, reason, message, ends_as=ends_as, grace_s=grace_s)

    def _report_started(self, reason: str = "", message: str = "") -> None:
        self._room.give_back()
        self._tell(Observation(self.request.attempt, Phase.STARTED, reason, message))

    def _keep_log(self, pod: PodView) -> None:
        """Store what grows too large for the node; all of it once there will be no more, or before it goes."""
        request, logs = self.request, self.place.logs
        if self.is_gone or not pod.has_run(MAIN):
            return
        if pod.ended(MAIN) is not None or pod.deletion_at is not None:
            logs.keep(request.attempt, pod, request.fence)
        else:
            logs.collect(request.attempt, pod, request.fence, has_run=request.has_started)

    def _ask(self, question: Callable[[], Awaitable[None]]) -> None:
        """Ask the cluster, if that was not done just now."""
        now = asyncio.get_running_loop().time()
        if now - self._asked_at >= LOOK_S:
            self._asked_at = now
            self._work.begin(question)

    async def _look_at_node(self) -> None:
        assert self.pod is not None
        if await is_lost(self.place.api, self.pod.node):
            self._is_node_lost = True
            self.look()
            await remove(self.pod, self.place, grace_s=0)

    async def _look_for_trouble(self) -> None:
        assert self.pod is not None
        try:
            trouble = await newest_trouble(self.place.api, self.pod)
        except ApiUnavailableError:
            raise
        except ApiError as error:
            # What was told before still counts.
            _log.warning("events or log of a pod not read", extra={"pod": self.pod.name, "error": str(error)})
            return
        if trouble is not None and not self._is_concluding:
            self._history = replace(self._history, trouble=trouble).after(self.pod, self.place.clock())
            self.look()

    async def _look_for_report(self) -> None:
        """*stage-out* may have done its work, though containers of others keep the pod's status from telling so."""
        if await self.place.records.is_reported(self.request.attempt) and not self._is_concluding:
            self._act(Verdict(Phase.SUCCEEDED, exit_code=0))

    async def _release(self) -> None:
        assert self.pod is not None
        await release(self.pod, self.request, self.place)

    async def _end_overtime(self) -> None:
        assert self.pod is not None
        await end_overtime(self.pod, self.request, self.place)

    async def _conclude(self, verdict: Verdict) -> None:
        assert self.pod is not None
        self._end(await conclude(verdict, self.request, self.pod, self.place))

    async def _explain(self) -> None:
        """*stage-in* has refused to start it."""
        told = await of_absent(self.request, self.place)
        message = "the stage agent refused to start the attempt, and nothing tells why"
        self._end(told or Observation(self.request.attempt, Phase.LOST, "LAUNCHER_ERROR", message))

    # Making the pod

    async def _create(self) -> None:
        if self._is_stopping:
            return await self._stop_without_pod()
        await self._room.take(self._report_full)
        try:
            pod = await create_pod(self.request, self.place)
        except PodError as error:
            return await self._refuse(error)
        except NotYetError as error:
            return await self._await_leave(error)
        self.see(pod, False)
        if self._is_stopping:
            await self._stop_pod()
        return None

    def _report_full(self) -> None:
        message = "as many pods wait for a place in the cluster as this server lets wait"
        self.account.waits(None, "PENDING_PODS_LIMIT", message)

    async def _await_leave(self, refusal: NotYetError) -> None:
        """Try again in a while, for as long as a pod may wait for a node."""
        now, grace = self.place.clock(), self.place.settings.graces.of(Grounds.SCHEDULING)
        self._refused_since = self._refused_since or now
        if now - self._refused_since >= grace:
            return await self._refuse(PodError(refusal.reason, refusal.message))
        if now - self._refused_since >= grace / 2:
            self._warn(refusal.reason, refusal.message, Grounds.SCHEDULING, refusal.reason)
        self._room.give_back()
        self.account.waits(None, refusal.reason, refusal.message)
        await asyncio.sleep(REFUSED_RETRY_S)
        self._work.begin(self._create)
        return None

    async def _claim(self) -> None:
        told = await of_absent(self.request, self.place)
        if told is None and self._is_stopping:
            return await self._stop_without_pod()
        self._tell(Observation(self.request.attempt, Phase.STARTED))
        self._end(told or await run_claim_step(self.request, self.place))
        return None

    async def _find(self) -> None:
        """It was seen running, and nothing is known of its pod."""
        try:
            pod = await find_pod(self.request, self.place)
        except PodError as error:
            return await self._refuse(error)
        if pod is not None:
            return self.adopt(pod)
        message = "the attempt had started, and its pod is gone without a trace"
        told = await of_absent(self.request, self.place)
        return self._end(told or Observation(self.request.attempt, Phase.LOST, "POD_DELETED", message))

    async def _refuse(self, error: PodError) -> None:
        await self.place.logs.note(self.request.attempt, error.message)
        self._end(verdicts.failed(self.request.attempt, error.reason, error.message))

    # Stopping it

    async def _stop_pod(self) -> None:
        assert self.pod is not None
        if not self.is_gone and not self._is_concluding:
            await remove(self.pod, self.place, self.place.settings.stop_grace_s)

    async def _stop_without_pod(self) -> None:
        """See to it that it never starts; a pod that was made meanwhile is ended."""
        await self.place.records.close(self.request.attempt, Closing(verdicts.STOPPED))
        try:
            pod = await find_pod(self.request, self.place) if not is_claim_step(self.request) else None
        except PodError:
            pod = None
        if pod is None:
            return self._end(verdicts.stopped(self.request.attempt, verdicts.STOPPED, None, ""))
        self.see(pod, False)
        return await self._stop_pod()

    # Telling

    def _end(self, verdict: Observation) -> None:
        self._is_concluding = True
        self._room.give_back()
        self._tell(verdict)

    def _tell(self, observation: Observation) -> None:
        self.account.add(self.pod, observation)

    # Foundations

    def _is_older(self, pod: PodView) -> bool:
        """Whether this is older than what was seen: a watch may tell of a pod before its creation returns."""
        known = self.pod
        if known is None or known.uid != pod.uid:
            return False
        return known.resource_version.isdigit() and int(pod.resource_version or 0) < int(known.resource_version)

    def _give_up(self, error: Exception) -> None:
        message = f"the launcher failed on this attempt again and again: {error}"
        self._end(verdicts.failed(self.request.attempt, "LAUNCHER_ERROR", message))
