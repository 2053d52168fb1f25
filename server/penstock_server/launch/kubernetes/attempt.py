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
from penstock_server.launch.kubernetes.api import Kind
from penstock_server.launch.kubernetes.api_errors import ApiConflictError, ApiError, ApiUnavailableError
from penstock_server.launch.kubernetes.budget import BudgetPlace
from penstock_server.launch.kubernetes.claims import is_claim_step, run_claim_step
from penstock_server.launch.kubernetes.conclusion import closing_of, conclude, of_absent
from penstock_server.launch.kubernetes.creation import QUOTA_EXCEEDED, QuotaError, create_pod, find_pod
from penstock_server.launch.kubernetes.history import History
from penstock_server.launch.kubernetes.judge import is_overtime, judge, timed_out
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
from penstock_server.launch.kubernetes.troubles import newest_trouble
from penstock_server.launch.kubernetes.view import PodView
from penstock_server.launch.kubernetes.waits import is_unclear, says_the_same
from penstock_server.launch.kubernetes.work import Work
from penstock_server.launch.kubernetes.workplace import Workplace

_log = logging.getLogger(__name__)

QUOTA_RETRY_S = 10.0
LOOK_S = 15.0
"""So often the node of a pod that should be gone is asked after, or the events of one that does not start."""


@dataclass(slots=True)
class PodAttempt:
    """One attempt that this launcher has been told of. All methods are for the event loop."""

    request: StepRequest
    place: Workplace
    tell: Callable[[Observation], None]
    last: Observation | None = None
    """What was told last."""
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
    """When its node or its events were asked for last, or the pod was first seen, by the loop's clock."""
    _refused_since: datetime | None = None
    """Since when its namespace has no room for it."""
    _room: BudgetPlace = field(init=False)
    """Its place among the pods that have not started."""
    _work: Work = field(init=False)

    def __post_init__(self) -> None:
        self._room = BudgetPlace(self.place.budget)
        self._work = Work(self.request.attempt, self._give_up)

    @property
    def has_ended(self) -> bool:
        """True when its end was told."""
        return self.last is not None and self.last.phase.is_final

    @property
    def depends_on_time(self) -> bool:
        """True while the mere passing of time may change what is to be said of it."""
        if self.pod is None or self._is_concluding:
            return False
        is_pending = self.last is not None and self.last.phase is Phase.PENDING
        is_ending = self.pod.deletion_at is not None or self.pod.ended(MAIN) is not None
        return is_pending or is_ending or is_overtime(self.pod, self.place.clock())

    @property
    def is_reported(self) -> bool:
        """True when *stage-out* has stored its report, which keeps the attempt from starting again."""
        return self.last is not None and self.last.phase is Phase.SUCCEEDED and not is_claim_step(self.request)

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
        if self.has_ended or self._is_concluding or self._is_stopping:
            return
        self._is_stopping = True
        if self.pod is not None:
            self._work.begin(self._stop_pod)
        elif self._room.is_awaited:
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
            self._asked_at = asyncio.get_running_loop().time()
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
            case Pending(reason, message):
                self._report_pending(reason, message)
                if self.pod is not None and is_unclear(self.pod, self.place.clock()):
                    self._ask(self._look_for_trouble)
            case Started(reason, message):
                self._report_started(reason, message)
            case Ending(held_by, is_slow):
                self._report_started()
                if held_by and not self._is_ending_pod:
                    self._is_ending_pod = True
                    self._work.begin(self._end_pod)
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

    def _report_pending(self, reason: str, message: str) -> None:
        if self.last is None or not says_the_same(reason, self.last.reason):
            self._tell(Observation(self.request.attempt, Phase.PENDING, reason, message))

    def _report_started(self, reason: str = "", message: str = "") -> None:
        self._room.give_back()
        self._tell(Observation(self.request.attempt, Phase.STARTED, reason, message))

    def _keep_log(self, pod: PodView) -> None:
        """Store the log once there will be no more of it, or before it goes."""
        is_going = pod.ended(MAIN) is not None or pod.deletion_at is not None
        if is_going and pod.has_run(MAIN) and not self.is_gone:
            self.place.logs.keep(self.request.attempt, pod)

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
            await self._delete(self.pod, grace_s=0)

    async def _look_for_trouble(self) -> None:
        assert self.pod is not None
        try:
            trouble = await newest_trouble(self.place.api, self.pod)
        except ApiUnavailableError:
            raise
        except ApiError as error:
            # What was told before still counts: the grace of a pod must not begin anew because we could not ask.
            _log.warning("events or log of a pod not read", extra={"pod": self.pod.name, "error": str(error)})
            return
        if not self._is_concluding:
            self._history = replace(self._history, trouble=trouble).after(self.pod, self.place.clock())
            self.look()

    async def _look_for_report(self) -> None:
        """*stage-out* may have done its work, though containers of others keep the pod's status from telling so."""
        if await self.place.records.is_reported(self.request.attempt) and not self._is_concluding:
            self._is_concluding = True
            await self._conclude(Verdict(Phase.SUCCEEDED, exit_code=0))

    async def _end_pod(self) -> None:
        """Others keep the pod from ending, though the step has ended well: end it, which lets *stage-out* begin."""
        assert self.pod is not None
        ended_well = Verdict(Phase.SUCCEEDED, exit_code=0)
        await self.place.records.close(self.request.attempt, closing_of(ended_well, self.request))
        await self._delete(self.pod, grace_s=self.place.settings.frame.grace_of(self.request))

    async def _end_overtime(self) -> None:
        """End it with the short grace, before its node does with the one that *stage-out* has for outputs."""
        assert self.pod is not None
        await self.place.records.close(self.request.attempt, closing_of(timed_out(self.pod), self.request))
        await self._stop_pod()

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
        except QuotaError as error:
            return await self._await_quota(str(error))
        self.see(pod, False)
        if self._is_stopping:
            await self._stop_pod()
        return None

    def _report_full(self) -> None:
        message = "as many pods wait for a place in the cluster as this server lets wait"
        self._report_pending("PENDING_PODS_LIMIT", message)

    async def _await_quota(self, message: str) -> None:
        """Try again in a while, for as long as a pod may wait for a node. Raises ApiUnavailableError."""
        now = self.place.clock()
        self._refused_since = self._refused_since or now
        if now - self._refused_since >= self.place.settings.graces.of(Grounds.SCHEDULING):
            return await self._refuse(PodError(QUOTA_EXCEEDED, message))
        self._room.give_back()
        self._report_pending(QUOTA_EXCEEDED, message)
        raise ApiUnavailableError(0, QUOTA_EXCEEDED, message, QUOTA_RETRY_S)

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
            await self._delete(self.pod, grace_s=self.place.settings.stop_grace_s)

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

    async def _delete(self, pod: PodView, *, grace_s: int) -> None:
        try:
            await self.place.api.delete(Kind.PODS, pod.namespace, pod.name, uid=pod.uid, grace_s=grace_s)
        except ApiConflictError:
            return  # That one is gone.

    # Telling

    def _end(self, verdict: Observation) -> None:
        self._is_concluding = True
        self._room.give_back()
        self._tell(verdict)

    def _tell(self, observation: Observation) -> None:
        told = observation
        if (pod := self.pod) is not None:
            told = replace(told, host=pod.node, handle=f"{pod.namespace}/{pod.name}")
        if told != self.last and not self.has_ended:
            self.last = told
            self.tell(told)

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
