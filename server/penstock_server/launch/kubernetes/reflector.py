"""The pods of one namespace, kept in memory as the API server tells of them.

    list (paged) ──► watch ──► watch ──► ...      a broken watch goes on from the newest version that was seen
        ▲              │ 410, or the timer
        └──────────────┘

A list is compared with what is known, so that nothing is missed whatever the watch has swallowed: what is not in it is
gone. Whoever is told of a pod gets its whole present state, never a difference.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from penstock_server.launch.kubernetes.api import ClusterApi, Kind
from penstock_server.launch.kubernetes.api_errors import ApiError, ApiGoneError, ApiUnavailableError
from penstock_server.launch.kubernetes.view import PodView, view

_log = logging.getLogger(__name__)

WATCH_MIN_S = 1.0
"""A watch that ended sooner is an error, lest we ask without end."""
Tell = Callable[[PodView, bool], None]
"""Is given a pod, and whether it is gone: then as it was last."""


@dataclass(frozen=True, slots=True)
class ReflectorSettings:
    """How the pods are followed."""

    reconcile_s: float = 300
    """So often everything is listed again and compared."""
    retry_s: float = 0.5
    """The wait after an error; it doubles with each further one."""
    retry_max_s: float = 20


class Reflector:
    """Follows the pods of `namespace` (empty: of all) that have the labels."""

    def __init__(
        self,
        api: ClusterApi,
        namespace: str,
        labels: str,
        tell: Tell,
        settings: ReflectorSettings,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.namespace = namespace
        self._api = api
        self._labels = labels
        self._tell = tell
        self._settings = settings
        self._sleep = sleep
        self._pods: dict[tuple[str, str], PodView] = {}
        self._version = ""
        """The newest that was seen; empty: list first."""
        self._listed_at = float("-inf")
        self._errors = 0
        self._synced = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def pods(self) -> Mapping[tuple[str, str], PodView]:
        """What is known, by namespace and name."""
        return self._pods

    @property
    def is_synced(self) -> bool:
        """True once everything was listed for the first time."""
        return self._synced.is_set()

    async def synced(self) -> None:
        """Wait until everything was listed for the first time."""
        await self._synced.wait()

    def start(self) -> None:
        """Begin to follow."""
        self._task = asyncio.create_task(self._run(), name=f"pods-{self.namespace or 'all'}")

    async def close(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                if not self._version or _now() - self._listed_at >= self._settings.reconcile_s:
                    await self._list()
                await self._watch()
            except ApiError as error:
                await self._recover(error)
            except Exception:
                # A fault of ours; whoever waits for news of pods is served by a list in a while.
                _log.exception("pods not followed", extra={"namespace": self.namespace})
                self._version = ""
                await self._sleep(self._settings.retry_max_s)

    async def _list(self) -> None:
        found: dict[tuple[str, str], PodView] = {}
        version = ""
        async for page in self._api.pages(Kind.PODS, self.namespace, labels=self._labels):
            version = page["metadata"]["resourceVersion"]
            for item in page["items"]:
                pod = view(item)
                found[pod.namespace, pod.name] = pod
        for place in [place for place, known in self._pods.items() if not _is_same(known, found.get(place))]:
            self._tell(self._pods.pop(place), True)
        for pod in found.values():
            self._put(pod)
        self._version, self._listed_at = version, _now()
        self._synced.set()

    async def _watch(self) -> None:
        events = self._api.watch(Kind.PODS, self.namespace, labels=self._labels, version=self._version)
        began = _now()
        async for event in events:
            self._take(event["type"], event["object"])
            self._errors = 0
        if _now() - began < WATCH_MIN_S:
            raise ApiUnavailableError(0, "Ended", "the API server ends watches at once")

    def _take(self, what: str, told: Mapping[str, Any]) -> None:
        if what in ("ADDED", "MODIFIED"):
            self._put(view(told))
        elif what == "DELETED":
            pod = view(told)
            self._pods.pop((pod.namespace, pod.name), None)
            self._tell(pod, True)
        self._version = told["metadata"]["resourceVersion"]

    def _put(self, pod: PodView) -> None:
        known = self._pods.get((pod.namespace, pod.name))
        self._pods[pod.namespace, pod.name] = pod
        if known is None or known.resource_version != pod.resource_version:
            self._tell(pod, False)

    async def _recover(self, error: ApiError) -> None:
        """Wait after an error, longer with each that follows another; go on from where the watch broke, or list."""
        if not isinstance(error, ApiUnavailableError):
            self._version = ""
        if isinstance(error, ApiGoneError) and not self._errors:
            wait_s = 0.0
        else:
            wait_s = min(self._settings.retry_s * 2**self._errors, self._settings.retry_max_s)
            wait_s = max(wait_s, error.retry_after_s or 0.0)
        facts = {"namespace": self.namespace, "error": str(error), "wait_s": wait_s}
        _log.warning("pods not followed", extra=facts)
        self._errors += 1
        await self._sleep(wait_s)


def _is_same(known: PodView, found: PodView | None) -> bool:
    """Whether the pod is still there, and not another one of its name."""
    return found is not None and found.uid == known.uid


def _now() -> float:
    return asyncio.get_running_loop().time()
