"""The role of `deploy/kubernetes/rbac.yaml`, by the token of its service account: enough, and nothing too much."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock_server.launch.kubernetes import permissions
from penstock_server.launch.kubernetes.api import ApiLimits, ClusterApi, Kind
from penstock_server.launch.kubernetes.api_errors import ApiError, ApiNotFoundError
from penstock_server.launch.kubernetes.connection import ClusterAccess
from penstock_server.launch.kubernetes.permissions import PERMISSIONS, Permission
from penstock_server.model.errors import FailedPrecondition
from tests.kubernetes.installation import documents
from tests.kubernetes.kubectl import apply, kubectl, namespaces

pytestmark = pytest.mark.kubernetes

PATIENCE_S = 30
OF_ACCESS = {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "ServiceAccount", "Namespace"}
OF_EVERYBODY = {"selfsubjectreviews.authentication.k8s.io", "selfsubjectaccessreviews.authorization.k8s.io"}
OF_EVERYBODY |= {"selfsubjectrulesreviews.authorization.k8s.io"}


@dataclass(frozen=True, slots=True)
class Account:
    """The servers' service account."""

    name: str
    """Of its namespace."""
    kubeconfig: Path

    @property
    def steps(self) -> str:
        return f"{self.name}-steps"

    def allow(self, *, without: Permission | None = None) -> None:
        """Grant what the manifests grant, or all of it but for one verb."""
        for document in documents(self.name):
            if document["kind"] in OF_ACCESS:
                apply(_without(document, without) if without is not None else document)


def _without(document: dict[str, Any], taken: Permission) -> dict[str, Any]:
    if document["kind"] == ("ClusterRole" if taken.is_cluster_wide else "Role"):
        for rule in document["rules"]:
            if taken.resource in rule["resources"]:
                rule["verbs"].remove(taken.verb)
        document["rules"] = [rule for rule in document["rules"] if rule["verbs"]]
    return document


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    name = f"penstock-rbac-{uuid.uuid4().hex[:8]}"
    made = Account(name, tmp_path_factory.mktemp("rbac") / "kubeconfig")
    with namespaces(made.name, made.steps):
        made.allow()
        config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
        token = kubectl("create", "token", "penstock-server", "--namespace", name).strip()
        for user in config["users"]:
            user["user"] = {"token": token}
        made.kubeconfig.write_text(yaml.safe_dump(config))
        yield made
    for kind in ("clusterrolebinding", "clusterrole"):
        kubectl("delete", kind, f"penstock-nodes-{name}")


@pytest.fixture
async def api(account: Account) -> AsyncIterator[ClusterApi]:
    """The cluster, as the service account sees it."""
    api = ClusterApi(ClusterAccess(str(account.kubeconfig)), ApiLimits(watch_s=1))
    await api.open()
    yield api
    await api.close()


async def _all_of(items: AsyncIterator[Any]) -> None:
    async for _ in items:
        return


OPERATIONS: dict[str, Callable[[ClusterApi, str], Awaitable[Any]]] = {
    "create pods": lambda api, namespace: api.create(Kind.PODS, namespace, {"metadata": {"name": "x"}}),
    "get pods": lambda api, namespace: api.get(Kind.PODS, namespace, "x"),
    "list pods": lambda api, namespace: _all_of(api.pages(Kind.PODS, namespace)),
    "watch pods": lambda api, namespace: _all_of(api.watch(Kind.PODS, namespace, labels="a=b", version="0")),
    "delete pods": lambda api, namespace: api.delete(Kind.PODS, namespace, "x"),
    "get pods/log": lambda api, namespace: _all_of(api.log(namespace, "x", "main")),
    "create persistentvolumeclaims": lambda api, namespace: api.create(
        Kind.CLAIMS, namespace, {"metadata": {"name": "x"}}
    ),
    "get persistentvolumeclaims": lambda api, namespace: api.get(Kind.CLAIMS, namespace, "x"),
    "list persistentvolumeclaims": lambda api, namespace: _all_of(api.pages(Kind.CLAIMS, namespace)),
    "delete persistentvolumeclaims": lambda api, namespace: api.delete(Kind.CLAIMS, namespace, "x"),
    "list events": lambda api, namespace: _all_of(api.pages(Kind.EVENTS, namespace)),
    "get nodes": lambda api, _: api.node("x"),
}
"""What the launcher does with each."""


async def becomes(api: ClusterApi, permission: Permission, namespace: str, *, allowed: bool) -> None:
    """Wait until the API server goes by the new role."""
    place = "" if permission.is_cluster_wide else namespace
    async with asyncio.timeout(PATIENCE_S):
        while await api.may(permission.verb, permission.resource, place) is not allowed:
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("permission", [pytest.param(each, id=str(each)) for each in PERMISSIONS])
async def test_each_verb_is_needed(account: Account, api: ClusterApi, permission: Permission) -> None:
    account.allow(without=permission)
    await becomes(api, permission, account.steps, allowed=False)
    with pytest.raises(ApiError) as refused:
        await OPERATIONS[str(permission)](api, account.steps)
    assert refused.value.status == 403
    assert f'cannot {permission.verb} resource "{permission.resource}"' in refused.value.message
    if permission.is_needed:
        with pytest.raises(FailedPrecondition) as told:
            await permissions.check(api, [account.steps])
        assert f"does not let this server {permission} in {account.steps}; give" in told.value.message
    account.allow()
    await becomes(api, permission, account.steps, allowed=True)
    await permissions.check(api, [account.steps])
    with pytest.raises(ApiError) if permission.verb == "create" else _or_not_there():
        await OPERATIONS[str(permission)](api, account.steps)


class _or_not_there:  # noqa: N801  # read as a statement
    """Takes it as done where there is nothing to do it with."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        return isinstance(error, ApiNotFoundError)


def test_nothing_more_is_granted(account: Account) -> None:
    who = f"system:serviceaccount:{account.name}:penstock-server"
    listed = kubectl("auth", "can-i", "--list", "--no-headers", "--as", who, "--namespace", account.steps)
    granted = {
        (verb, words[0])
        for words in (line.split() for line in listed.splitlines())
        if not words[0].startswith("[") and words[0] not in OF_EVERYBODY
        for verb in " ".join(words).rpartition("[")[2].rstrip("]").split()
    }
    assert granted == {(each.verb, each.resource) for each in PERMISSIONS}
