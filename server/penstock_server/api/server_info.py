"""ServerService."""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from penstock.v1 import server_pb2
from penstock.v1 import server_service_pb2 as pb
from penstock_server.model.errors import PenstockError
from penstock_server.rpc.call import Call
from penstock_server.store.database import Database

DATABASE_PATIENCE_S = 1.0


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What stays as it is from the start of the server to its end."""

    server_id: uuid.UUID
    version: str
    launcher: str
    embedded_database: bool
    start_time: datetime
    parallel_steps_max: int


class ServerLoad(Protocol):
    """What the server has to do just now."""

    @property
    def draining(self) -> bool: ...
    @property
    def owned_run_count(self) -> int: ...
    @property
    def running_step_count(self) -> int: ...


@dataclass(frozen=True, slots=True)
class ServerService:
    """Serves the rpcs of `penstock.v1.ServerService`; the schema says what each does."""

    facts: ServerFacts
    load: ServerLoad
    database: Database
    now: Callable[[], datetime]

    async def get_server_info(self, _request: pb.GetServerInfoRequest, _call: Call) -> pb.GetServerInfoResponse:
        """This server, with or without its database."""
        version = await self._database_version()
        status = server_pb2.ServerInfo.DatabaseStatus
        info = server_pb2.ServerInfo(
            server_id=str(self.facts.server_id),
            version=self.facts.version,
            launcher=self.facts.launcher,
            database_status=status.DATABASE_STATUS_AVAILABLE if version else status.DATABASE_STATUS_UNAVAILABLE,
            database_version=version,
            embedded_database=self.facts.embedded_database,
            draining=self.load.draining,
            owned_run_count=self.load.owned_run_count,
            running_step_count=self.load.running_step_count,
            parallel_steps_max=self.facts.parallel_steps_max,
        )
        info.start_time.FromDatetime(self.facts.start_time)
        info.uptime.FromTimedelta(self.now() - self.facts.start_time)
        return pb.GetServerInfoResponse(server_info=info)

    async def _database_version(self) -> str:
        """Empty when the database does not answer, which is an answer here and no error."""
        try:
            async with asyncio.timeout(DATABASE_PATIENCE_S):
                return await self.database.version()
        except (PenstockError, TimeoutError):
            return ""
