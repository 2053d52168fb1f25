"""How far the attempt in a pod is: a pure function from what is seen of the pod, and the time.

    Pending ──► Started ──► Ending ──► Verdict        Refused: *stage-in* found that it may not start
        └────────────┴──────────────────► Verdict     Stuck: its node does not answer
                                                  Overtime: its time is over, and it is still there

The step is `main`; *stage-in* and *stage-out* are ours. Whatever else is in the pod neither keeps the step alive nor
fails it. What counts of `main` is how it ended by itself: an end that somebody else brought about - a deletion, an
eviction, the pod's deadline, a node that loses the pod's sandbox - says nothing of the step, even where the exit code
is 0.
"""

import re
import signal
from dataclasses import replace
from datetime import datetime, timedelta

from penstock_agent import exits
from penstock_server.launch.base import Phase
from penstock_server.launch.kubernetes import sandbox
from penstock_server.launch.kubernetes.history import DISRUPTIONS, UNKNOWN_ENDS, History, interfered_at
from penstock_server.launch.kubernetes.judgement import (
    Circumstances,
    Ending,
    Graces,
    Grounds,
    Judgement,
    Overtime,
    Pending,
    Refused,
    Started,
    Stuck,
    Verdict,
)
from penstock_server.launch.kubernetes.names import MAIN, STAGE_IN, STAGE_OUT
from penstock_server.launch.kubernetes.view import Container, Ended, PodView, Running
from penstock_server.launch.kubernetes.waits import PREPARING, pending, start_grounds
from penstock_server.launch.verdicts import how_ended

_UNPREPARED = {
    exits.INPUT_UNAVAILABLE: (Phase.FAILED, "INPUT_UNAVAILABLE"),
    exits.VOLUME_UNUSABLE: (Phase.FAILED, "ENVIRONMENT_FAILED"),
    exits.STORE_REFUSED: (Phase.FAILED, "STORE_REFUSED"),
    exits.STORE_UNAVAILABLE: (Phase.LOST, "STORE_UNAVAILABLE"),
}
"""What becomes of a step by the exit code of *stage-in*; any other is a fault of ours, unless it was killed."""

_KILLED = (128 + signal.SIGTERM, 128 + signal.SIGKILL, 255)
"""How *stage-in* ends when somebody ends it; 255: the container runtime does not know how it ended."""
_OWN_LIMIT = re.compile(r"\bexceed(s|ed)\b.*\blimit\b")
"""What the kubelet says of a pod that it evicts because it has taken more than it asked for."""
TERMINATING = "POD_TERMINATING"
"""Reason of a pod that is being deleted, by whomever, and has not ended."""
OVERTIME_S = 1.0
"""So much later than its deadline a pod is ended by us, who go by another clock than its node."""
SLOW_S = 5.0
"""So long after `main` a pod usually has ended, but for large outputs and sidecars that are slow to end."""
_FALLEN = "its node has lost its sandbox, and ends its containers"
_NEVER_RAN = frozenset({"StartError", "ContainerCannotRun"})


def judge(pod: PodView, history: History, circumstances: Circumstances, graces: Graces) -> Judgement:
    """How far the attempt in `pod` is. `history` is that after this look at it."""
    main = _own_end(pod, history)
    if main is not None:
        return _after_main(pod, main, circumstances, graces)
    if pod.reason == "DeadlineExceeded":
        return timed_out(pod)
    if circumstances.is_gone or circumstances.is_node_lost or pod.is_over or pod.ended(MAIN) is not None:
        return _not_by_itself(pod, history, circumstances)
    if _is_overdue(pod, circumstances, graces):
        return Stuck()
    if is_overtime(pod, circumstances.now):
        return Overtime()
    if isinstance(pod.state_of(MAIN), Running):
        return _running(pod)
    return _before_main(pod, history, circumstances, graces)


# Before `main`


def _before_main(pod: PodView, history: History, circumstances: Circumstances, graces: Graces) -> Judgement:
    stage_in = pod.ended(STAGE_IN)
    if stage_in is not None and _has_failed(stage_in, history):
        return _unprepared(stage_in)
    if pod.deletion_at is not None:
        return Pending(TERMINATING, _terminating(pod.deletion_at))
    if sandbox.lost_at(pod) is not None:
        return _without_sandbox(pod)
    waits, is_hopeless = pending(pod, history.trouble)
    if waits.grounds is None:
        return waits
    grace = graces.of(waits.grounds)
    since = history.failing.get(waits.grounds, circumstances.now)
    waited = circumstances.now - since
    if is_hopeless or waited >= grace:
        return _given_up(waits, waits.grounds)
    until = "" if waits.reason == PREPARING else f" (given up at {since + grace:%H:%M:%S} UTC)"
    return replace(waits, message=f"{waits.message}{until}", is_grave=waited >= grace / 2)


