"""What the server may do in the cluster: the code, the role that is shipped and the guide say the same."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from penstock_server.launch.kubernetes.permissions import PERMISSIONS, check
from penstock_server.model.errors import FailedPrecondition

ROOT = Path(__file__).resolve().parent.parent.parent.parent


class Cluster:
    """Allows all but what it is told to refuse."""

    def __init__(self, *refused: tuple[str, str, str]) -> None:
        self._refused = refused

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


async def test_what_a_server_does_without_is_no_hindrance() -> None:
    await check(Cluster(("get", "nodes", "")), ["a"])
