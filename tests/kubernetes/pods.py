"""The pods of runs as the cluster has them, and waiting for what becomes of them."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

from penstock.v1.run_pb2 import Run
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.kubectl import read

WAIT_S = 240.0
LOOK_S = 0.1
T = TypeVar("T")


def until(test: Callable[[], T], timeout_s: float = WAIT_S) -> T:
    """Wait until there is something, or it is true; what it is. Others make it so, and nothing tells of that."""
    end = time.monotonic() + timeout_s
    while not (found := test()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(LOOK_S)
    return found


def pods_of(cluster: Cluster, run: Run) -> list[dict[str, Any]]:
    """The pods of the run's steps."""
    labels = f"penstock.dev/run-id={run.name.rpartition('/')[2]}"
    listed: list[dict[str, Any]] = read("pods", "--namespace", cluster.namespace, "--selector", labels)["items"]
    return listed


def state_of(pod: dict[str, Any], container: str, *, restarts: int = 0) -> dict[str, Any]:
    """The state of a container, as Kubernetes tells it; empty unless it was started again so often."""
    told = [*pod["status"].get("initContainerStatuses", ()), *pod["status"].get("containerStatuses", ())]
    found = [each for each in told if each["name"] == container and each["restartCount"] == restarts]
    return dict(found[0]["state"]) if found else {}
