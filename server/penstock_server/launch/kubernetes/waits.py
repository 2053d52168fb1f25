"""What a pod waits for that has not started, in the cluster's words, and whether it may be given up for that."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from penstock_server.launch.kubernetes.judgement import Grounds, Pending
from penstock_server.launch.kubernetes.names import MAIN, STAGE_IN, STAGE_OUT
from penstock_server.launch.kubernetes.view import PodView, Running, Waiting
from penstock_server.launch.verdicts import how_ended

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
_NO_PROGRAM = re.compile(
    r"container process\b.*\bexec: \".*(no such file|executable file not found|permission denied|is a directory)"
    r"|executable file [`'\"].*not found in \$PATH",
    re.IGNORECASE | re.DOTALL,
)
"""What runc and crun say where the image has no such program; of what the node itself lacks they say other things."""

PREPARING = "POD_INITIALIZING"
"""Nothing is wrong, as far as is known."""
_PULLS = frozenset({"ERR_IMAGE_PULL", "IMAGE_PULL_BACK_OFF"})
"""Between the two a pod goes to and fro for as long as its image cannot be pulled."""
LONG_S = 15.0
"""*stage-in* that runs for longer may have something to say; in the ordinary case its log is empty."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a pod does not start, where its status does not tell: in the words of its node, or of *stage-in*."""

    reason: str
    """As Kubernetes words it: `FailedMount`, `FailedCreatePodSandBox` ...; of *stage-in* in UPPER_SNAKE."""
    message: str
    since: datetime | None = None
    """When its node first met with it, by the node's clock; None where that is not told."""
    is_of_stage: bool = False
    """*stage-in* says it of itself, in its log."""


def pending(pod: PodView, trouble: Trouble | None) -> tuple[Pending, bool]:
    """What it waits for; True: without any hope."""
    for name in (*pod.containers, MAIN):
        state = pod.state_of(name)
        if isinstance(state, Waiting) and state.reason in _WAITING:
            grounds, is_hopeless = _WAITING[state.reason]
            if grounds is Grounds.START:
                grounds = start_grounds(state.message)
            return Pending(_upper_snake(state.reason), f"{name}: {state.message or state.reason}", grounds), is_hopeless
    stage_out = pod.ended(STAGE_OUT)
    if stage_out is not None:  # It is started again and again, and between two tries it waits.
        return Pending("CRASH_LOOP_BACK_OFF", f"{STAGE_OUT}: {how_ended(stage_out.exit_code)}", Grounds.START), False
    scheduled = pod.conditions.get("PodScheduled")
    if scheduled is not None and not scheduled.is_true:
        is_stuck = scheduled.reason == "Unschedulable"
        reason = _upper_snake(scheduled.reason or "Scheduling")
        return Pending(reason, scheduled.message, Grounds.SCHEDULING if is_stuck else None), False
    if trouble is not None and trouble.is_of_stage and is_staging(pod):
        return Pending(trouble.reason, trouble.message), False
    if trouble is not None and not trouble.is_of_stage and is_untold(pod):
        is_absent = trouble.reason == "FailedMount" and "not found" in trouble.message
        grounds = Grounds.CONFIG if is_absent else Grounds.PREPARATION
        return Pending(_upper_snake(trouble.reason), trouble.message, grounds, since=trouble.since), False
    return _preparing(pod), False


def start_grounds(message: str) -> Grounds:
    """On what grounds a container could not be started, by the words of the container runtime."""
    return Grounds.PROGRAM if _NO_PROGRAM.search(message) else Grounds.START


def says_the_same(reason: str, told: str) -> bool:
    """Whether a reason is no news to whoever was told another one before."""
    return reason != told and {reason, told} <= _PULLS


def is_untold(pod: PodView) -> bool:
    """True for a pod that has a node and nothing of it has started, and whose status does not say why."""
    started = any(not isinstance(container.state, Waiting) for container in pod.containers.values())
    return bool(pod.node) and not started and not pod.is_over


def is_staging(pod: PodView, since: datetime | None = None) -> bool:
    """True while *stage-in* runs; with `since` only if it was running then."""
    state = pod.state_of(STAGE_IN)
    if not isinstance(state, Running):
        return False
    return since is None or (state.started_at is not None and state.started_at <= since)


def is_unclear(pod: PodView, now: datetime) -> bool:
    """True for a pod that does not start and whose status does not say why: events or *stage-in* may do so."""
    return is_untold(pod) or is_staging(pod, now - timedelta(seconds=LONG_S))


def _preparing(pod: PodView) -> Pending:
    if not pod.node:
        return Pending("SCHEDULING", "the pod waits for a node")
    waiting = pod.state_of(MAIN)
    if isinstance(waiting, Waiting) and waiting.reason == "ContainerCreating":
        return Pending("CONTAINER_CREATING", waiting.message or "the container of the step is being made")
    grounds = Grounds.PREPARATION if is_untold(pod) else None
    return Pending(PREPARING, "the pod is made ready and its inputs are fetched", grounds)


def _upper_snake(word: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word).upper()
