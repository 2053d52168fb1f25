"""What is seen of a pod: the parts of its JSON that say how far the attempt in it is, with their types.

    metadata ──► whose it is        spec ──► what it may        status ──► what has become of it

Nothing is concluded here; `judge` does that.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from penstock_server.launch.kubernetes.names import timeout_s_in

_NEVER = datetime.fromtimestamp(0, UTC)
"""The time that a node tells where there is none."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The container does not run yet, or not again."""

    reason: str = ""
    """As the kubelet says it: `ContainerCreating`, `PodInitializing`, `ImagePullBackOff` ..."""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """The container runs."""

    started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """The container has ended."""

    exit_code: int
    reason: str = ""
    """`Completed`, `Error`, `OOMKilled`, `StartError`, `ContainerStatusUnknown` ..."""
    message: str = ""
    """What it left as its termination message, or what the runtime says of its end."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    """By the node's clock, in whole seconds."""


ContainerState = Waiting | Running | Ended


@dataclass(frozen=True, slots=True)
class Container:
    """One container of the pod, of whichever kind."""

    name: str
    state: ContainerState
    is_init: bool
    """It stands among the init containers: one that runs before the others, or a native sidecar."""
    is_sidecar: bool = False
    """It is a native sidecar."""
    container_id: str = ""
    memory_limit: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition of the pod."""

    is_true: bool
    reason: str = ""
    message: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class PodView:
    """A pod, as the API server told of it."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    created_at: datetime
    deletion_at: datetime | None
    """When the pod's grace is over; None unless it is being deleted."""
    deletion_grace_s: float
    phase: str
    reason: str
    message: str
    node: str
    started_at: datetime | None
    """When the kubelet took it up."""
    deadline_s: float | None
    """Seconds from `started_at` on that the pod may take, by its annotation or, without one, its node."""
    containers: Mapping[str, Container]
    conditions: Mapping[str, Condition]

    @property
    def is_over(self) -> bool:
        """True when nothing runs in it any more, and nothing will."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def is_idle(self) -> bool:
        """True when all of its containers have ended, whatever its phase says yet."""
        states = [container.state for container in self.containers.values()]
        return self.is_over or (bool(states) and all(isinstance(state, Ended) for state in states))

    @property
    def deletion_asked_at(self) -> datetime | None:
        """When somebody asked for it to be deleted; None when nobody has."""
        if self.deletion_at is None:
            return None
        return self.deletion_at - timedelta(seconds=self.deletion_grace_s)

    @property
    def deadline_at(self) -> datetime | None:
        """When its time is over; None without a limit, or before it was taken up."""
        if self.deadline_s is None or self.started_at is None:
            return None
        return self.started_at + timedelta(seconds=self.deadline_s)

    def state_of(self, name: str) -> ContainerState:
        """The state of a container; waiting where nothing is told of it."""
        container = self.containers.get(name)
        return container.state if container is not None else Waiting()

    def has_run(self, name: str) -> bool:
        """Whether a container has ever run, so that there may be a log of it. Of one that could not be started, or
        was not yet when its pod was ended, the node tells an end as well, and no beginning."""
        state = self.state_of(name)
        if isinstance(state, Ended):
            return state.started_at is not None and state.started_at > _NEVER
        return isinstance(state, Running)

    def ended(self, name: str) -> Ended | None:
        """The end of a container; None while it has not ended."""
        state = self.state_of(name)
        return state if isinstance(state, Ended) else None


def view(pod: Mapping[str, Any]) -> PodView:
    """The pod of which `pod` is the JSON."""
    metadata, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    return PodView(
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        resource_version=metadata.get("resourceVersion", ""),
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        created_at=time_of(metadata.get("creationTimestamp")) or _NEVER,
        deletion_at=time_of(metadata.get("deletionTimestamp")),
        deletion_grace_s=float(metadata.get("deletionGracePeriodSeconds") or 0),
        phase=status.get("phase", ""),
        reason=status.get("reason", ""),
        message=status.get("message", ""),
        node=spec.get("nodeName", ""),
        started_at=time_of(status.get("startTime")),
        deadline_s=timeout_s_in(metadata.get("annotations") or {}) or spec.get("activeDeadlineSeconds"),
        containers={container.name: container for container in _containers(spec, status)},
        conditions={told["type"]: _condition(told) for told in status.get("conditions") or ()},
    )


def _containers(spec: Mapping[str, Any], status: Mapping[str, Any]) -> Iterable[Container]:
    """Those that a status is told of."""
    declared = {each["name"]: each for key in ("initContainers", "containers") for each in spec.get(key) or ()}
    for key, is_init in (("initContainerStatuses", True), ("containerStatuses", False)):
        for told in status.get(key) or ():
            name = told["name"]
            own = declared.get(name, {})
            is_sidecar = is_init and own.get("restartPolicy") == "Always"
            limit = ((own.get("resources") or {}).get("limits") or {}).get("memory", "")
            yield Container(name, _state(told), is_init, is_sidecar, told.get("containerID", ""), limit)


def _state(told: Mapping[str, Any]) -> ContainerState:
    state = told.get("state") or {}
    if (ended := state.get("terminated")) is not None:
        return Ended(
            exit_code=int(ended.get("exitCode", 0)),
            reason=ended.get("reason", ""),
            message=ended.get("message", ""),
            started_at=time_of(ended.get("startedAt")),
            finished_at=time_of(ended.get("finishedAt")),
        )
    if (running := state.get("running")) is not None:
        return Running(time_of(running.get("startedAt")))
    waiting = state.get("waiting") or {}
    return Waiting(waiting.get("reason", ""), waiting.get("message", ""))


def _condition(told: Mapping[str, Any]) -> Condition:
    return Condition(
        is_true=told.get("status") == "True",
        reason=told.get("reason", ""),
        message=told.get("message", ""),
        since=time_of(told.get("lastTransitionTime")),
    )


def time_of(text: str | None) -> datetime | None:
    """A time as the API tells it; None for none."""
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
