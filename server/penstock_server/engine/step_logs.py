"""What steps write, attempt by attempt: found, waited for, and read from where the launcher keeps it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from penstock_server.engine.wakeups import Wakeups
from penstock_server.launch.base import LogChunk
from penstock_server.model.errors import FieldViolation, InvalidArgument, NotFound
from penstock_server.model.ids import AttemptId, TaskId
from penstock_server.model.resources import Attempt, Run, Task, TaskKind
from penstock_server.model.states import AttemptState
from penstock_server.store import tasks
from penstock_server.store.database import Database


class LogSource(Protocol):
    """Where the logs are: a launcher's `logs`."""

    def __call__(self, attempt: AttemptId, offset: int, *, follow: bool) -> AsyncIterator[LogChunk]:
        """The log from byte `offset` on; with `follow` until the attempt has ended. Raises NotFound."""


@dataclass(frozen=True, slots=True)
class AskedLog:
    """A log that somebody asks for."""

    run: Run
    task_id: TaskId
    attempt: int = 0
    """0: the newest."""
    offset: int = 0
    """Of the first byte."""
    follow: bool = False
    """Wait for an attempt where there is none yet, and for its end."""


@dataclass(frozen=True, slots=True)
class StepLogs:
    """Reads logs."""

    database: Database
    wakeups: Wakeups
    source: LogSource

    async def find(self, asked: AskedLog) -> Attempt:
        """The attempt that is meant; with `follow` once there is one and its process was started.

        Raises NotFound (TASK_NOT_FOUND, ATTEMPT_NOT_FOUND).
        """
        with self.wakeups.of_run(asked.run.uid) as wakeup:
            while True:
                attempt = await self._look(asked)
                waiting = attempt is None or attempt.state is AttemptState.LAUNCHING
                if attempt is not None and not (waiting and asked.follow):
                    return attempt
                await wakeup.wait()

    async def read(self, asked: AskedLog, attempt: Attempt) -> AsyncGenerator[LogChunk, None]:
        """The log of that attempt, which `find` found.

        Raises NotFound(LOG_NOT_FOUND), InvalidArgument(LOG_OFFSET_OUT_OF_RANGE), and Unavailable(SERVER_DRAINING) when
        the server ends.
        """
        if attempt.state is AttemptState.LAUNCHING:
            return  # Not following, and nothing is there yet.
        id = AttemptId(attempt.run_uid, attempt.task_id, attempt.number)
        # The byte before tells an offset at the end of the log from one behind it.
        before = 1 if attempt.state.is_final and asked.offset else 0
        chunks = self.source(id, asked.offset - before, follow=asked.follow)
        reached = not before
        async with aclosing(self._until_drain(chunks)) as pieces:
            async for chunk in pieces:
                if not reached:
                    reached, chunk = True, LogChunk(chunk.offset + 1, chunk.content[1:])
                yield chunk
        if not reached:
            raise _behind(asked.offset)

    async def _look(self, asked: AskedLog) -> Attempt | None:
        """The attempt; None where one will follow. Raises NotFound where none will, or is not waited for."""
        async with self.database.connection() as connection:
            task = await tasks.get(connection, asked.run.uid, asked.task_id)
            attempts = await tasks.attempts(connection, asked.run.uid, asked.task_id)
        wanted = asked.attempt or len(attempts)
        found = next((attempt for attempt in attempts if attempt.number == wanted), None)
        if found is None and not (asked.follow and _may_follow(task, wanted, len(attempts))):
            raise _missing(task, asked.attempt)
        return found

    async def _until_drain(self, chunks: AsyncIterator[LogChunk]) -> AsyncGenerator[LogChunk, None]:
        """`chunks`, until the server ends. Raises Unavailable SERVER_DRAINING then."""
        draining = asyncio.ensure_future(self.wakeups.draining())
        try:
            while True:
                coming = asyncio.ensure_future(_next(chunks))
                try:
                    await asyncio.wait({coming, draining}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not coming.done():
                        coming.cancel()
                        await asyncio.gather(coming, return_exceptions=True)
                self.wakeups.check_open()
                chunk = coming.result()
                if chunk is None:
                    return
                yield chunk
        finally:
            draining.cancel()
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()


async def _next(chunks: AsyncIterator[LogChunk]) -> LogChunk | None:
    return await anext(chunks, None)


def _may_follow(task: Task, wanted: int, count: int) -> bool:
    return task.kind is TaskKind.STEP and not task.state.is_final and wanted <= max(count, 1)


def _missing(task: Task, wanted: int) -> NotFound:
    if task.kind is not TaskKind.STEP:
        message = f"task {task.id} is a {task.kind.lower()}; only steps have attempts and logs"
    elif wanted:
        message = f"task {task.id} has no attempt {wanted}; get the task to see its attempts"
    elif task.cached_run_uid is not None:
        message = f"task {task.id} did not run, it reused earlier results; read the log of `cached_from`"
    else:
        message = f"task {task.id} has no attempt yet; follow, or come back when it runs"
    return NotFound("ATTEMPT_NOT_FOUND", message, metadata={"task": task.id})


def _behind(offset: int) -> InvalidArgument:
    description = f"lies behind the end of the log ({offset} bytes or fewer)"
    return InvalidArgument(
        "LOG_OFFSET_OUT_OF_RANGE", f"offset {description}", violations=[FieldViolation("offset", description)]
    )
