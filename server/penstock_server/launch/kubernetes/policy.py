"""What a namespace of Penstock allows the pods of its steps, and gives them.

A pod that is not allowed is not made: its step fails with POLICY_DENIED and the rule's name, and no further attempt is
made. Where the policies stand, and what each key means, is told in docs/reference/pods.md.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from penstock_server.launch.kubernetes.names import MAIN, OWN
from penstock_server.launch.kubernetes.quantities import quantity
from penstock_server.launch.kubernetes.template import Fragment, under
from penstock_server.launch.reasons import POLICY_DENIED

_UNBOUNDED = frozenset({"cpu", "memory", "ephemeral-storage"})
"""Of these a container without a limit takes what there is; of all others it gets none."""


class PodError(Exception):
    """There can be no such pod; the attempt fails with this reason and message."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class PodPolicy:
    """The rules for one namespace of ours. As it is made: everything is allowed, nothing is given."""

    service_account: str = ""
    """That of pods whose run asks for none; empty: the namespace's own."""
    service_accounts: tuple[str, ...] | None = None
    """Those that a run may ask for besides; None: any."""
    images: tuple[str, ...] | None = None
    """Patterns, of which the image of each container has to match one; None: any image."""
    default_requests: Mapping[str, str] = field(default_factory=dict)
    """Of each resource that a container says nothing of."""
    default_limits: Mapping[str, str] = field(default_factory=dict)
    max_requests: Mapping[str, str] = field(default_factory=dict)
    """The most that one container may ask for."""
    max_limits: Mapping[str, str] = field(default_factory=dict)
    """The most that one container may have; one without a limit of its own gets this one."""
    template: Mapping[str, Any] = field(default_factory=dict)
    """A base pod."""


@dataclass(frozen=True, slots=True)
class Policies:
    """The policies of all namespaces."""

    default: PodPolicy = field(default_factory=PodPolicy)
    named: Mapping[str, PodPolicy] = field(default_factory=dict)

    def of(self, namespace: str) -> PodPolicy:
        """That of a namespace of ours."""
        return self.named.get(namespace, self.default)


def admitted(pod: Fragment, policy: PodPolicy, namespace: str, own_image: str) -> Fragment:
    """The pod as the policy of our `namespace` makes it; `own_image`, that of our containers, is always allowed.

    Raises PodError(POLICY_DENIED).
    """
    _check_account(pod["spec"].get("serviceAccountName", ""), policy, namespace)
    for container in _users(pod):
        if container.get("image") != own_image:
            _check_image(container, policy, namespace)
    based = under(policy.template, pod)
    spec = {
        **based["spec"],
        **{
            key: [_with_resources(container, policy, namespace) for container in based["spec"][key]]
            for key in ("containers", "initContainers")
        },
    }
    if policy.service_account:
        spec.setdefault("serviceAccountName", policy.service_account)
    return {**based, "spec": spec}


def _users(pod: Fragment) -> Iterator[Fragment]:
    """The containers of the pipeline."""
    listed = [*pod["spec"]["initContainers"], *pod["spec"]["containers"]]
    return (container for container in listed if not container["name"].startswith(OWN))


def _check_account(asked: str, policy: PodPolicy, namespace: str) -> None:
    allowed = policy.service_accounts
    if asked and allowed is not None and asked not in (*allowed, policy.service_account):
        listed = ", ".join(allowed) or "none"
        raise _denied(namespace, "service_accounts", f"the service account {asked!r} is none of {listed}")


def _check_image(container: Fragment, policy: PodPolicy, namespace: str) -> None:
    image = str(container.get("image", ""))
    if policy.images is not None and not any(fnmatchcase(image, pattern) for pattern in policy.images):
        listed = ", ".join(policy.images) or "none"
        raise _denied(namespace, "images", f"the image {image!r} of {container['name']} matches none of {listed}")


def _with_resources(container: Fragment, policy: PodPolicy, namespace: str) -> Fragment:
    """The container with what it does not say itself. Ours keep what they have."""
    if container["name"].startswith(OWN):
        return container
    asked = container.get("resources", {})
    given: Mapping[str, str] = asked.get("requests", {})
    limits = {**_default_limits(policy, given), **asked.get("limits", {})}
    defaults = {name: _lower(text, limits.get(name)) for name, text in policy.default_requests.items()}
    requests = {**defaults, **given}
    _check_maxima(container, "limits", limits, policy.max_limits, namespace)
    # A request beyond the limit that a container may have is one, whether or not it has a limit of its own.
    _check_maxima(container, "limits", requests, policy.max_limits, namespace)
    _check_maxima(container, "requests", requests, policy.max_requests, namespace)
    found = {kind: values for kind, values in (("limits", limits), ("requests", requests)) if values}
    return {**container, **({"resources": found} if found else {})}


def _default_limits(policy: PodPolicy, requests: Mapping[str, str]) -> dict[str, str]:
    """Limits of a container that has none: the default, but no less than it requests; else the most."""
    most = {name: text for name, text in policy.max_limits.items() if name in _UNBOUNDED}
    defaults = {name: _higher(text, requests.get(name)) for name, text in policy.default_limits.items()}
    return most | defaults


def _higher(default: str, request: str | None) -> str:
    return default if request is None or quantity(default) >= quantity(request) else request


def _lower(default: str, limit: str | None) -> str:
    """A default is no more than the limit beside it, which Kubernetes would refuse."""
    return default if limit is None or quantity(default) <= quantity(limit) else limit


def _check_maxima(
    container: Fragment, kind: str, asked: Mapping[str, str], maxima: Mapping[str, str], namespace: str
) -> None:
    for name, most in maxima.items():
        if name in asked and quantity(asked[name]) > quantity(most):
            what = "step" if container["name"] == MAIN else f"container {container['name']}"
            message = f"the {what} asks for {asked[name]} of {name} ({kind}); the most is {most}"
            raise _denied(namespace, f"max_{kind}.{name}", message)


def _denied(namespace: str, rule: str, message: str) -> PodError:
    return PodError(POLICY_DENIED, f"the policy of namespace {namespace} denies the pod by its rule {rule}: {message}")
