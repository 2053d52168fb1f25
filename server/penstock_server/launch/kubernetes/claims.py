"""Persistent volume claims: the workspace that the steps of a run share, and those that a pipeline makes and deletes
itself (KFP's CreatePVC and DeletePVC), which are calls to the API and need no pod."""

import uuid
from collections.abc import Mapping
from typing import Any

from penstock_server.launch import verdicts
from penstock_server.launch.base import EarlierStep, Observation, StepRequest
from penstock_server.launch.kubernetes import names
from penstock_server.launch.kubernetes.api import Json, Kind
from penstock_server.launch.kubernetes.api_errors import (
    ApiConflictError,
    ApiError,
    ApiForbiddenError,
    ApiNotFoundError,
    ApiUnavailableError,
)
from penstock_server.launch.kubernetes.policy import PodError
from penstock_server.launch.kubernetes.workplace import Workplace
from penstock_server.model.json import Json as Value
from penstock_server.model.resources import TaskValues
from penstock_server.spec.support import CREATE_CLAIM, volume_image

ACCESS_MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
CLAIM_FAILED = "CLAIM_FAILED"
_STANDARD = "standard"


class ClaimError(Exception):
    """There can be no such claim; the message says why."""


def is_claim_step(request: StepRequest) -> bool:
    """True for a step that makes or deletes a claim."""
    return bool(volume_image(request.component))


async def run_claim_step(request: StepRequest, place: Workplace) -> Observation:
    """Make or delete the claim; repeating it is safe. Raises ApiUnavailableError, ApiForbiddenError."""
    try:
        if volume_image(request.component) == CREATE_CLAIM:
            name = await _create(request, place)
            return verdicts.succeeded(request.attempt, TaskValues({"name": name}))
        name = _text(request.inputs.parameters, "pvc_name")
        await place.api.delete(Kind.CLAIMS, place.namespace_of(request), name)
        return verdicts.succeeded(request.attempt, TaskValues())
    except (ApiUnavailableError, ApiForbiddenError):
        raise
    except (ClaimError, ApiError) as error:
        return verdicts.failed(request.attempt, CLAIM_FAILED, f"the claim could not be handled: {error}")


async def is_still_so(earlier: EarlierStep, place: Workplace) -> bool:
    """Whether a claim that the step made is still there, or one that it deleted is not; True for all other steps.

    Raises ApiError.
    """
    image = volume_image(earlier.component)
    if not image:
        return True
    has_made = image == CREATE_CLAIM
    name = _text(earlier.outputs.parameters, "name") if has_made else _text(earlier.inputs.parameters, "pvc_name")
    try:
        claim = await place.api.get(Kind.CLAIMS, place.settings.namespaces.of(earlier.namespace), name)
    except ApiNotFoundError:
        return not has_made
    return has_made is ("deletionTimestamp" not in claim["metadata"])


async def ensure_workspace(request: StepRequest, place: Workplace) -> None:
    """Make the claim that the steps of the run share, unless there is one. Raises PodError, ApiUnavailableError."""
    name = names.workspace_claim(request.facts.run_id, request.attempt.run_uid)
    labels = names.run_labels(request, place.settings.frame.installation)
    claim = _claim(name, _workspace_spec(request, place), labels, {})
    try:
        await place.api.create(Kind.CLAIMS, place.namespace_of(request), claim)
    except ApiConflictError:
        return
    except ApiUnavailableError:
        raise
    except ApiError as error:
        raise PodError(CLAIM_FAILED, f"the workspace of the run could not be made: {error.message}") from error


def _workspace_spec(request: StepRequest, place: Workplace) -> Json:
    """What the installation says, and over it what the pipeline does."""
    settings, asked = place.settings, request.workspace
    size = asked.get("size") or settings.workspace_size
    return {
        "accessModes": list(settings.workspace_access_modes),
        **settings.workspace_spec,
        **(asked.get("kubernetes") or {}).get("pvcSpecPatch", {}),
        "resources": {"requests": {"storage": size}},
    }


async def _create(request: StepRequest, place: Workplace) -> str:
    given, namespace = request.inputs.parameters, place.namespace_of(request)
    name = _name(request)
    attempt = {names.ATTEMPT_ANNOTATION: str(request.attempt)}
    annotations = {str(key): str(value) for key, value in _mapping(given, "annotations").items()}
    labels = {names.INSTALLATION_LABEL: place.settings.frame.installation}
    claim = _claim(name, _spec(given), labels, {**annotations, **attempt})
    try:
        await place.api.create(Kind.CLAIMS, namespace, claim)
    except ApiConflictError:
        found = await place.api.get(Kind.CLAIMS, namespace, name)
        if names.attempt_in(found["metadata"].get("annotations") or {}) != request.attempt:
            raise ClaimError(f"the namespace {namespace} has a claim {name} already; name another one") from None
    return name


def _name(request: StepRequest) -> str:
    given = request.inputs.parameters
    name, suffix = _text(given, "pvc_name"), _text(given, "pvc_name_suffix")
    if bool(name) == bool(suffix):
        raise ClaimError("it needs either pvc_name or pvc_name_suffix")
    return name or f"{uuid.uuid5(request.attempt.run_uid, str(request.attempt))}{suffix}"


def _spec(given: Mapping[str, Value]) -> Json:
    modes = given.get("access_modes")
    if not isinstance(modes, list) or not modes or any(mode not in ACCESS_MODES for mode in modes):
        raise ClaimError(f"access_modes has to list some of {', '.join(ACCESS_MODES)}, and is {modes!r}")
    size = _text(given, "size")
    if not size:
        raise ClaimError("size is missing; give one such as 10Gi")
    spec: Json = {"accessModes": modes, "resources": {"requests": {"storage": size}}}
    storage_class = given.get("storage_class_name", _STANDARD)
    spec["storageClassName"] = "" if storage_class is None else str(storage_class)
    if volume := _text(given, "volume_name"):
        spec["volumeName"] = volume
    if source := _mapping(given, "data_source"):
        spec["dataSource"] = dict(source)
    return spec


def _claim(name: str, spec: Json, labels: Mapping[str, str], annotations: Mapping[str, str]) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "labels": dict(labels), "annotations": dict(annotations)},
        "spec": spec,
    }


def _text(given: Mapping[str, Value], name: str) -> str:
    value = given.get(name)
    return str(value) if value is not None else ""


def _mapping(given: Mapping[str, Value], name: str) -> Mapping[str, Any]:
    value = given.get(name)
    return value if isinstance(value, dict) else {}
