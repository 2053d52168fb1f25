"""What a pod waits for that its status does not tell: volumes that cannot be mounted, a network that is not there.

The kubelet tells of it in events only.
"""

from penstock_server.launch.kubernetes.api import ClusterApi, Kind
from penstock_server.launch.kubernetes.view import PodView
from penstock_server.launch.kubernetes.waits import Trouble

_PASSING = frozenset({"FailedScheduling", "BackOff", "Unhealthy", "Failed"})
"""Of these the status tells as well, and better."""


async def newest_trouble(api: ClusterApi, pod: PodView) -> Trouble | None:
    """The newest warning about the pod; None without one. Raises ApiError, as where we may not ask."""
    fields = f"involvedObject.uid={pod.uid},type=Warning"
    found: list[tuple[str, Trouble]] = []
    async for page in api.pages(Kind.EVENTS, pod.namespace, fields=fields):
        for event in page["items"]:
            if event.get("reason") not in _PASSING:
                time = event.get("lastTimestamp") or event.get("eventTime") or ""
                found.append((time, Trouble(event.get("reason") or "", event.get("message") or "")))
    return max(found, key=lambda each: each[0])[1] if found else None