def _has_failed(stage_in: Ended, history: History) -> bool:
    """Whether that is its own end, and not that of a pod which somebody ended."""
    return stage_in.exit_code != 0 and not (_was_ended(stage_in) and history.interfered_at is not None)


def _was_ended(stage_in: Ended) -> bool:
    """Whether somebody else has ended *stage-in*, or kept it from starting."""
    return stage_in.exit_code in _KILLED or stage_in.reason in _NEVER_RAN


def _without_sandbox(pod: PodView) -> Judgement:
    """Nothing of it is started any more. What still runs has been asked to end, and comes before another attempt."""
    if sandbox.runs_before_main(pod):
        return Pending(sandbox.SANDBOX_LOST, _FALLEN)
    return Verdict(Phase.LOST, sandbox.SANDBOX_LOST, f"the pod of the step was lost: {_FALLEN}")


def _unprepared(stage_in: Ended) -> Judgement:
    if stage_in.exit_code in (exits.ALREADY_ENDED, exits.CLOSED):
        return Refused()
    other = "START_FAILED" if _was_ended(stage_in) else "LAUNCHER_ERROR"
    phase, reason = _UNPREPARED.get(stage_in.exit_code, (Phase.LOST, other))
    return Verdict(
        phase, reason, f"the step could not be prepared: {stage_in.message.strip() or how_ended(stage_in.exit_code)}"
    )


def _failed_init(pod: PodView) -> Verdict | None:
    """The end of a step because of an init container that is not ours; they run one after the other."""
    others = (each for each in pod.containers.values() if each.is_init and each.name not in (STAGE_IN, STAGE_OUT))
    for container in others if pod.is_over else ():
        if isinstance(container.state, Ended) and container.state.exit_code != 0:
            if container.state.reason in _NEVER_RAN:
                return _not_started(container.state, f"the init container {container.name!r}: ")
            how = how_ended(container.state.exit_code)
            message = f"the step could not start: the init container {container.name!r} ended with {how}"
            return Verdict(Phase.FAILED, "ENVIRONMENT_FAILED", message)
    return None


def _not_started(container: Ended, which: str = "", exit_code: int | None = None) -> Verdict:
    """The end of a step one of whose containers its node could not start."""
    message = f"the pod cannot start: {which}{container.message or container.reason}"
    return Verdict(Phase.FAILED, start_grounds(container.message).value, message, exit_code=exit_code)


def _given_up(waits: Pending, grounds: Grounds) -> Verdict:
    message = f"the pod cannot start: {waits.message or waits.reason}"
    return Verdict(Phase.FAILED, grounds.value, message)


# While `main` runs


def _running(pod: PodView) -> Judgement:
    if pod.deletion_at is not None:
        return Started(TERMINATING, _terminating(pod.deletion_at))
    return Started() if sandbox.lost_at(pod) is None else Started(sandbox.SANDBOX_LOST, _FALLEN)


def is_overtime(pod: PodView, now: datetime) -> bool:
    """Whether its time is over and nobody has deleted it yet."""
    limit = pod.deadline_at
    return limit is not None and pod.deletion_at is None and now >= limit + timedelta(seconds=OVERTIME_S)


def _is_past(moment: datetime | None, seconds: float, circumstances: Circumstances) -> bool:
    return moment is not None and circumstances.now >= moment + timedelta(seconds=seconds)


def _is_overdue(pod: PodView, circumstances: Circumstances, graces: Graces) -> bool:
    """It has outlived its own grace by far."""
    limit = pod.deletion_at
    return limit is not None and circumstances.now > limit + timedelta(seconds=graces.lost_node_s)


def _terminating(limit: datetime) -> str:
    return f"the pod is being deleted, and has until {limit:%H:%M:%S} UTC to end"


# After `main`


