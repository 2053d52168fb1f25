"""Penstock in the cluster, as `deploy/kubernetes` has it, in namespaces of a test's own."""

import json
import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.kubernetes.kubectl import apply, kubectl, namespaces
from tests.kubernetes.surroundings import STORE_SECRET, secret

MANIFESTS = Path(__file__).resolve().parent.parent.parent / "deploy" / "kubernetes"
SERVERS, STEPS = "penstock", "penstock-steps"
"""The namespaces in the manifests."""
ROLLOUT_TIMEOUT = "180s"
IMAGE = "penstock-server"
"""The image in the manifests."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What differs from the manifests."""

    name: str
    """The servers' namespace; that of the steps has `-steps` behind it."""
    image: str
    database_url: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings beside those of the manifests, and instead of them."""
    store: Mapping[str, str] = field(default_factory=dict)
    """The credentials of the object store, as variables."""
    replicas: int = 1

    @property
    def steps(self) -> str:
        """The namespace of the steps."""
        return f"{self.name}-steps"

    @property
    def documents(self) -> list[dict[str, Any]]:
        """All objects, the namespaces with what they enforce."""
        return [_DIFFERENCES.get(each["kind"], _as_is)(each, self) for each in documents(self.name)]


@contextmanager
def installed(installation: Installation) -> Iterator[None]:
    """The servers, ready; all of it is gone at the end."""
    with namespaces(installation.name, installation.steps), _cluster_wide(installation.name):
        for namespace in (installation.name, installation.steps):
            apply(secret(namespace, STORE_SECRET, installation.store))
        apply(secret(installation.name, "penstock-database", {"url": installation.database_url}))
        apply(*installation.documents)
        where = ("--namespace", installation.name)
        kubectl("rollout", "status", "deployment/penstock-server", *where, "--timeout", ROLLOUT_TIMEOUT)
        yield


def documents(name: str) -> list[dict[str, Any]]:
    """The objects of the manifests, for namespaces that are called so."""
    texts = [path.read_text() for path in sorted(MANIFESTS.glob("*.yaml")) if path.name != "kustomization.yaml"]
    found = [each for text in texts for each in yaml.safe_load_all(text)]
    return [_renamed(each, name) for each in found]


def _renamed(value: Any, name: str) -> Any:
    """With the namespaces of a test in place of the manifests', and names of its own for what has no namespace."""
    if isinstance(value, list):
        return [_renamed(each, name) for each in value]
    if not isinstance(value, dict):
        return value
    renamed = {key: _renamed(each, name) for key, each in value.items()}
    if "namespace" in renamed:
        renamed["namespace"] = _namespace(renamed["namespace"], name)
    if renamed.get("kind") == "Namespace":
        renamed["metadata"]["name"] = _namespace(renamed["metadata"]["name"], name)
    if renamed.get("kind") in ("ClusterRole", "ClusterRoleBinding"):
        target = renamed.get("metadata", renamed)
        target["name"] = f"{target['name']}-{name}"
    return renamed


def _namespace(manifests: str, name: str) -> str:
    return {SERVERS: name, STEPS: f"{name}-steps"}[manifests]


def _deployment(document: dict[str, Any], installation: Installation) -> dict[str, Any]:
    document["spec"]["replicas"] = installation.replicas
    pod = document["spec"]["template"]["spec"]
    for container in (*pod["initContainers"], *pod["containers"]):
        assert container["image"] == IMAGE
        container["image"] = installation.image
    return document


def _settings(document: dict[str, Any], installation: Installation) -> dict[str, Any]:
    kept = tomllib.loads(document["data"]["penstock.toml"])
    settings = {**kept, "kubernetes_stage_image": installation.image, **installation.settings}
    text = "\n".join(f"{name} = {json.dumps(value)}" for name, value in settings.items())
    document["data"]["penstock.toml"] = text + "\n"
    return document


def _as_is(document: dict[str, Any], _: Installation) -> dict[str, Any]:
    return document


_DIFFERENCES = {"Deployment": _deployment, "ConfigMap": _settings}


@contextmanager
def _cluster_wide(name: str) -> Iterator[None]:
    """What has no namespace goes by itself."""
    try:
        yield
    finally:
        for kind in ("clusterrolebinding", "clusterrole"):
            kubectl("delete", kind, f"penstock-nodes-{name}", "--ignore-not-found")


@contextmanager
def forwarded(namespace: str, port: int = 8887) -> Iterator[str]:
    """The address on this machine at which the servers of a namespace are reached."""
    command = ["kubectl", "port-forward", "--namespace", namespace, "service/penstock-server", f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            assert line.startswith("Forwarding from"), line
            yield line.split()[2]
        finally:
            process.terminate()
