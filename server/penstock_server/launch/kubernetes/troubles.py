"""What a pod waits for that its status does not tell.

Of volumes that cannot be mounted and a network that is not there the kubelet tells in events only; of a store that does
not answer, and of inputs that are large, *stage-in* tells in its log.
"""

from penstock_agent.notices import last_notice
from penstock_server.launch.kubernetes.api import ClusterApi, Kind
from penstock_server.launch.kubernetes.names import STAGE_IN
from penstock_server.launch.kubernetes.view import PodView, time_of
from penstock_server.launch.kubernetes.waits import Trouble, is_staging

_PASSING = frozenset({"FailedScheduling", "BackOff", "Unhealthy", "Failed"})
"""Of these the status tells as well, and better."""


async def newest_trouble(api: ClusterApi, pod: PodView) -> Trouble | None:
    """The newest thing said of the pod; None without one. Raises ApiError, as where we may not ask."""
    return await _of_stage_in(api, pod) if is_staging(pod) else await _of_events(api, pod)


async def _of_stage_in(api: ClusterApi, pod: PodView) -> Trouble | None:
    pieces = [piece async for piece in api.log(pod.namespace, pod.name, STAGE_IN, options={"tailLines": 1})]
    found = last_notice(b"".join(pieces).decode("utf-8", "replace"))
    return Trouble(*found, is_of_stage=True) if found is not None else None


async def _of_events(api: ClusterApi, pod: PodView) -> Trouble | None:
    fields = f"involvedObject.uid={pod.uid},type=Warning"
    found: list[tuple[str, Trouble]] = []
    async for page in api.pages(Kind.EVENTS, pod.namespace, fields=fields):
        for event in page["items"]:
            if event.get("reason") not in _PASSING:
                time = event.get("lastTimestamp") or event.get("eventTime") or ""
                since = time_of(event.get("firstTimestamp") or event.get("eventTime"))
                found.append((time, Trouble(event.get("reason") or "", event.get("message") or "", since)))
    return max(found, key=lambda each: each[0])[1] if found else None
