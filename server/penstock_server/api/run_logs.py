"""RunService: what steps write."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from penstock.v1 import run_service_pb2 as pb
from penstock_server.api import names
from penstock_server.engine.step_logs import AskedLog, StepLogs
from penstock_server.launch.base import LogChunk
from penstock_server.model.ids import TaskId
from penstock_server.rpc.call import Call
from penstock_server.store import runs
from penstock_server.store.database import Database

CHUNK_BYTES_MAX = 65_536


@dataclass(frozen=True, slots=True)
class RunLogs:
    """Serves the rpcs of `penstock.v1.RunService` on logs; the schema says what each does."""

    database: Database
    logs: StepLogs

    async def read_logs(self, request: pb.ReadLogsRequest, _call: Call) -> AsyncGenerator[pb.ReadLogsResponse, None]:
        """The log of one attempt."""
        namespace, run_id, task_id = names.TASK.parse(request.name)
        async with self.database.connection() as connection:
            run = await runs.get(connection, namespace, run_id)
        asked = AskedLog(run, TaskId(task_id), request.attempt, request.offset, request.follow)
        attempt = await self.logs.find(asked)
        async with aclosing(self.logs.read(asked, attempt)) as chunks:
            async for chunk in chunks:
                for response in _responses(chunk, attempt.number):
                    yield response


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
