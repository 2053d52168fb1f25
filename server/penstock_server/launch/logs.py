"""Reading the log of an attempt, also while it is being written, whichever server started the attempt."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable

from penstock_server.launch.base import LogChunk
from penstock_server.launch.journal import Journal
from penstock_server.launch.scratch import AttemptFolder
from penstock_server.model.errors import NotFound

CHUNK_BYTES = 64 * 1024
POLL_S = 0.1


async def read_log(
    folder: AttemptFolder,
    offset: int,
    *,
    follow: bool,
    wait: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> AsyncIterator[LogChunk]:
    """The log from byte `offset` on; with `follow` until the attempt has ended. Raises NotFound without a
    log.

    `wait` is given the seconds until the next look and may return earlier.
    """
    fd = _open(folder)
    try:
        while True:
            # Asked before reading: what is written until the end is then read for certain.
            last = not follow or has_ended(folder)
            while content := os.pread(fd, CHUNK_BYTES, offset):
                yield LogChunk(offset, content)
                offset += len(content)
            if last:
                return
            await wait(POLL_S)
    finally:
        os.close(fd)


def has_ended(folder: AttemptFolder) -> bool:
    """True when nothing more will be written to the log of this attempt."""
    journal = Journal.open_existing(folder.journal)
    if journal is None:
        return True
    try:
        record = journal.read()
        if record.end is not None:
            return True
        return record.pid is not None and not journal.is_held_by(record.pid)
    finally:
        journal.close()


def _open(folder: AttemptFolder) -> int:
    try:
        return os.open(folder.log, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(
            "LOG_NOT_FOUND", "there is no log of this attempt: it has not started, or its log was removed"
        ) from None
