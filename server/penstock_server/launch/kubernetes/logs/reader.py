"""Reads a log from any byte on, on any server: what is stored, and from there what the kubelet tells.

    one object? ──► all of it
    parts       ──► what they hold ──► complete? done
                                   ──► pod there? what the kubelet has beyond them ──► done, or again in a while

A small log is followed, as long as it is small. A larger one is looked into again and again, since to follow would not
be exact: a kubelet whose listener is slow passes over files that were rotated meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from penstock_server.launch.base import LogChunk
from penstock_server.launch.kubernetes.api import ClusterApi
from penstock_server.launch.kubernetes.api_errors import ApiError, ApiNotFoundError, ApiUnavailableError
from penstock_server.launch.kubernetes.logs.parts import StoredLog
from penstock_server.launch.kubernetes.logs.source import MainLog
from penstock_server.launch.kubernetes.logs.stamped import NoLogError, Position, PositionLostError, StampedLog
from penstock_server.launch.kubernetes.logs.stored import LogStore
from penstock_server.launch.kubernetes.names import MAIN
from penstock_server.launch.kubernetes.view import Ended, PodView
from penstock_server.model.errors import NotFound, Unavailable
from penstock_server.model.ids import AttemptId

POLL_S = 0.3
LOOK_S = 2.0
"""Between two looks into a log that is not small."""
Find = Callable[[AttemptId], PodView | None]


@dataclass(frozen=True, slots=True)
class LogReader:
    """The logs of all attempts, to be read."""

    api: ClusterApi
    store: LogStore
    find: Find
    """The pod of an attempt, if there is one."""
    small_bytes: int
    """A log that is not as large is small."""

    async def read(self, attempt: AttemptId, offset: int, *, follow: bool) -> AsyncIterator[LogChunk]:
        """The log from byte `offset` on; with `follow` until `main` has ended. Raises NotFound, Unavailable."""
        reading = _Reading(self, attempt, offset, follow)
        while not reading.is_done:
            async for chunk in reading.next():
                yield chunk
            if not reading.is_done:
                await asyncio.sleep(reading.wait_s)


class _Reading:
    """How far one reader is."""

    def __init__(self, logs: LogReader, attempt: AttemptId, offset: int, follow: bool) -> None:
        self.is_done = False
        self.wait_s = POLL_S
        self._logs = logs
        self._attempt = attempt
        self._offset = offset
        self._follow = follow
        self._has_begun = False
        self._is_gone = False
        """The API has no such pod, whatever was heard of it."""
        self._at = 0
        self._position: Position | None = None
        """How far the kubelet's log was looked into, and where that is in it."""

    async def next(self) -> AsyncIterator[LogChunk]:
        """What can be had at present."""
        async for chunk in self._available():
            self._has_begun, self._offset = True, chunk.offset + len(chunk.content)
            yield chunk

    async def _available(self) -> AsyncIterator[LogChunk]:
        self.wait_s = POLL_S
        try:
            async for chunk in self._logs.store.read(self._attempt, self._offset):
                yield chunk
            self.is_done = True
            return
        except NotFound:
            pod = None if self._is_gone else self._logs.find(self._attempt)
        if pod is not None and not pod.has_run(MAIN):
            if not self._follow:
                raise _no_log()
            return
        stored = await self._logs.store.parts_of(self._attempt)
        async for chunk in self._logs.store.read_parts(self._attempt, stored, self._offset):
            yield chunk
        self.is_done = stored.is_complete or pod is None
        if pod is None and not stored.parts and not self._has_begun:
            raise _no_log()
        if pod is not None and not self.is_done:
            async for chunk in self._live(pod, stored):
                yield chunk

    async def _live(self, pod: PodView, stored: StoredLog) -> AsyncIterator[LogChunk]:
        """What follows what is stored, as the API tells it; it may end early."""
        source, had_ended = MainLog(self._logs.api, pod.namespace, pod.name), self._has_ended()
        was_small = not stored.parts and self._is_small
        if stored.size_bytes > self._at:
            self._at, self._position = stored.size_bytes, stored.position
        try:
            async for chunk in self._small(source) if was_small else self._large(source):
                yield chunk
            is_all = self._is_small and self._has_ended() if was_small else had_ended
            self.is_done = is_all or not self._follow
        except ApiNotFoundError:
            self._is_gone, self.wait_s = True, 0
        except PositionLostError:
            self.is_done = not self._follow  # Some server is about to store what comes next.
        except (ApiUnavailableError, NoLogError) as error:
            if not self._follow:
                raise Unavailable("LOG_UNAVAILABLE", f"the log cannot be read: {error}") from error
        except ApiError:
            self.is_done = not self._follow or self._has_ended()  # The container has not quite started.

    async def _small(self, source: MainLog) -> AsyncIterator[LogChunk]:
        """The log from its beginning."""
        at = 0
        async with aclosing(source.plain(follow=self._follow)) as contents:
            async for content in contents:
                piece = content[max(0, self._offset - at) :]
                at += len(content)
                if piece:
                    yield LogChunk(at - len(piece), piece)
                if self._follow and not self._is_small:
                    return

    async def _large(self, source: MainLog) -> AsyncIterator[LogChunk]:
        """What the kubelet has behind the place at which it was left. Raises PositionLostError."""
        self.wait_s = LOOK_S
        log = StampedLog(self._position)
        async for told in source.stamped(self._position, follow=False):
            new = log.feed(told)
            piece = new[max(0, self._offset - self._at) :]
            self._at, self._position = self._at + len(new), log.position
            if piece:
                yield LogChunk(self._at - len(piece), piece)
        log.end()

    @property
    def _is_small(self) -> bool:
        return self._offset < self._logs.small_bytes

    def _has_ended(self) -> bool:
        pod = self._logs.find(self._attempt)
        return pod is None or isinstance(pod.state_of(MAIN), Ended)


def _no_log() -> NotFound:
    return NotFound(
        "LOG_NOT_FOUND",
        "there is no log of this attempt: it has not started, its pod was removed by force before its log was stored,"
        " or the log was removed",
    )
