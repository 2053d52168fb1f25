"""What `main` writes, whichever pod it runs in: kept while it runs and when it has ended, read by any server.

The kubelet keeps the newest file of a log alone, 10 MiB where it is not told otherwise. A small log is there to its end
and stored then; of a large one parts are stored while the step runs, by the server that holds the attempt. `logs` has
the pieces; `docs/design/kubernetes.md` says what is lost when.
"""

import asyncio
from collections.abc import AsyncIterator

from penstock_server.launch.base import LogChunk
from penstock_server.launch.kubernetes.api import ClusterApi
from penstock_server.launch.kubernetes.logs.collector import LogCollector, LogPlace
from penstock_server.launch.kubernetes.logs.reader import Find, LogReader
from penstock_server.launch.kubernetes.logs.rhythm import LogRhythm
from penstock_server.launch.kubernetes.logs.stored import LogStore
from penstock_server.launch.kubernetes.records import Records
from penstock_server.launch.kubernetes.view import PodView
from penstock_server.model.ids import AttemptId


class PodLogs:
    """The logs of all attempts."""

    def __init__(self, api: ClusterApi, records: Records, find: Find, rhythm: LogRhythm) -> None:
        self._place = LogPlace(api, LogStore(records), rhythm)
        self._reader = LogReader(api, self._place.store, find, rhythm.part_bytes)
        self._collectors: dict[AttemptId, LogCollector] = {}

    def collect(self, attempt: AttemptId, pod: PodView, fence: int, *, has_run: bool = False) -> None:
        """`main` runs: store what the kubelet would forget. Asked again it changes nothing.

        With `has_run` another server may have begun with it, whose place is taken at once.
        """
        self._collector(attempt, pod, fence).begin(has_run=has_run)

    def keep(self, attempt: AttemptId, pod: PodView, fence: int | None = None) -> "asyncio.Task[str]":
        """Store the log, following it until the container has ended; the task ends with the last lines of it.

        Asked again it is the same task. `fence` is that of the lease; None for who holds none.
        """
        return self._collector(attempt, pod, fence).finish(pod)

    def is_keeping(self, attempt: AttemptId) -> bool:
        """Whether its log is being stored, or was, as far as there is one."""
        collector = self._collectors.get(attempt)
        return collector is not None and collector.ending is not None

    async def kept(self, attempt: AttemptId) -> None:
        """Wait until the log is stored, where that was begun."""
        collector = self._collectors.get(attempt)
        if collector is not None and collector.ending is not None:
            await asyncio.wait([collector.ending])

    async def forget(self, attempt: AttemptId) -> None:
        """Its log is stored, or will not be."""
        collector = self._collectors.pop(attempt, None)
        if collector is not None:
            await collector.close()

    async def note(self, attempt: AttemptId, message: str) -> None:
        """Let the log of one that never ran say why. Raises Unavailable."""
        await self._place.store.write(attempt, f"penstock: {message}\n".encode())

    async def close(self) -> None:
        """Leave what is not yet stored to another server."""
        await asyncio.gather(*(collector.close() for collector in self._collectors.values()))

    def read(self, attempt: AttemptId, offset: int, *, follow: bool) -> AsyncIterator[LogChunk]:
        """The log from byte `offset` on; with `follow` until `main` has ended. Raises NotFound, Unavailable."""
        return self._reader.read(attempt, offset, follow=follow)

    def _collector(self, attempt: AttemptId, pod: PodView, fence: int | None) -> LogCollector:
        collector = self._collectors.get(attempt)
        if collector is None:
            collector = self._collectors[attempt] = LogCollector(attempt, pod, fence, self._place)
        return collector
