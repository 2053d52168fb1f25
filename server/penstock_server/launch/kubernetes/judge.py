"""How far the attempt in a pod is: a pure function from what is seen of the pod, and the time.

    Pending ──► Started ──► Ending ──► Verdict        Refused: *stage-in* found that it may not start
        └────────────┴──────────────────► Verdict     Stuck: its node does not answer

The step is `main`; *stage-in* and *stage-out* are ours. Whatever else is in the pod neither keeps the step alive nor
fails it. What counts of `main` is how it ended by itself: an end that somebody else brought about - a deletion, an
eviction, the pod's deadline - says nothing of the step, even where the exit code is 0.
"""

import re
import signal
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from penstock_agent import exits
from penstock_server.launch.base import Phase
from penstock_server.launch.kubernetes.names import MAIN, STAGE_IN, STAGE_OUT
from penstock_server.launch.kubernetes.view import Container, Ended, PodView, Running, Waiting


class Grounds(StrEnum):
    """Why a pod that does not start may be given up, once it has had its grace."""

    IMAGE = "IMAGE_UNAVAILABLE"
    CONFIG = "CONTAINER_CONFIG_INVALID"
    START = "CONTAINER_START_FAILED"
    SCHEDULING = "UNSCHEDULABLE"


@dataclass(frozen=True, slots=True)
class Graces:
    """How long a pod may fail to start, in seconds from when it was first seen to fail so."""

    image_s: float = 120
    config_s: float = 60
    start_s: float = 60
    scheduling_s: float = 3600
    lost_node_s: float = 30
    """How long after the end of a pod's own grace it may still be there before its node is asked after."""

    def of(self, grounds: Grounds) -> timedelta:
        """The grace of a pod that fails to start on these grounds."""
        seconds = {
            Grounds.IMAGE: self.image_s,
            Grounds.CONFIG: self.config_s,
            Grounds.START: self.start_s,
            Grounds.SCHEDULING: self.scheduling_s,
        }
        return timedelta(seconds=seconds[grounds])


@dataclass(frozen=True, slots=True)
class Failing:
    """Since when a pod has failed to start, and on what grounds."""

    grounds: Grounds
    since: datetime


