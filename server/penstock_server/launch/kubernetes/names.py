"""What pods and claims are called, and how a pod tells whose it is.

All of it is made from the attempt and its run alone: whoever asks again, on whichever server, gets the same names, so
that creating a pod twice is one creation. A pod's name is its host's name as well, hence at most 63 characters.
"""

import hashlib
import re
import uuid
from collections.abc import Mapping

from penstock_server.launch.base import StepRequest
from penstock_server.model.ids import AttemptId, RunUid, TaskId

MAIN = "main"
"""The container of the step, called as KFP calls it."""
STAGE_IN = "penstock-stage-in"
STAGE_OUT = "penstock-stage-out"
OWN = "penstock-"
"""Containers and volumes that begin so are ours; those of a pipeline are called otherwise."""
PREFIX = "penstock.dev/"
"""Labels and annotations that begin so are ours; a pipeline may set none of them."""
INSTALLATION_LABEL = f"{PREFIX}installation"
"""Which Penstock database the pod belongs to: the selector of every list and watch."""
RUN_LABEL = f"{PREFIX}run"
"""The run's uid."""
RUN_ID_LABEL = f"{PREFIX}run-id"
"""The last part of the run's name: what people call it by."""
TASK_LABEL = f"{PREFIX}task"
PIPELINE_LABEL = f"{PREFIX}pipeline"
MANAGER_LABEL = "app.kubernetes.io/managed-by"
MANAGER = "penstock"
KFP_RUN_LABEL = "pipeline/runid"
ATTEMPT_ANNOTATION = f"{PREFIX}attempt"
"""The whole id of the attempt, as `attempt_in` reads it."""
FENCE_ANNOTATION = f"{PREFIX}fence"
"""Of the lease under which the pod was made."""
TIMEOUT_ANNOTATION = f"{PREFIX}timeout-s"
"""How long the pod may take, where that is limited; servers end it then, its node only some seconds later."""
KFP_RUN_NAME_ANNOTATION = "pipelines.kubeflow.org/run_name"

NAME_LENGTH_MAX = 63
LABEL_LENGTH_MAX = 63
"""Of a label's value."""
_RUN_LENGTH = 20
_DIGITS = 10
_WORKSPACE = "-kfp-workspace"
_OTHER = re.compile(r"[^a-z0-9]+")
_NOT_IN_LABELS = re.compile(r"[^A-Za-z0-9_.-]+")


def pod_name(run_id: str, attempt: AttemptId) -> str:
    """The name of the attempt's pod: run and task for people, then what tells it from every other.

    A DNS label, the same for the same attempt.
    """
    tail = f"-{attempt.number}-{_hex(str(attempt))[:_DIGITS]}"
    run = _slug(run_id)[:_RUN_LENGTH].strip("-") or "run"
    task = _slug(attempt.task_id)[: NAME_LENGTH_MAX - len(run) - len(tail) - 1].strip("-")
    return f"{run}-{task}{tail}" if task else f"{run}{tail}"


def workspace_claim(run_id: str, run_uid: RunUid) -> str:
    """The name of the claim that the steps of a run share as their workspace.

    A part of the uid stands in it, since runs of two namespaces of Penstock may have one id and share a namespace of
    the cluster.
    """
    tail = f"-{run_uid.hex[:8]}{_WORKSPACE}"
    return (_slug(run_id)[: NAME_LENGTH_MAX - len(tail)].strip("-") or "run") + tail


def pod_labels(request: StepRequest, installation: str) -> dict[str, str]:
    """The labels that every pod of ours has; they go over those of the pipeline."""
    return {**run_labels(request, installation), TASK_LABEL: _label_value(request.attempt.task_id)}


def run_labels(request: StepRequest, installation: str) -> dict[str, str]:
    """The labels of all that is of the step's run."""
    uid = str(request.attempt.run_uid)
    return {
        MANAGER_LABEL: MANAGER,
        INSTALLATION_LABEL: installation,
        RUN_LABEL: uid,
        RUN_ID_LABEL: _label_value(request.facts.run_id),
        PIPELINE_LABEL: _label_value(request.facts.pipeline_name),
        KFP_RUN_LABEL: uid,
    }


def pod_annotations(request: StepRequest) -> dict[str, str]:
    """The annotations that every pod of ours has; they go over those of the pipeline."""
    limit = {TIMEOUT_ANNOTATION: str(request.timeout_s)} if request.timeout_s is not None else {}
    return limit | {
        ATTEMPT_ANNOTATION: str(request.attempt),
        FENCE_ANNOTATION: str(request.fence),
        KFP_RUN_NAME_ANNOTATION: request.facts.run_display_name,
    }


def attempt_in(annotations: Mapping[str, str]) -> AttemptId | None:
    """The attempt that a pod says it is of; None for a pod that is not ours, or says nonsense."""
    run, slash, rest = annotations.get(ATTEMPT_ANNOTATION, "").partition("/")
    task, _, number = rest.rpartition("/")
    if not slash or not task or re.fullmatch(r"[1-9][0-9]{0,8}", number) is None:
        return None
    try:
        return AttemptId(RunUid(uuid.UUID(run)), TaskId(task), int(number))
    except ValueError:
        return None


def fence_in(annotations: Mapping[str, str]) -> int | None:
    """The fence under which the pod was made; None where it says none."""
    text = annotations.get(FENCE_ANNOTATION, "")
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def timeout_s_in(annotations: Mapping[str, str]) -> float | None:
    """How long the pod may take; None where it says nothing, or nonsense."""
    text = annotations.get(TIMEOUT_ANNOTATION, "")
    return float(text) if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,12})?", text) else None


def _slug(text: str) -> str:
    return _OTHER.sub("-", text.lower()).strip("-")


def _label_value(text: str) -> str:
    """The text as far as a label takes it, for people and selectors; empty where nothing of it is left."""
    return _NOT_IN_LABELS.sub("-", text)[:LABEL_LENGTH_MAX].strip("-_.")


def _hex(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
