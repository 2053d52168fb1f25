"""Logs that a test writes."""

import asyncio
from collections.abc import AsyncIterator, Callable

from penstock_server.launch.base import LogChunk
from penstock_server.model.errors import NotFound
from penstock_server.model.ids import AttemptId


class ScriptedLogs:
    """Stands for a launcher's logs."""

    def __init__(self) -> None:
        self.contents: dict[AttemptId, bytes] = {}
        self.ended = asyncio.Event()
        """Set: no log goes on."""
        self.launcher: Callable[..., AsyncIterator[LogChunk]] | None = None
        """Where the logs are instead, once there is a launcher."""

    async def __call__(self, attempt: AttemptId, offset: int, *, follow: bool) -> AsyncIterator[LogChunk]:
        """The log so far; following, until `ended` and then its last line."""
        if self.launcher is not None:
            async for chunk in self.launcher(attempt, offset, follow=follow):
                yield chunk
            return
        if attempt not in self.contents:
            raise NotFound("LOG_NOT_FOUND", f"there is no log of {attempt}")
        content = self.contents[attempt]
        if content[offset:]:
            yield LogChunk(offset, content[offset:])
        if follow:
            await self.ended.wait()
            yield LogChunk(len(content), b"end\n")
