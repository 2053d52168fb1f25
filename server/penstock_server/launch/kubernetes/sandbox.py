"""Whether a pod has lost its sandbox, which holds its namespaces, before its work was done.

Its node ends the containers then, with the signal that a deletion sends, and since the pod of a step restarts nothing
it starts none of them again: such a pod may wait for ever. In the end every pod is without a sandbox; that is no loss.
"""

from datetime import datetime, timedelta

from penstock_server.launch.kubernetes.names import MAIN, STAGE_IN, STAGE_OUT
from penstock_server.launch.kubernetes.view import Ended, PodView, Running, Waiting

SANDBOX_LOST = "SANDBOX_LOST"
_READY = "PodReadyToStartContainers"
"""The condition that tells of it."""
_KILLED, _UNKNOWN = 137, 255
"""How a container of ours ends when it is killed, and when the container runtime does not know how it ended."""
_TOGETHER = timedelta(seconds=1)


def lost_at(pod: PodView) -> datetime | None:
    """When the pod was found without its sandbox, or its containers ended at one blow; None when neither is so."""
    if (fell_at := _fell_at(pod)) is not None:
        return fell_at
    ready = pod.conditions.get(_READY)
    if ready is None or ready.is_true or ready.since is None or not _has_begun(pod):
        return None
    done_at = _done_at(pod)
    return ready.since if done_at is None or done_at >= ready.since else None


def runs_before_main(pod: PodView) -> bool:
    """Whether an init container runs; one that is deaf to the signal does so for the grace of the pod."""
    return any(
        container.is_init and not container.is_sidecar and isinstance(container.state, Running)
        for container in pod.containers.values()
    )


def _has_begun(pod: PodView) -> bool:
    """Whether there was a sandbox: without one no container starts."""
    return any(not isinstance(container.state, Waiting) for container in pod.containers.values())


def _done_at(pod: PodView) -> datetime | None:
    """When the pod had nothing more to do: `main` had ended, or something before it had failed."""
    main = pod.ended(MAIN)
    ends = [main] if main is not None else _failures(pod)
    return min((end.finished_at for end in ends if end.finished_at is not None), default=None)


def _failures(pod: PodView) -> list[Ended]:
    """The ends of init containers that failed, but for *stage-in* where nobody knows how it ended."""
    ends = [
        (container.name, container.state)
        for container in pod.containers.values()
        if container.is_init and not container.is_sidecar and isinstance(container.state, Ended)
    ]
    return [end for name, end in ends if end.exit_code != 0 and (name, end.exit_code) != (STAGE_IN, _UNKNOWN)]


def _fell_at(pod: PodView) -> datetime | None:
    """When `main` and *stage-out* ended at one blow, as when what keeps them on their node is killed.

    By itself *stage-out* ends after `main` with a status of the agent, and is killed a grace later at the soonest.
    """
    main, stage_out = pod.ended(MAIN), pod.ended(STAGE_OUT)
    if main is None or main.exit_code == 0 or main.reason == "OOMKilled" or main.finished_at is None:
        return None
    if stage_out is None or stage_out.exit_code not in (_KILLED, _UNKNOWN) or stage_out.finished_at is None:
        return None
    return main.finished_at if abs(stage_out.finished_at - main.finished_at) <= _TOGETHER else None