@dataclass(frozen=True, slots=True)
class History:
    """What earlier looks at the pod have shown, and the last ones do not."""

    failing: Failing | None = None
    interfered_at: datetime | None = None
    """When somebody first asked for its end. The last event of a deleted pod does not tell it: the kubelet has
    deleted it once more by then, with no grace."""
    main: Ended | None = None
    """How `main` ended, seen before anybody had asked for the end of the pod."""

    def after(self, pod: PodView, now: datetime) -> "History":
        """The history once `pod` was looked at."""
        interfered_at = self.interfered_at or _interfered_at(pod)
        main = self.main or (pod.ended(MAIN) if interfered_at is None else None)
        if main is not None and main.reason == _UNKNOWN_END:
            main = None
        pending, _ = _pending(pod)
        failing = self.failing
        if pending.grounds is not None and (failing is None or failing.grounds is not pending.grounds):
            failing = Failing(pending.grounds, now)
        return replace(self, failing=failing, interfered_at=interfered_at, main=main)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the verdict depends on beside the pod and its history."""

    now: datetime
    is_gone: bool = False
    """The API server has no such pod any more; the view is the last one there was."""
    is_stopping: bool = False
    """It was asked to stop, by us."""
    is_node_lost: bool = False
    """Its node is known to be lost."""


@dataclass(frozen=True, slots=True)
class Pending:
    """`main` has not started."""

    reason: str
    """Of the cluster, in UPPER_SNAKE."""
    message: str = ""
    grounds: Grounds | None = None
    """Why it will be given up, should it stay so."""


@dataclass(frozen=True, slots=True)
class Started:
    """`main` runs."""


@dataclass(frozen=True, slots=True)
class Ending:
    """`main` has ended well, and *stage-out* has its work to do."""

    held_by: tuple[str, ...] = ()
    """Containers that would keep the pod from ending: it has to be deleted for *stage-out* to begin."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """It should be gone by now: its node may be lost."""


@dataclass(frozen=True, slots=True)
class Refused:
    """*stage-in* did not let it start: the records of the attempt say why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the attempt has ended."""

    phase: Phase
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    report: str = ""
    """Of one that succeeded: what *stage-out* left as its termination message."""


Judgement = Pending | Started | Ending | Stuck | Refused | Verdict

_WAITING: dict[str, tuple[Grounds, bool]] = {
    "ErrImagePull": (Grounds.IMAGE, False),
    "ImagePullBackOff": (Grounds.IMAGE, False),
    "ImageInspectError": (Grounds.IMAGE, False),
    "RegistryUnavailable": (Grounds.IMAGE, False),
    "SignatureValidationFailed": (Grounds.IMAGE, False),
    "ErrImageNeverPull": (Grounds.IMAGE, False),
    "InvalidImageName": (Grounds.IMAGE, True),
    "CreateContainerConfigError": (Grounds.CONFIG, False),
    "CreateContainerError": (Grounds.START, False),
    "RunContainerError": (Grounds.START, False),
    "CrashLoopBackOff": (Grounds.START, False),
    "PostStartHookError": (Grounds.START, False),
    "PreCreateHookError": (Grounds.START, False),
    "PreStartHookError": (Grounds.START, False),
}
"""Reasons of waiting containers that lead to the end of the attempt; True: nothing can make it better."""

_UNPREPARED = {
    exits.INPUT_UNAVAILABLE: (Phase.FAILED, "INPUT_UNAVAILABLE"),
    exits.VOLUME_UNUSABLE: (Phase.FAILED, "ENVIRONMENT_FAILED"),
    exits.STORE_UNAVAILABLE: (Phase.LOST, "STORE_UNAVAILABLE"),
}
"""What becomes of a step by the exit code of *stage-in*; any other is a fault of ours."""

_EVER = datetime.min.replace(tzinfo=UTC)
_KILLED = (128 + signal.SIGTERM, 128 + signal.SIGKILL)
_UNKNOWN_END = "ContainerStatusUnknown"
_OWN_LIMIT = re.compile(r"\bexceed(s|ed)\b.*\blimit\b")
"""What the kubelet says of a pod that it evicts because it has taken more than it asked for."""
_NEVER_RAN = frozenset({"StartError", "ContainerCannotRun"})
_DISRUPTIONS = {
    "PreemptionByScheduler": ("POD_PREEMPTED", "its place was given to a pod of higher priority"),
    "Preempting": ("POD_PREEMPTED", "its place was given to a pod of higher priority"),
    "DeletionByTaintManager": ("POD_EVICTED", "its node was tainted"),
    "EvictionByEvictionAPI": ("POD_EVICTED", "it was evicted, as when its node is drained"),
    "TerminationByKubelet": ("POD_EVICTED", "its node ended it, for want of resources or to shut down"),
    "Evicted": ("POD_EVICTED", "its node evicted it"),
    "DeletionByPodGC": ("NODE_LOST", "its node is gone"),
    "NodeLost": ("NODE_LOST", "its node does not answer"),
    "Shutdown": ("NODE_SHUTDOWN", "its node was shut down"),
    "NodeShutdown": ("NODE_SHUTDOWN", "its node was shut down"),
    "Terminated": ("NODE_SHUTDOWN", "its node was shut down"),
}


def judge(pod: PodView, history: History, circumstances: Circumstances, graces: Graces) -> Judgement:
    """How far the attempt in `pod` is. `history` is that after this look at it."""
    main = _own_end(pod, history)
    if main is not None:
        return _after_main(pod, main, circumstances, graces)
    if pod.reason == "DeadlineExceeded":
        return _timed_out(pod)
    if circumstances.is_gone or circumstances.is_node_lost or pod.is_over or pod.ended(MAIN) is not None:
        return _not_by_itself(pod, history, circumstances)
    if _is_overdue(pod, circumstances, graces):
        return Stuck()
    if isinstance(pod.state_of(MAIN), Running):
        return Started()
    return _before_main(pod, history, circumstances, graces)


# Before `main`


def _before_main(pod: PodView, history: History, circumstances: Circumstances, graces: Graces) -> Judgement:
    stage_in = pod.ended(STAGE_IN)
    if stage_in is not None and stage_in.exit_code != 0:
        return _unprepared(stage_in)
    pending, is_hopeless = _pending(pod)
    if pending.grounds is None or pod.deletion_at is not None:
        return pending
    failing = history.failing
    is_late = failing is not None and circumstances.now - failing.since >= graces.of(pending.grounds)
    return _given_up(pending, pending.grounds) if is_hopeless or is_late else pending


def _unprepared(stage_in: Ended) -> Judgement:
    if stage_in.exit_code in (exits.ALREADY_ENDED, exits.CLOSED):
        return Refused()
    phase, reason = _UNPREPARED.get(stage_in.exit_code, (Phase.LOST, "LAUNCHER_ERROR"))
    return Verdict(phase, reason, f"the step could not be prepared: {stage_in.message.strip() or _how(stage_in)}")


def _failed_init(pod: PodView) -> Verdict | None:
    """The end of a step because of an init container that is not ours; they run one after the other."""
    others = (each for each in pod.containers.values() if each.is_init and each.name not in (STAGE_IN, STAGE_OUT))
    for container in others if pod.is_over else ():
        if isinstance(container.state, Ended) and container.state.exit_code != 0:
            how = _how(container.state)
            message = f"the step could not start: the init container {container.name!r} ended with {how}"
            return Verdict(Phase.FAILED, "ENVIRONMENT_FAILED", message)
    return None


def _pending(pod: PodView) -> tuple[Pending, bool]:
    """What it waits for; True: without any hope."""
    for name in (*pod.containers, MAIN):
        state = pod.state_of(name)
        if isinstance(state, Waiting) and state.reason in _WAITING:
            grounds, is_hopeless = _WAITING[state.reason]
            return Pending(_upper_snake(state.reason), f"{name}: {state.message or state.reason}", grounds), is_hopeless
    stage_out = pod.ended(STAGE_OUT)
    if stage_out is not None:  # It is started again and again, and between two tries it waits.
        return Pending("CRASH_LOOP_BACK_OFF", f"{STAGE_OUT}: {_how(stage_out)}", Grounds.START), False
    scheduled = pod.conditions.get("PodScheduled")
    if scheduled is not None and not scheduled.is_true:
        is_stuck = scheduled.reason == "Unschedulable"
        reason = _upper_snake(scheduled.reason or "Scheduling")
        return Pending(reason, scheduled.message, Grounds.SCHEDULING if is_stuck else None), False
    return _preparing(pod), False


def _preparing(pod: PodView) -> Pending:
    if not pod.node:
        return Pending("SCHEDULING", "the pod waits for a node")
    waiting = pod.state_of(MAIN)
    if isinstance(waiting, Waiting) and waiting.reason == "ContainerCreating":
        return Pending("CONTAINER_CREATING", waiting.message or "the container of the step is being made")
    return Pending("POD_INITIALIZING", "the pod is made ready and its inputs are fetched")


def _given_up(pending: Pending, grounds: Grounds) -> Verdict:
    message = f"the pod cannot start: {pending.message or pending.reason}"
    return Verdict(Phase.FAILED, grounds.value, message)


# While `main` runs


def _is_overdue(pod: PodView, circumstances: Circumstances, graces: Graces) -> bool:
    """It has outlived its own grace by far."""
    limit = pod.deletion_at
    return limit is not None and circumstances.now > limit + timedelta(seconds=graces.lost_node_s)


# After `main`


def _after_main(pod: PodView, main: Ended, circumstances: Circumstances, graces: Graces) -> Judgement:
    if main.reason in _NEVER_RAN:
        message = f"the pod cannot start: {main.message or main.reason}"
        return Verdict(Phase.FAILED, Grounds.START.value, message, exit_code=main.exit_code)
    if main.reason == "OOMKilled":
        message = _out_of_memory(pod.containers[MAIN])
        return Verdict(Phase.FAILED, "OUT_OF_MEMORY", message, exit_code=main.exit_code)
    if main.exit_code != 0:
        return Verdict(Phase.FAILED, "EXIT_CODE", _how(main), exit_code=main.exit_code)
    return _after_success(pod, main, circumstances, graces)


def _after_success(pod: PodView, main: Ended, circumstances: Circumstances, graces: Graces) -> Judgement:
    is_final = pod.is_over or circumstances.is_gone or circumstances.is_node_lost
    stage_out = pod.ended(STAGE_OUT)
    if stage_out is not None and (is_final or _not_before(stage_out, main)):
        if stage_out.exit_code == 0:
            return Verdict(Phase.SUCCEEDED, exit_code=0, report=stage_out.message)
        told = stage_out.message.strip() or _how(stage_out)
        return Verdict(Phase.LOST, "PUBLISH_FAILED", f"the step's outputs could not be stored: {told}", exit_code=0)
    if is_final:
        message = "the step ended well, but its pod was gone before the outputs were stored"
        return Verdict(Phase.LOST, "PUBLISH_FAILED", message, exit_code=0)
    if _is_overdue(pod, circumstances, graces):
        return Stuck()
    return Ending(() if pod.deletion_at is not None else _others_running(pod))


def _not_before(stage_out: Ended, main: Ended) -> bool:
    """True unless that was an earlier life of *stage-out*, which the kubelet starts anew while `main` runs."""
    if stage_out.finished_at is None or main.finished_at is None:
        return True
    return stage_out.finished_at >= main.finished_at


def _others_running(pod: PodView) -> tuple[str, ...]:
    """Containers beside `main` that keep the kubelet from ending the native sidecars."""
    return tuple(
        container.name
        for container in pod.containers.values()
        if not container.is_init and container.name != MAIN and not isinstance(container.state, Ended)
    )


def _out_of_memory(main: Container) -> str:
    if main.memory_limit:
        return f"killed because it took more memory than its limit of {main.memory_limit}: raise the limit of the step"
    return "killed because its node ran out of memory: set a memory request and limit for the step"


# Ended from outside


def _own_end(pod: PodView, history: History) -> Ended | None:
    """How `main` ended, if nobody had yet asked for its end.

    Times are in whole seconds: an end within the same second counts as brought about.
    """
    if history.main is not None:
        return history.main
    main = pod.ended(MAIN)
    if main is None or main.reason == _UNKNOWN_END:
        return None
    interfered_at = history.interfered_at or _interfered_at(pod)
    if interfered_at is None or (main.finished_at is not None and main.finished_at < interfered_at):
        return main
    return None


def _interfered_at(pod: PodView) -> datetime | None:
    """When somebody first asked for the end of the pod; None when nobody has, the oldest of times if it is not
    known."""
    asked: list[datetime | None] = []
    disruption = pod.conditions.get("DisruptionTarget")
    if disruption is not None and disruption.is_true:
        asked.append(disruption.since)
    if pod.deletion_at is not None:
        asked.append(pod.deletion_asked_at if pod.deletion_grace_s > 0 else _EVER)
    if pod.reason == "DeadlineExceeded":
        asked.append(pod.deadline_at)
    elif pod.reason in _DISRUPTIONS:
        asked.append(_EVER)
    return min((time for time in asked if time is not None), default=None)


def _timed_out(pod: PodView) -> Verdict:
    limit = f" of {pod.deadline_s:g} s" if pod.deadline_s is not None else ""
    message = f"stopped because it ran longer than its timeout{limit} allows"
    main = pod.ended(MAIN)
    return Verdict(Phase.FAILED, "TIMED_OUT", message, exit_code=main.exit_code if main is not None else None)


def _not_by_itself(pod: PodView, history: History, circumstances: Circumstances) -> Judgement:
    """The verdict on a pod that was ended from outside, or failed as a whole."""
    main = pod.ended(MAIN)
    exit_code = main.exit_code if main is not None else None
    if circumstances.is_stopping and not circumstances.is_node_lost:
        return Verdict(Phase.STOPPED, "STOPPED", "stopped on request", exit_code=exit_code)
    if main is None and (failure := _own_failure(pod, history)) is not None:
        return failure
    if pod.reason == "Evicted" and _OWN_LIMIT.search(pod.message):
        message = f"the step was ended by its node: {pod.message}"
        return Verdict(Phase.FAILED, "LIMIT_EXCEEDED", message, exit_code=exit_code)
    reason, why = _disruption(pod, circumstances)
    told = f": {pod.message}" if pod.message else ""
    return Verdict(Phase.LOST, reason, f"the pod of the step was lost: {why}{told}", exit_code=exit_code)


def _own_failure(pod: PodView, history: History) -> Judgement | None:
    """The end of a pod in which `main` never ran because of what came before it."""
    stage_in = pod.ended(STAGE_IN)
    if stage_in is not None and stage_in.exit_code not in (exits.DONE, *_KILLED):
        return _unprepared(stage_in)
    return _failed_init(pod) if history.interfered_at is None else None


def _disruption(pod: PodView, circumstances: Circumstances) -> tuple[str, str]:
    if circumstances.is_node_lost:
        return _DISRUPTIONS["NodeLost"]
    condition = pod.conditions.get("DisruptionTarget")
    for told in (pod.reason, condition.reason if condition is not None and condition.is_true else ""):
        if told in _DISRUPTIONS:
            return _DISRUPTIONS[told]
    if pod.deletion_at is not None or circumstances.is_gone:
        return "POD_DELETED", "somebody deleted it"
    if pod.reason:
        return "POD_REJECTED", f"its node did not take it ({pod.reason})"
    return "NODE_LOST", "nothing is known of how its container ended"


# Words


def _how(end: Ended) -> str:
    try:
        name = signal.Signals(end.exit_code - 128).name
    except ValueError:
        return f"exit code {end.exit_code}"
    return f"exit code {end.exit_code} ({name})"


def _upper_snake(word: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word).upper()
