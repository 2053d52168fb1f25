"""What settings for a cluster mean to a process: a few are honoured, the others are named to the user."""

import re
import socket
import uuid
from collections.abc import Mapping
from typing import Any

from penstock_server.launch.base import StepRequest
from penstock_server.spec.graph import Container
from penstock_server.spec.pod_reader import KUBERNETES, PENSTOCK

_HONOURED = frozenset({"activeDeadlineSeconds", "fieldPathAsEnv"})
_KEYED = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]\Z")
_ADDRESS = "127.0.0.1"


def field_env(request: StepRequest, container: Container) -> dict[str, str]:
    """Variables that are to hold fields of the step's pod, with what corresponds to them here.

    Fields that nothing corresponds to are left out.
    """
    settings: Any = container.platforms.get(KUBERNETES, {})
    asked = [(entry["name"], entry["fieldPath"]) for entry in settings.get("fieldPathAsEnv", [])]
    if not asked:
        return {}
    values = {name: _field(request, settings, path) for name, path in asked}
    return {name: value for name, value in values.items() if value is not None}


def ignored_settings(container: Container) -> str:
    """What a process does not honour of all that the step asks for; empty when there is no such thing."""
    ignored = [f"its image {container.image}"] if container.image else []
    resources = container.resources
    if resources.cpu_limit or resources.memory_limit or resources.accelerator_count:
        ignored.append("its limits of CPU, memory and accelerators")
    for platform, settings in container.platforms.items():
        keys = sorted(key for key in settings if platform != PENSTOCK and key not in _HONOURED)
        if keys:
            ignored.append(f"its settings for {platform} ({', '.join(keys)})")
    return ", ".join(ignored)


def _field(request: StepRequest, settings: Mapping[str, Any], path: str) -> str | None:
    attempt = request.attempt
    if found := _KEYED.match(path):
        kind, key = found.groups()
        kept = {**_of_every_pod(request)[kind], **settings.get("podMetadata", {}).get(kind, {})}
        return str(kept.get(key, ""))
    fields = {
        "metadata.name": f"{request.facts.run_id}-{attempt.task_id}-{attempt.number}".replace(".", "-").lower(),
        "metadata.namespace": request.facts.namespace,
        "metadata.uid": str(uuid.uuid5(attempt.run_uid, f"{attempt.task_id}.{attempt.number}")),
        "spec.nodeName": socket.gethostname(),
        "spec.serviceAccountName": "default",
        "status.hostIP": _ADDRESS,
        "status.podIP": _ADDRESS,
        "status.podIPs": _ADDRESS,
    }
    return fields.get(path)


def _of_every_pod(request: StepRequest) -> dict[str, dict[str, str]]:
    """What KFP writes on the pods of all steps."""
    return {
        "labels": {"pipeline/runid": request.facts.run_uid},
        "annotations": {"pipelines.kubeflow.org/run_name": request.facts.run_display_name},
    }
