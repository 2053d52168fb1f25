"""What earlier looks at a pod have shown, and the last one does not: each look is added by a pure function."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from penstock_server.launch.kubernetes import sandbox
from penstock_server.launch.kubernetes.judgement import Grounds, Pending
from penstock_server.launch.kubernetes.names import MAIN
from penstock_server.launch.kubernetes.view import Ended, PodView
from penstock_server.launch.kubernetes.waits import Trouble, pending

UNKNOWN_ENDS = ("ContainerStatusUnknown", "Unknown")
"""Reasons of an end that the kubelet, or the container runtime, has not seen, as when the machine was without power."""
_EVER = datetime.min.replace(tzinfo=UTC)

DISRUPTIONS = {
    "PreemptionByScheduler": ("POD_PREEMPTED", "its place was given to a pod of higher priority"),
    "Preempting": ("POD_PREEMPTED", "its place was given to a pod of higher priority"),
    "DeletionByTaintManager": ("POD_EVICTED", "its node was tainted"),
    "EvictionByEvictionAPI": ("POD_EVICTED", "it was evicted, as when its node is drained"),
    "TerminationByKubelet": ("POD_EVICTED", "its node ended it, for want of resources or to shut down"),
    "Evicted": ("POD_EVICTED", "its node evicted it"),
    "DeletionByPodGC": ("NODE_LOST", "its node is gone"),
    "NodeLost": ("NODE_LOST", "its node does not answer"),
    "Shutdown": ("NODE_SHUTDOWN", "its node was shut down"),
    "NodeShutdown": ("NODE_SHUTDOWN", "its node was shut down"),
    "Terminated": ("NODE_SHUTDOWN", "its node was shut down"),
}
"""Why a pod was ended from outside, by what its status or its condition says: our reason, and words."""


@dataclass(frozen=True, slots=True)
class History:
    """What earlier looks at the pod have shown, and the last ones do not."""

    failing: Mapping[Grounds, datetime] = field(default_factory=dict)
    """Since when it has failed to start, on each of the grounds there were: what is told may go to and fro."""
    interfered_at: datetime | None = None
    """When somebody first asked for its end, or its node lost it. The last event of a deleted pod does not tell it: the
    kubelet has deleted it once more by then, with no grace."""
    main: Ended | None = None
    """How `main` ended, seen before anybody had asked for the end of the pod."""
    trouble: Trouble | None = None
    """The newest, where it was asked for."""

    def after(self, pod: PodView, now: datetime) -> "History":
        """The history once `pod` was looked at."""
        asked_at = self.interfered_at or interfered_at(pod)
        main = self.main or (pod.ended(MAIN) if asked_at is None else None)
        if main is not None and main.reason in UNKNOWN_ENDS:
            main = None
        waits, _ = pending(pod, self.trouble)
        failing = self.failing
        if waits.grounds is not None and waits.grounds not in failing:
            failing = {**failing, waits.grounds: self._since(waits, now)}
        return replace(self, failing=failing, interfered_at=asked_at, main=main)

    def _since(self, waits: Pending, now: datetime) -> datetime:
        """Since when it has failed so: the events of a node may come minutes late.

        Its clock is trusted between now and the first look at a pod of which nothing had started.
        """
        if waits.since is None:
            return now
        return max(self.failing.get(Grounds.PREPARATION, now), min(waits.since, now))


def interfered_at(pod: PodView) -> datetime | None:
    """When somebody first asked for the end of the pod, or its node lost it; None when nobody has, the oldest of times
    if it is not known."""
    asked = [sandbox.lost_at(pod)]
    disruption = pod.conditions.get("DisruptionTarget")
    if disruption is not None and disruption.is_true:
        asked.append(disruption.since)
    if pod.deletion_at is not None:
        asked.append(pod.deletion_asked_at if pod.deletion_grace_s > 0 else _EVER)
    if pod.reason == "DeadlineExceeded" or _has_ended_late(pod):
        asked.append(pod.deadline_at)
    elif pod.reason in DISRUPTIONS:
        asked.append(_EVER)
    return min((time for time in asked if time is not None), default=None)


def _has_ended_late(pod: PodView) -> bool:
    """Whether `main` has ended after the pod's deadline, of which the status tells once all containers have ended."""
    main, limit = pod.ended(MAIN), pod.deadline_at
    return main is not None and main.finished_at is not None and limit is not None and main.finished_at >= limit
