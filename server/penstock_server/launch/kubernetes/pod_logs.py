"""What `main` writes: read from the API while the pod is there, and from the object store once it was kept.

The API gives a log from its beginning or not at all, so bytes before an offset are skipped here. What the kubelet has
rotated away - it keeps the newest 10 MiB, where it is not told otherwise - is not in it any more.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from penstock_server.launch import verdicts
from penstock_server.launch.base import LogChunk
from penstock_server.launch.kubernetes.api import ClusterApi
from penstock_server.launch.kubernetes.api_errors import ApiError, ApiNotFoundError, ApiUnavailableError
from penstock_server.launch.kubernetes.names import MAIN
from penstock_server.launch.kubernetes.records import Records
from penstock_server.launch.kubernetes.view import Ended, PodView
from penstock_server.model.errors import NotFound, Unavailable
from penstock_server.model.ids import AttemptId

_log = logging.getLogger(__name__)

POLL_S = 0.3
TRIES_MAX = 4
RETRY_S = 1.0
_NO_LOG = b"unable to retrieve container logs for "
"""What the kubelet answers, with status 200, when the container and its log are gone."""

Find = Callable[[AttemptId], PodView | None]


@dataclass(slots=True)
class PodLogs:
    """The logs of all attempts."""

    api: ClusterApi
    records: Records
    find: Find
    """The pod of an attempt, if there is one."""
    _keeping: dict[AttemptId, "asyncio.Task[str]"] = field(default_factory=dict)

    def keep(self, attempt: AttemptId, pod: PodView) -> "asyncio.Task[str]":
        """Store the log, following it until the container has ended; the task ends with the last lines of it.

        Asked again it is the same task.
        """
        task = self._keeping.get(attempt)
        if task is None:
            task = asyncio.create_task(self._keep(attempt, pod), name=f"log-{attempt}")
            self._keeping[attempt] = task
        return task

    def is_keeping(self, attempt: AttemptId) -> bool:
        """Whether its log is being stored, or was, as far as there is one."""
        return attempt in self._keeping

    async def kept(self, attempt: AttemptId) -> None:
        """Wait until the log is stored, where that was begun."""
        task = self._keeping.get(attempt)
        if task is not None:
            await asyncio.wait([task])

    def forget(self, attempt: AttemptId) -> None:
        """Its log is stored, or will not be."""
        self._keeping.pop(attempt, None)

    async def note(self, attempt: AttemptId, message: str) -> None:
        """Let the log of one that never ran say why. Raises Unavailable."""
        await self.records.store.write(self.records.log_uri(attempt), f"penstock: {message}\n".encode())

    async def close(self) -> None:
        """Leave what is not yet stored to another server."""
        tasks = list(self._keeping.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def read(self, attempt: AttemptId, offset: int, *, follow: bool) -> AsyncIterator[LogChunk]:
        """The log from byte `offset` on; with `follow` until `main` has ended. Raises NotFound, Unavailable."""
        began, is_gone = False, False
        while True:
            try:
                async for chunk in self._stored(attempt, offset):
                    yield chunk
                return
            except NotFound:
                pod = None if is_gone else self.find(attempt)
                if pod is None and began:
                    return
                if pod is None or (not follow and not pod.has_run(MAIN)):
                    raise
            if pod.has_run(MAIN):
                try:
                    async for chunk in self._live(pod, offset, follow=follow):
                        yield chunk
                        began, offset = True, chunk.offset + len(chunk.content)
                    if not follow or _has_ended(self.find(attempt)):
                        return
                except ApiNotFoundError:
                    is_gone = True
                    continue
            await asyncio.sleep(POLL_S)

    async def _stored(self, attempt: AttemptId, offset: int) -> AsyncIterator[LogChunk]:
        try:
            async for content in self.records.store.stream(self.records.log_uri(attempt), offset):
                yield LogChunk(offset, content)
                offset += len(content)
        except NotFound as error:
            message = "there is no log of this attempt: it has not started, or its log was removed"
            raise NotFound("LOG_NOT_FOUND", message) from error

    async def _live(self, pod: PodView, offset: int, *, follow: bool) -> AsyncIterator[LogChunk]:
        """The log as the API gives it; it may end early. Raises ApiNotFoundError where the pod is gone."""
        at = 0
        try:
            async for content in _contents(self.api.log(pod.namespace, pod.name, MAIN, follow=follow)):
                piece = content[max(0, offset - at) :]
                at += len(content)
                if piece:
                    yield LogChunk(at - len(piece), piece)
        except ApiUnavailableError as error:
            if not follow:
                raise Unavailable("LOG_UNAVAILABLE", f"the log cannot be read: {error.message}") from error
        except ApiNotFoundError:
            raise
        except ApiError:
            return  # The container has not quite started.

    async def _keep(self, attempt: AttemptId, pod: PodView) -> str:
        for last in (False,) * (TRIES_MAX - 1) + (True,):
            tail = _Tail()
            try:
                pieces = tail.of(_contents(self.api.log(pod.namespace, pod.name, MAIN, follow=True)))
                await self.records.store.write(self.records.log_uri(attempt), pieces)
                return tail.text()
            except (ApiError, Unavailable) as error:
                may_help = isinstance(error, (ApiUnavailableError, Unavailable))
                if last or not may_help:
                    _log.warning("log not kept", extra={"attempt": str(attempt), "error": str(error)})
                    return tail.text()
            await asyncio.sleep(RETRY_S)
        raise AssertionError("the last try returns")


class _Tail:
    """Lets a log pass and remembers its end."""

    def __init__(self) -> None:
        self._end = b""
        self._size = 0

    async def of(self, contents: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The contents, as they are."""
        async for content in contents:
            self._size += len(content)
            self._end = (self._end + content)[-verdicts.TAIL_BYTES :]
            yield content

    def text(self) -> str:
        """The last lines."""
        return verdicts.tail_of(self._end, is_cut=self._size > len(self._end))


async def _contents(log: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The log, without what is said where there is none."""
    is_first = True
    async for content in log:
        if is_first and content.startswith(_NO_LOG):
            return
        is_first = False
        yield content


def _has_ended(pod: PodView | None) -> bool:
    return pod is None or isinstance(pod.state_of(MAIN), Ended)
