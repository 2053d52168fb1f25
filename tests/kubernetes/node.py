"""The node that pods run on: `kill -9` of what the kubelet runs there, by a pod of ours that sees all its processes.

Nothing but a KUBECONFIG is needed, whose user may make a privileged pod. The kubelet and the container runtime are
never killed: nothing here would start them again.
"""

import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

from penstock_server.launch.kubernetes import names
from tests.kubernetes import killer
from tests.kubernetes.cluster import PYTHON_IMAGE
from tests.kubernetes.kubectl import TIMEOUT_S, apply, kubectl

WAIT_S = 60.0
SCRIPT = Path(killer.__file__).read_text()


class Victim(StrEnum):
    """What can be killed of a pod."""

    MAIN = names.MAIN
    STAGE_IN = names.STAGE_IN
    STAGE_OUT = names.STAGE_OUT
    SANDBOX = "sandbox"
    """The process that holds the pod's namespaces, often called `pause`."""
    SHIM = "shim"
    """The process of the container runtime beside the pod; its containers end with it."""


class Node:
    """Where a pod of ours is at hand."""

    def __init__(self, namespace: str, pod: str) -> None:
        self._namespace = namespace
        self._pod = pod

    def kill(self, victim: Victim, mark: str, wait_s: float = WAIT_S) -> str | None:
        """Kill it in the first pod that is found with `mark` in its mounts: the pod's uid, or a folder of this machine.

        Returns the uid of that pod; None when there was none within `wait_s`.
        """
        command = ["kubectl", "exec", "--stdin", "--namespace", self._namespace, self._pod, "--", "python3", "-"]
        arguments = [victim, mark, str(wait_s)]
        done = subprocess.run(
            command + arguments, input=SCRIPT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        if done.returncode == killer.NOTHING_FOUND:
            return None
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@contextmanager
def reached(namespace: str) -> Iterator[Node]:
    """The node, through a pod in `namespace` that is gone at the end."""
    name = f"killer-{uuid.uuid4().hex[:8]}"
    apply(_pod(namespace, name))
    try:
        kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--namespace", namespace, f"--timeout={TIMEOUT_S}s")
        yield Node(namespace, name)
    finally:
        kubectl("delete", "pod", name, "--namespace", namespace, "--wait=false")


def _pod(namespace: str, name: str) -> dict[str, Any]:
    container = {
        "name": "killer",
        "image": PYTHON_IMAGE,
        "command": ["sleep", "infinity"],
        "securityContext": {"privileged": True, "runAsUser": 0},
    }
    spec = {"hostPID": True, "restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": spec}
