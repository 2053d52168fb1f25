"""The cluster that tests run on, and launchers on it whose object store is a folder that the node shares with them."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import penstock_agent
from penstock_agent.plan import STORE_VARIABLE, StoreOptions
from penstock_server.launch.kubernetes.api import ApiLimits, ClusterApi
from penstock_server.launch.kubernetes.connection import ClusterAccess
from penstock_server.launch.kubernetes.frame import Frame, Stage
from penstock_server.launch.kubernetes.judgement import Graces
from penstock_server.launch.kubernetes.launcher import KubernetesLauncher
from penstock_server.launch.kubernetes.records import Records
from penstock_server.launch.kubernetes.strays import Registry
from penstock_server.launch.kubernetes.workplace import ClusterNamespaces, KubernetesSettings
from penstock_server.store.records import StoredRecords
from tests.kubernetes.kubectl import namespaces, read

PYTHON_IMAGE = os.environ.get("PENSTOCK_TEST_PYTHON_IMAGE", "python:3.11")
"""Any image with a Python: the agent is read from the store's folder."""
SHELL_IMAGE = os.environ.get("PENSTOCK_TEST_SHELL_IMAGE", "busybox")
MISSING = (
    "tests of the Kubernetes launcher need a cluster whose node shares this machine's file system: set KUBECONFIG to"
    ' its kubeconfig (here `eval "$(../shared/cluster/up)"` starts one, where that is at hand)'
)


class Cluster:
    """A real cluster, with a namespace and a folder of our own."""

    def __init__(self, namespace: str, folder: Path) -> None:
        self.namespace = namespace
        self.folder = folder
        self.store = folder / "store"

    def launcher(
        self,
        installation: str,
        *,
        registry: Registry | None = None,
        client: type[ClusterApi] = ClusterApi,
        **settings: Any,
    ) -> KubernetesLauncher:
        """A launcher on the cluster, not started."""
        api = client(ClusterAccess(environ=os.environ), ApiLimits())
        records = Records(StoredRecords.in_folder(self.store), f"file://{self.store}")
        given: dict[str, Any] = {
            "namespaces": ClusterNamespaces(self.namespace),
            "frame": Frame(installation, stage_from_store(self.store)),
            "graces": Graces(image_s=2, config_s=2, start_s=2, scheduling_s=2),
            "stop_grace_s": 2,
        }
        return KubernetesLauncher(api, records, KubernetesSettings(**(given | settings)), registry)

    def names(self, kind: str) -> list[str]:
        """The names of all pods, or claims, in the namespace that are not on their way out."""
        listed = [item["metadata"] for item in read(kind, "--namespace", self.namespace)["items"]]
        return [metadata["name"] for metadata in listed if "deletionTimestamp" not in metadata]


def stage_from_store(store: Path) -> Stage:
    """Stage containers of a plain Python image, which read the agent from the store's own folder."""
    sources = store / ".agent" / "penstock_agent"
    if not sources.exists():
        shutil.copytree(Path(*penstock_agent.__path__), sources, ignore=shutil.ignore_patterns("__pycache__"))
    start = f"import sys; sys.path.insert(0, {str(sources.parent)!r}); from penstock_agent.__main__ import main; main()"
    return Stage(
        PYTHON_IMAGE,
        command=("python3", "-ISc", start),
        env={STORE_VARIABLE: StoreOptions(root=f"file://{store}").to_text()},
        store_path=str(store),
        store_volume={"hostPath": {"path": str(store)}},
    )


@contextmanager
def opened_cluster() -> Iterator[Cluster]:
    """The cluster of KUBECONFIG, with a new namespace and a new folder; they are removed at the end."""
    if not os.environ.get("KUBECONFIG"):
        pytest.fail(MISSING)
    namespace = f"penstock-test-{uuid.uuid4().hex[:8]}"
    folder = Path(tempfile.mkdtemp(prefix="penstock-test-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        with namespaces(namespace):
            yield Cluster(namespace, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
