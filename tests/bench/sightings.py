"""When pods were how far: seen by a watch of the measure's own, the same for ours and for those of the floor."""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from penstock_server.launch.kubernetes import names
from penstock_server.launch.kubernetes.api import ApiLimits, ClusterApi
from penstock_server.launch.kubernetes.connection import ClusterAccess
from penstock_server.launch.kubernetes.reflector import Reflector, ReflectorSettings
from penstock_server.launch.kubernetes.view import PodView, Waiting

UNLIMITED = ApiLimits(rate_per_s=10_000, burst=1_000)


@dataclass(frozen=True, slots=True)
class Moments:
    """When a step was how far: seconds since 1970, by this machine's clock."""

    ready_s: float
    """Its turn has come."""
    created_s: float
    started_s: float
    """Its container runs, or has run."""
    known_s: float
    """Whoever asked for it knows what it has made."""


@dataclass(slots=True)
class Seen:
    """What was seen of a pod so far."""

    created_s: float = 0.0
    started_s: float = 0.0
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when its own container and the sidecar have ended."""


class Sightings:
    """The pods of a namespace."""

    def __init__(self) -> None:
        self._by_name: defaultdict[str, Seen] = defaultdict(Seen)
        self._of_task: dict[str, Seen] = {}
        self._there: set[str] = set()
        self._none_there = asyncio.Event()
        self._none_there.set()

    def tell(self, pod: PodView, is_gone: bool) -> None:
        """Note how far a pod is."""
        now, seen = time.time(), self._by_name[pod.name]
        if not seen.created_s:
            seen.created_s = now
            if (attempt := names.attempt_in(pod.annotations)) is not None:
                self._of_task[attempt.task_id] = seen
        if not seen.started_s and not isinstance(pod.state_of(names.MAIN), Waiting):
            seen.started_s = now
        if pod.ended(names.MAIN) and pod.ended(names.STAGE_OUT):
            seen.ended.set()
        self._count(pod.name, is_gone)

    async def ended(self, name: str) -> Seen:
        """Wait for the end of the pod of that name."""
        await self._by_name[name].ended.wait()
        return self._by_name[name]

    def of_task(self, task: str) -> Seen:
        """What was seen of the newest pod of that task, in whatever run."""
        return self._of_task[task]

    async def none_there(self) -> None:
        """Wait until all that were seen are gone."""
        await self._none_there.wait()

    def _count(self, name: str, is_gone: bool) -> None:
        if is_gone:
            self._there.discard(name)
        else:
            self._there.add(name)
        if self._there:
            self._none_there.clear()
        else:
            self._none_there.set()


@asynccontextmanager
async def sightings_in(namespace: str) -> AsyncIterator[tuple[ClusterApi, Sightings]]:
    """All pods that come and go in a namespace of the cluster of KUBECONFIG, and the client that they are seen with."""
    api, seen = ClusterApi(ClusterAccess(environ=os.environ), UNLIMITED), Sightings()
    await api.open()
    reflector = Reflector(api, namespace, "", seen.tell, ReflectorSettings())
    reflector.start()
    try:
        await reflector.synced()
        yield api, seen
    finally:
        await reflector.close()
        await api.close()
