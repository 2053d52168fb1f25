"""RunService: what steps write."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from penstock.v1 import run_service_pb2 as pb
from penstock_server.api import names
from penstock_server.api.wakeups import Wakeups
from penstock_server.launch.base import LogChunk
from penstock_server.model.errors import FieldViolation, InvalidArgument, NotFound
from penstock_server.model.ids import AttemptId, TaskId
from penstock_server.model.resources import Attempt, Run, Task, TaskKind
from penstock_server.model.states import AttemptState
from penstock_server.rpc.call import Call
from penstock_server.store import runs, tasks
from penstock_server.store.database import Database

CHUNK_BYTES_MAX = 65_536


class LogSource(Protocol):
    """Where the logs are: a launcher's `logs`."""

    def __call__(self, attempt: AttemptId, offset: int, *, follow: bool) -> AsyncIterator[LogChunk]:
        """The log from byte `offset` on; with `follow` until the attempt has ended. Raises NotFound."""


@dataclass(frozen=True, slots=True)
class RunLogs:
    """Serves the rpcs of `penstock.v1.RunService` on logs; the schema says what each does."""

    database: Database
    wakeups: Wakeups
    source: LogSource

    async def read_logs(self, request: pb.ReadLogsRequest, _call: Call) -> AsyncGenerator[pb.ReadLogsResponse, None]:
        """The log of one attempt."""
        attempt = await self._attempt(request)
        if attempt.state is AttemptState.LAUNCHING:
            return  # Not following, and nothing is there yet.
        id = AttemptId(attempt.run_uid, attempt.task_id, attempt.number)
        # The byte before tells an offset at the end of the log from one behind it.
        before = 1 if attempt.state.is_final and request.offset else 0
        chunks = self.source(id, request.offset - before, follow=request.follow)
        reached = not before
        async with aclosing(self._until_drain(chunks)) as pieces:
            async for chunk in pieces:
                if not reached:
                    reached, chunk = True, LogChunk(chunk.offset + 1, chunk.content[1:])
                for response in _responses(chunk, attempt.number):
                    yield response
        if not reached:
            raise _behind(request.offset)

    async def _attempt(self, request: pb.ReadLogsRequest) -> Attempt:
        """The attempt that is meant; with `follow` once there is one and its process was started."""
        namespace, run_id, task_id = names.TASK.parse(request.name)
        async with self.database.connection() as connection:
            run = await runs.get(connection, namespace, run_id)
        with self.wakeups.of_run(run.uid) as wakeup:
            while True:
                attempt = await self._look(run, TaskId(task_id), request)
                waiting = attempt is None or attempt.state is AttemptState.LAUNCHING
                if attempt is not None and not (waiting and request.follow):
                    return attempt
                await wakeup.wait()

    async def _look(self, run: Run, task_id: TaskId, request: pb.ReadLogsRequest) -> Attempt | None:
        """The attempt; None where one will follow. Raises NotFound where none will, or is not waited for."""
        async with self.database.connection() as connection:
            task = await tasks.get(connection, run.uid, task_id)
            attempts = await tasks.attempts(connection, run.uid, task_id)
        wanted = request.attempt or len(attempts)
        found = next((attempt for attempt in attempts if attempt.number == wanted), None)
        if found is None and not (request.follow and _may_follow(task, wanted, len(attempts))):
            raise _missing(task, request.attempt)
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


def _responses(chunk: LogChunk, number: int) -> list[pb.ReadLogsResponse]:
    """The chunk in pieces of bounded size."""
    return [
        pb.ReadLogsResponse(
            content=(piece := chunk.content[start : start + CHUNK_BYTES_MAX]),
            offset=chunk.offset + start,
            next_offset=chunk.offset + start + len(piece),
            attempt=number,
        )
        for start in range(0, len(chunk.content), CHUNK_BYTES_MAX)
    ]
