"""Pods that no server claims: what was left by servers that were killed after the end of an attempt was committed."""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol

from penstock_server.launch.kubernetes import names
from penstock_server.launch.kubernetes.view import PodView
from penstock_server.model.errors import Unavailable
from penstock_server.model.ids import AttemptId

_log = logging.getLogger(__name__)


class Registry(Protocol):
    """What is decided about attempts."""

    async def over(self, attempts: Mapping[AttemptId, int]) -> set[AttemptId]:
        """Those that have ended, or whose runs are deleted, and that were not launched under a newer fence than is
        known. `attempts` have the fences of their pods. Raises Unavailable."""


class Strays:
    """Removes them."""

    def __init__(self, registry: Registry, forget: Callable[[list[AttemptId]], Awaitable[None]]) -> None:
        self._registry = registry
        self._forget = forget
        self._unclaimed: set[AttemptId] = set()
        """Found at the last sweep."""

    async def sweep(self, pods: Mapping[AttemptId, PodView], claimed: Collection[AttemptId]) -> None:
        """Remove the pods of attempts that are over, among those that nobody here claims.

        Only what was unclaimed at the last sweep as well is asked after: an end is told before it is forgotten.
        """
        unclaimed = {attempt: pod for attempt, pod in pods.items() if attempt not in claimed}
        asked = {attempt: pod for attempt, pod in unclaimed.items() if attempt in self._unclaimed}
        self._unclaimed = set(unclaimed)
        fences = {attempt: names.fence_in(pod.annotations) for attempt, pod in asked.items()}
        known = {attempt: fence for attempt, fence in fences.items() if fence is not None}
        try:
            over = await self._registry.over(known)
            for attempt in over:
                _log.warning("stray pod removed", extra={"attempt": str(attempt), "pod": asked[attempt].name})
            await self._forget(list(over))
        except Unavailable as error:
            _log.warning("stray pods not swept", extra={"error": error.message})
