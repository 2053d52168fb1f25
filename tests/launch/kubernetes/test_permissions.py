"""What the server may do in the cluster: the code, the role that is shipped and the guide say the same."""

import logging
from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock_server.launch.kubernetes.permissions import PERMISSIONS, check
from penstock_server.model.errors import FailedPrecondition

ROOT = Path(__file__).resolve().parent.parent.parent.parent


class Cluster:
    """Allows all but what it is told to refuse, and has the namespaces `a` and `b`."""

    def __init__(self, *refused: tuple[str, str, str]) -> None:
        self._refused = refused

    async def lacks_namespace(self, name: str) -> bool:
        return name not in ("a", "b")

    async def may(self, verb: str, resource: str, namespace: str) -> bool:
        return (verb, resource, namespace) not in self._refused


def granted(kind: str) -> set[tuple[str, str]]:
    """Verbs and resources of the role of that kind."""
    documents: list[dict[str, Any]] = list(yaml.safe_load_all((ROOT / "deploy/kubernetes/rbac.yaml").read_text()))
    rules = [rule for each in documents if each["kind"] == kind for rule in each["rules"]]
    assert all(rule["apiGroups"] == [""] for rule in rules)
    return {(verb, resource) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}


@pytest.mark.parametrize(("kind", "is_cluster_wide"), [("Role", False), ("ClusterRole", True)])
def test_the_role_grants_exactly_what_is_used(kind: str, is_cluster_wide: bool) -> None:
    used = {(each.verb, each.resource) for each in PERMISSIONS if each.is_cluster_wide is is_cluster_wide}
    assert granted(kind) == used


def test_the_guide_tells_what_each_verb_is_for() -> None:
    guide = (ROOT / "docs/guides/kubernetes.md").read_text()
    missing = [each for each in PERMISSIONS if f"| `{each.resource}` | `{each.verb}` | {each.serves} |" not in guide]
    assert missing == []


async def test_all_that_is_refused_is_told_at_once() -> None:
    refusing = Cluster(("delete", "pods", "a"), ("get", "pods/log", "b"), ("get", "nodes", ""))
    with pytest.raises(FailedPrecondition) as refused:
        await check(refusing, ["a", "b"])
    assert refused.value.reason == "KUBERNETES_ACCESS"
    assert "does not let this server delete pods in a, get pods/log in b; give" in refused.value.message


@pytest.mark.parametrize(
    ("refused", "permission", "serves"),
    [
        (("get", "nodes", ""), "get nodes", "a pod whose node is lost is removed by force"),
        (("list", "events", "b"), "list events in b", "why a pod that has a node does not start is told"),
    ],
)
async def test_what_a_server_does_without_is_a_warning_and_no_hindrance(
    caplog: pytest.LogCaptureFixture, refused: tuple[str, str, str], permission: str, serves: str
) -> None:
    await check(Cluster(refused), ["a", "b"])
    [record] = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert (record.message, record.__dict__["permission"]) == ("permission lacking", permission)
    assert record.__dict__["serves"].startswith(serves)


async def test_a_server_that_may_do_all_warns_of_nothing(caplog: pytest.LogCaptureFixture) -> None:
    await check(Cluster(), ["a", "b"])
    assert caplog.records == []


async def test_namespaces_that_are_not_there_are_told() -> None:
    with pytest.raises(FailedPrecondition) as refused:
        await check(Cluster(), ["a", "nope", "neither"])
    assert refused.value.reason == "KUBERNETES_ACCESS"
    assert "has no namespace nope, neither: make it" in refused.value.message