def _after_main(pod: PodView, main: Ended, circumstances: Circumstances, graces: Graces) -> Judgement:
    if main.reason in _NEVER_RAN:
        return _not_started(main, exit_code=main.exit_code)
    if main.reason == "OOMKilled":
        message = _out_of_memory(pod.containers[MAIN])
        return Verdict(Phase.FAILED, "OUT_OF_MEMORY", message, exit_code=main.exit_code)
    if main.exit_code != 0:
        return Verdict(Phase.FAILED, "EXIT_CODE", how_ended(main.exit_code), exit_code=main.exit_code)
    return _after_success(pod, main, circumstances, graces)


def _after_success(pod: PodView, main: Ended, circumstances: Circumstances, graces: Graces) -> Judgement:
    is_final = pod.is_over or circumstances.is_gone or circumstances.is_node_lost
    stage_out = pod.ended(STAGE_OUT)
    if stage_out is not None and _not_before(stage_out, main):
        if stage_out.exit_code == 0:
            return Verdict(Phase.SUCCEEDED, exit_code=0, report=stage_out.message)
        return _unpublished(stage_out)
    if is_final:
        message = "the step ended well, but its pod was gone before the outputs were stored"
        return Verdict(Phase.LOST, "PUBLISH_FAILED", message, exit_code=0)
    if _is_overdue(pod, circumstances, graces):
        return Stuck()
    held_by = () if pod.deletion_at is not None else _others_running(pod)
    return Ending(held_by, is_slow=not held_by and _is_past(main.finished_at, SLOW_S, circumstances))


def _unpublished(stage_out: Ended) -> Verdict:
    """The end of a step that has ended well and whose outputs were not stored."""
    is_refused = stage_out.exit_code == exits.STORE_REFUSED
    phase, reason = (Phase.FAILED, "PUBLISH_REFUSED") if is_refused else (Phase.LOST, "PUBLISH_FAILED")
    told = stage_out.message.strip() or how_ended(stage_out.exit_code)
    return Verdict(phase, reason, f"the step's outputs could not be stored: {told}", exit_code=0)


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
    if main is None or main.reason in UNKNOWN_ENDS:
        return None
    asked_at = history.interfered_at or interfered_at(pod)
    if asked_at is None or (main.finished_at is not None and main.finished_at < asked_at):
        return main
    return None


def timed_out(pod: PodView) -> Verdict:
    """The verdict on a pod whose time was over."""
    limit = f" of {pod.deadline_s:g} s" if pod.deadline_s is not None else ""
    message = f"stopped because it ran longer than its timeout{limit} allows"
    main = pod.ended(MAIN)
    return Verdict(Phase.FAILED, "TIMED_OUT", message, exit_code=main.exit_code if main is not None else None)


def _deleted_after_deadline(pod: PodView, history: History) -> bool:
    """Whether its time was over when somebody first asked for its end, as a server does that is gone since."""
    asked_at, limit = history.interfered_at, pod.deadline_at
    return asked_at is not None and limit is not None and asked_at >= limit


def _not_by_itself(pod: PodView, history: History, circumstances: Circumstances) -> Judgement:
    """The verdict on a pod that was ended from outside, or failed as a whole."""
    main = pod.ended(MAIN)
    exit_code = main.exit_code if main is not None else None
    if circumstances.is_stopping and not circumstances.is_node_lost:
        return Verdict(Phase.STOPPED, "STOPPED", "stopped on request", exit_code=exit_code)
    if circumstances.is_timing_out or _deleted_after_deadline(pod, history):
        return timed_out(pod)
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
    if stage_in is not None and _has_failed(stage_in, history):
        return _unprepared(stage_in)
    return _failed_init(pod) if history.interfered_at is None else None


def _disruption(pod: PodView, circumstances: Circumstances) -> tuple[str, str]:
    if circumstances.is_node_lost:
        return DISRUPTIONS["NodeLost"]
    condition = pod.conditions.get("DisruptionTarget")
    for told in (pod.reason, condition.reason if condition is not None and condition.is_true else ""):
        if told in DISRUPTIONS:
            return DISRUPTIONS[told]
    if pod.deletion_at is not None or circumstances.is_gone:
        return "POD_DELETED", "somebody deleted it"
    if sandbox.lost_at(pod) is not None:
        return sandbox.SANDBOX_LOST, _FALLEN
    if pod.reason:
        return "POD_REJECTED", f"its node did not take it ({pod.reason})"
    return "NODE_LOST", "nothing is known of how its container ended"
