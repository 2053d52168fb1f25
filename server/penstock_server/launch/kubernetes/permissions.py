"""What a server may do in the cluster: all that it has to, and what each of it is for.

`deploy/kubernetes/rbac.yaml` grants exactly this, and docs/guides/kubernetes.md tells of it; tests compare all three.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from penstock_server.model.errors import FailedPrecondition

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Permission:
    """One verb on one kind of object."""

    verb: str
    resource: str
    """With a slash before a part of it: `pods/log`."""
    serves: str
    """What is done with it."""
    is_cluster_wide: bool = False
    """True for what lies in no namespace. The others are needed in every namespace that steps run in."""
    is_needed: bool = True
    """False for what a server does without, at a price that `serves` tells."""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


PERMISSIONS = (
    Permission("create", "pods", "each attempt at a step is a pod"),
    Permission("get", "pods", "a pod that is there already is looked at before it counts as the attempt's"),
    Permission("list", "pods", "a server that starts, or has lost touch, learns which pods there are"),
    Permission("watch", "pods", "a server hears of what happens to pods when it happens"),
    Permission("delete", "pods", "cancelled steps end; pods of steps that have ended are removed"),
    Permission("get", "pods/log", "logs of steps are followed, and stored before their pods go"),
    Permission("create", "persistentvolumeclaims", "workspaces of runs, and KFP's CreatePVC"),
    Permission("get", "persistentvolumeclaims", "a claim that is there already is looked at before it counts as made"),
    Permission("list", "persistentvolumeclaims", "the workspace of a deleted run is found"),
    Permission("delete", "persistentvolumeclaims", "workspaces of deleted runs, and KFP's DeletePVC"),
    Permission(
        "list",
        "events",
        "why a pod that has a node does not start is told; without it such a pod waits without a word",
        is_needed=False,
    ),
    Permission(
        "get",
        "nodes",
        "a pod whose node is lost is removed by force; without it such a pod waits for its node or for you",
        is_cluster_wide=True,
        is_needed=False,
    ),
)


class Authority(Protocol):
    """Who answers for the cluster."""

    async def may(self, verb: str, resource: str, namespace: str) -> bool:
        """Whether this server is allowed to. An empty namespace: in the whole cluster."""

    async def lacks_namespace(self, name: str) -> bool:
        """Whether it is known that there is no such namespace."""


async def check(authority: Authority, namespaces: Iterable[str]) -> None:
    """See that the namespaces are there and that all is allowed that is needed; what else is refused is a warning.

    Raises FailedPrecondition(KUBERNETES_ACCESS).
    """
    places = tuple(namespaces)
    await _check_namespaces(authority, places)
    refused = await _refused(authority, places)
    needed = [f"{each} in {place}" for each, place in refused if each.is_needed]
    if needed:
        message = (
            f"the cluster does not let this server {', '.join(needed)}; give its service account the role of"
            " deploy/kubernetes/rbac.yaml in every namespace that steps run in"
        )
        raise FailedPrecondition("KUBERNETES_ACCESS", message)
    for each, place in refused:
        where = f" in {place}" if place else ""
        _log.warning("permission lacking", extra={"permission": f"{each}{where}", "serves": each.serves})


async def _check_namespaces(authority: Authority, places: Sequence[str]) -> None:
    lacking = await asyncio.gather(*(authority.lacks_namespace(place) for place in places))
    missing = [place for place, is_lacking in zip(places, lacking, strict=True) if is_lacking]
    if missing:
        message = (
            f"the cluster has no namespace {', '.join(missing)}: make it, or name another one with"
            " --kubernetes-namespace or --kubernetes-namespaces"
        )
        raise FailedPrecondition("KUBERNETES_ACCESS", message)


async def _refused(authority: Authority, places: Sequence[str]) -> list[tuple[Permission, str]]:
    """What is not allowed, and in which namespace; an empty one for what lies in none."""
    asked = [(each, place) for each in PERMISSIONS for place in (("",) if each.is_cluster_wide else places)]
    answers = await asyncio.gather(*(authority.may(each.verb, each.resource, place) for each, place in asked))
    return [each for each, allowed in zip(asked, answers, strict=True) if not allowed]
