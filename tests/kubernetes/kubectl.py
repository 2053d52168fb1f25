"""`kubectl`, as those who run a cluster use it."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

TIMEOUT_S = 120


def kubectl(*arguments: str, given: str = "") -> str:
    """Run it; what it prints. An error is shown as kubectl tells it."""
    done = kubectl_tried(*arguments, given=given)
    assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def kubectl_tried(*arguments: str, given: str = "") -> "subprocess.CompletedProcess[str]":
    """Run it, whatever comes of it."""
    command = ["kubectl", *arguments]
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


def read(*arguments: str) -> Any:
    """An object or a list, as JSON has it; None for an object that is not there, where that is ignored."""
    return json.loads(kubectl("get", *arguments, "--output", "json") or "null")


def apply(*documents: dict[str, Any]) -> None:
    """Bring the objects about."""
    kubectl("apply", "--filename", "-", given=yaml.safe_dump_all(documents))


def evict(namespace: str, pod: str, **options: Any) -> None:
    """As draining its node does; `options` are those of the deletion."""
    metadata = {"name": pod, "namespace": namespace}
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata, "deleteOptions": options}
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction"
    kubectl("create", "--raw", path, "--filename", "-", given=json.dumps(eviction))


@contextmanager
def namespaces(*names: str) -> Iterator[None]:
    """Namespaces of their own, gone at the end with all that is in them."""
    apply(*({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in names))
    try:
        yield
    finally:
        kubectl("delete", "namespace", "--wait=false", "--ignore-not-found", *names)
