"""Ending the pod of an attempt: what is noted before, so that the verdict outlives it, and the grace it gets."""

from penstock_server.launch.base import Phase, StepRequest
from penstock_server.launch.kubernetes.api import Kind
from penstock_server.launch.kubernetes.api_errors import ApiConflictError
from penstock_server.launch.kubernetes.conclusion import closing_of
from penstock_server.launch.kubernetes.judge import timed_out
from penstock_server.launch.kubernetes.judgement import Verdict
from penstock_server.launch.kubernetes.view import PodView
from penstock_server.launch.kubernetes.workplace import Workplace


async def remove(pod: PodView, place: Workplace, grace_s: int) -> None:
    """Ask for its end. Raises ApiError."""
    try:
        await place.api.delete(Kind.PODS, pod.namespace, pod.name, uid=pod.uid, grace_s=grace_s)
    except ApiConflictError:
        return  # That one is gone.


async def release(pod: PodView, request: StepRequest, place: Workplace) -> None:
    """Others keep the pod from ending, though the step has ended well: end it, which lets *stage-out* begin.

    Raises ApiError, Unavailable.
    """
    ended_well = Verdict(Phase.SUCCEEDED, exit_code=0)
    await place.records.close(request.attempt, closing_of(ended_well, request))
    await remove(pod, place, place.settings.frame.grace_of(request))


async def end_overtime(pod: PodView, request: StepRequest, place: Workplace) -> None:
    """End it with the short grace, before its node does with the pod's own. Raises ApiError, Unavailable."""
    await place.records.close(request.attempt, closing_of(timed_out(pod), request))
    await remove(pod, place, place.settings.stop_grace_s)
