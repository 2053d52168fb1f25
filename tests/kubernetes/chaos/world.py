"""Two servers outside of the cluster on one Postgres, their way to its API server, and the node of their steps."""

import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from penstock_server.launch.kubernetes import names
from penstock_server.launch.kubernetes.records import FOLDER
from penstock_server.model.ids import AttemptId
from tests.chaos.world import Postgres
from tests.e2e.cutting_proxy import CuttingProxy, cutting
from tests.kubernetes.cluster import Cluster, opened_cluster
from tests.kubernetes.kubectl import read
from tests.kubernetes.node import Node, reached
from tests.kubernetes.servers import kubeconfig_to, serving
from tests.servers import Server

SERVERS = 2


@dataclass(frozen=True, slots=True)
class World:
    """All that faults happen to."""

    cluster: Cluster
    servers: Sequence[Server]
    api: CuttingProxy
    """The servers' way to the API server; the tests have their own."""
    node: Node
    folder: Path

    @property
    def shared(self) -> Path:
        """The folder that steps and tests share."""
        return self.folder / "shared"

    def objects(self, kind: str) -> list[str]:
        """The names of all pods, or claims, that are of steps and runs."""
        where = ("--namespace", self.cluster.namespace, "--selector", names.INSTALLATION_LABEL)
        return [item["metadata"]["name"] for item in read(kind, *where)["items"]]

    def records(self, but: Collection[AttemptId]) -> list[str]:
        """The files that the store keeps of attempts beside their artifacts, but for those of some attempts."""
        folder = self.folder / "store" / FOLDER
        files = [str(path.relative_to(folder)) for path in folder.glob("*/*/*/*")]
        return sorted(file for file in files if not file.startswith(tuple(f"{attempt}/" for attempt in but)))

    def forget_artifacts(self) -> None:
        """Remove those of runs that are over."""
        for path in (self.folder / "store").iterdir():
            if not path.name.startswith("."):
                shutil.rmtree(path)


@contextmanager
def opened() -> Iterator[World]:
    """The world, with everything up, on the cluster of KUBECONFIG."""
    with opened_cluster() as cluster:
        postgres = Postgres(cluster.folder / "database")
        postgres.start()
        try:
            with _on(cluster, postgres.dsn) as world:
                yield world
        finally:
            postgres.close()


@contextmanager
def _on(cluster: Cluster, dsn: str) -> Iterator[World]:
    folder = cluster.folder / "chaos"
    folder.mkdir()
    api = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())["clusters"][0]["cluster"]["server"]
    with cutting(urlsplit(api).netloc, seed=0, life_s=None) as proxy, reached(cluster.namespace) as node:
        kubeconfig = kubeconfig_to(int(proxy.address.rpartition(":")[2]), folder / "kubeconfig")
        with serving(cluster, folder, dsn, SERVERS, "--kubeconfig", str(kubeconfig)) as servers:
            yield World(cluster, servers, proxy, node, folder)
