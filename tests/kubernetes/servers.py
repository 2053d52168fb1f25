"""Real servers whose steps are pods, outside of the cluster; the pods share a folder with the test."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests import pipelines
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.images import penstock_image
from tests.servers import Server, running

POLICIES = """
[[namespaces."*".template.spec.volumes]]
name = "shared"
hostPath = {{ path = "{folder}" }}

[[namespaces."*".template.spec.containers]]
name = "main"
volumeMounts = [{{ name = "shared", mountPath = "{folder}" }}]
"""


@contextmanager
def serving(
    cluster: Cluster, folder: Path, dsn: str, count: int = 1, *options: str, **environment: str
) -> Iterator[list[Server]]:
    """Servers on one database and one artifact store, whose pods have `folder` at the same place.

    `options` are added to theirs, or take the place of those.
    """
    shared = folder / "shared"
    shared.mkdir()
    for each in (folder, shared):
        each.chmod(0o777)
    policies = folder / "policies.toml"
    policies.write_text(POLICIES.format(folder=shared))
    settings = {
        "--launcher": "kubernetes",
        "--database-url": dsn,
        "--artifacts-url": f"file://{folder}/store",
        "--kubernetes-namespace": cluster.namespace,
        "--kubernetes-stage-image": penstock_image(),
        "--kubernetes-policies": str(policies),
        "--lease-ttl-s": "3",
    }
    given = [word for setting in settings.items() for word in setting]
    with ExitStack() as stack:
        yield [
            stack.enter_context(running(folder / f"server-{number}", *given, *options, **environment))
            for number in range(count)
        ]


def journalling(folder: Path, width: int, *, waits: bool = False) -> dict[str, Any]:
    """Steps side by side; each notes that it runs in a journal, and with `waits` goes on once there is a gate."""
    wait = f"; until [ -e {folder}/gate ]; do sleep 0.2; done" if waits else ""
    script = f'echo "$0 $KFP_RETRY_INDEX" >> {folder}/journal{wait}; echo "said by $0"'
    spec = pipelines.wide(width, "sh", "-c", script, "{{$.pipeline_task_name}}")
    spec["deploymentSpec"]["executors"]["exec-step"]["container"]["image"] = "busybox"
    return spec


def journal(folder: Path) -> list[str]:
    """What has run, in order."""
    file = folder / "journal"
    return file.read_text().splitlines() if file.exists() else []


def kubeconfig_to(port: int, target: Path) -> Path:
    """The kubeconfig with all its clusters at a port of this machine."""
    document = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    for each in document["clusters"]:
        each["cluster"]["server"] = f"https://127.0.0.1:{port}"
    target.write_text(yaml.safe_dump(document))
    return target
