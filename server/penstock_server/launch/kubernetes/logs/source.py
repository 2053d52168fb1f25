"""What the API tells of the log of one pod's `main`."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime

from penstock_server.launch.kubernetes.api import ClusterApi
from penstock_server.launch.kubernetes.logs.stamped import Position, StampedLog
from penstock_server.launch.kubernetes.names import MAIN

_NO_LOG = b"unable to retrieve container logs for "
"""What the kubelet answers, with status 200, when the container and its log are gone."""
_STAMP_BYTES = 40
"""Enough of a log for the time of its first line."""


@dataclass(frozen=True, slots=True)
class MainLog:
    """The log. All methods raise ApiError and its kinds, ApiNotFoundError where there is no pod."""

    api: ClusterApi
    namespace: str
    pod: str

    async def plain(self, *, follow: bool) -> AsyncGenerator[bytes]:
        """The newest file as it was written, without what is said where there is none."""
        is_first = True
        async for content in self.api.log(self.namespace, self.pod, MAIN, follow=follow):
            if is_first and content.startswith(_NO_LOG):
                return
            is_first = False
            yield content

    def stamped(self, after: Position | None, *, follow: bool) -> AsyncGenerator[bytes]:
        """The newest file with times, from the second of a place on, or from its beginning; see `stamped`."""
        options = {"timestamps": "true"}
        if after is not None:
            options["sinceTime"] = datetime.fromtimestamp(after.since_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return self.api.log(self.namespace, self.pod, MAIN, follow=follow, options=options)

    async def first_ns(self) -> int | None:
        """When the first line of the newest file was written, which tells that file from others; None without one."""
        log = StampedLog()
        options = {"timestamps": "true", "limitBytes": str(_STAMP_BYTES)}
        async for told in self.api.log(self.namespace, self.pod, MAIN, options=options):
            log.feed(told)
        return log.first_ns


async def ticking(pieces: AsyncGenerator[bytes], interval_s: float) -> AsyncGenerator[bytes]:
    """The pieces as they come, and an empty one whenever none has come for so long."""
    async with aclosing(pieces):
        coming = asyncio.ensure_future(anext(pieces, None))
        try:
            while True:
                done, _ = await asyncio.wait([coming], timeout=interval_s)
                piece = coming.result() if done else b""
                if piece is None:
                    return
                yield piece
                if done:
                    coming = asyncio.ensure_future(anext(pieces, None))
        finally:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
