"""What the attempts of one Kubernetes launcher share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from penstock_server.launch.base import StepRequest
from penstock_server.launch.kubernetes.api import ClusterApi, Json
from penstock_server.launch.kubernetes.budget import PodBudget
from penstock_server.launch.kubernetes.frame import Frame
from penstock_server.launch.kubernetes.judgement import Graces
from penstock_server.launch.kubernetes.logs.rhythm import LogRhythm
from penstock_server.launch.kubernetes.manifest import pod_manifest
from penstock_server.launch.kubernetes.pod_logs import PodLogs
from penstock_server.launch.kubernetes.records import Records


@dataclass(frozen=True, slots=True)
class ClusterNamespaces:
    """Where in the cluster the steps of each namespace of ours run."""

    default: str
    named: Mapping[str, str] = field(default_factory=dict)
    """Namespaces of the cluster by those of ours; what is not among them goes to `default`."""

    def of(self, namespace: str) -> str:
        """Where the steps of a namespace of ours run."""
        return self.named.get(namespace, self.default)

    @property
    def all(self) -> tuple[str, ...]:
        """Each once."""
        return tuple(dict.fromkeys((self.default, *self.named.values())))


@dataclass(frozen=True, slots=True)
class KubernetesSettings:
    """How steps are run as pods."""

    namespaces: ClusterNamespaces
    frame: Frame
    """What all pods have in common."""
    graces: Graces = field(default_factory=Graces)
    stop_grace_s: int = 5
    """Seconds between asking a step to end and ending it."""
    workspace_size: str = "10Gi"
    """Of the claim that the steps of a run share."""
    workspace_access_modes: tuple[str, ...] = ("ReadWriteOnce",)
    workspace_spec: Mapping[str, Any] = field(default_factory=dict)
    """Further parts of the claim's `spec`, such as `storageClassName`."""
    pending_pods_max: int = 100
    """Pods that wait for a place or start, at a time; further attempts wait with us."""
    logs: LogRhythm = field(default_factory=LogRhythm)
    """When the logs of running pods are read."""
    tick_s: float = 2
    """So often is looked after what time alone changes."""
    sweep_s: float = 60
    """So often is looked after pods that nobody claims."""
    reconcile_s: float = 300
    """So often all pods are listed again and compared."""
    sync_timeout_s: float = 30
    """A start waits no longer for the first list of pods."""


@dataclass(frozen=True, slots=True)
class Workplace:
    """A cluster, and how steps run on it."""

    api: ClusterApi
    records: Records
    logs: PodLogs
    budget: PodBudget
    settings: KubernetesSettings
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def namespace_of(self, request: StepRequest) -> str:
        """Where its pod goes."""
        return self.settings.namespaces.of(request.facts.namespace)

    def manifest(self, request: StepRequest, variables: Mapping[str, str]) -> Json:
        """Its pod. Raises PodError."""
        return pod_manifest(request, variables, self.settings.frame, self.namespace_of(request))
