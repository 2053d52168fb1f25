"""Making the pod of an attempt, or finding that it was made before."""

from penstock_server.launch.base import StepRequest
from penstock_server.launch.kubernetes import names
from penstock_server.launch.kubernetes.api import Kind
from penstock_server.launch.kubernetes.api_errors import (
    ApiConflictError,
    ApiError,
    ApiForbiddenError,
    ApiNotFoundError,
    ApiUnavailableError,
)
from penstock_server.launch.kubernetes.claims import ensure_workspace
from penstock_server.launch.kubernetes.plans import plan_variables, stage_plan
from penstock_server.launch.kubernetes.policy import PodError
from penstock_server.launch.kubernetes.view import PodView, view
from penstock_server.launch.kubernetes.workplace import Workplace

POD_REFUSED = "POD_REFUSED"
QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
PERMISSION_LACKING = "PERMISSION_LACKING"
FOUND_TRIES_MAX = 5


class NotYetError(Exception):
    """The cluster takes no such pod at the moment: the namespace has no room, or we have no role there."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


async def create_pod(request: StepRequest, place: Workplace) -> PodView:
    """The pod of the attempt: made, or the one that was made before.

    Raises PodError where there can be none, NotYetError where there may be one later, and ApiUnavailableError and
    Unavailable where nothing is known.
    """
    namespace = place.namespace_of(request)
    if request.has_workspace:
        await ensure_workspace(request, place)
    plan = stage_plan(request, place.records, place.settings.frame)
    manifest = place.manifest(request, await plan_variables(plan, request, place.records))
    for _ in range(FOUND_TRIES_MAX):
        try:
            return view(await place.api.create(Kind.PODS, namespace, manifest))
        except ApiConflictError as error:
            if (found := await find_pod(request, place)) is not None:
                return found
            if error.reason != "AlreadyExists":
                raise _refusal(error, namespace) from error
        except ApiUnavailableError:
            raise
        except ApiError as error:
            raise _refusal(error, namespace) from error
    raise ApiUnavailableError(0, "AlreadyExists", f"the pod {manifest['metadata']['name']} comes and goes")


async def find_pod(request: StepRequest, place: Workplace) -> PodView | None:
    """The pod of the attempt, if there is one. Raises PodError for one of its name that is not ours."""
    name = names.pod_name(request.facts.run_id, request.attempt)
    try:
        pod = view(await place.api.get(Kind.PODS, place.namespace_of(request), name))
    except ApiNotFoundError:
        return None
    installation = pod.labels.get(names.INSTALLATION_LABEL)
    if installation != place.settings.frame.installation or names.attempt_in(pod.annotations) != request.attempt:
        message = (
            f"the namespace {pod.namespace} has a pod {name} which is not of this attempt (installation"
            f" {installation or 'none'}): remove it, or give each Penstock a namespace of its own"
        )
        raise PodError("LAUNCHER_ERROR", message)
    return pod


def _refusal(error: ApiError, namespace: str) -> Exception:
    if isinstance(error, ApiForbiddenError):
        return NotYetError(PERMISSION_LACKING, f"the cluster does not let this server: {error.message}")
    if error.status == 403 and "exceeded quota" in error.message:
        return NotYetError(QUOTA_EXCEEDED, error.message)
    if error.status == 404:
        return PodError(POD_REFUSED, f"the cluster has no namespace {namespace}: create it, or map another one")
    return PodError(POD_REFUSED, f"the cluster refused the pod: {error.message or error.reason}")
