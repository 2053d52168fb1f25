"""The services on a real channel, over a real database, without an engine: tests move runs themselves."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import grpc.aio
import pytest

from penstock.v1 import (
    experiment_service_pb2_grpc,
    job_service_pb2_grpc,
    namespace_service_pb2_grpc,
    pipeline_service_pb2_grpc,
    run_service_pb2_grpc,
    server_service_pb2_grpc,
)
from penstock_server.api.grpc_server import GrpcServer, GrpcSettings
from penstock_server.api.server_info import ServerFacts
from penstock_server.api.services import ApiParts, api_services
from penstock_server.engine.backfills import Backfills
from penstock_server.engine.graphs import Graphs
from penstock_server.engine.job_turns import JobTurns, TurnSettings
from penstock_server.engine.jobs import Jobs
from penstock_server.engine.new_runs import NewRuns
from penstock_server.engine.requests import RunRequests
from penstock_server.engine.step_logs import StepLogs
from penstock_server.engine.wakeups import Wakeups
from penstock_server.rpc.middleware import Middleware
from penstock_server.store import secrets
from penstock_server.store.database import Database
from penstock_server.store.notifications import Notifications
from tests.api.logs import ScriptedLogs


@dataclass(slots=True)
class Load:
    """A server with nothing to do."""

    draining: bool = False
    owned_run_count: int = 3
    running_step_count: int = 2


@dataclass(slots=True)
class Api:
    """A server and stubs of its services."""

    database: Database
    wakeups: Wakeups
    channel: grpc.aio.Channel
    logs: ScriptedLogs
    facts: ServerFacts
    turns: JobTurns
    """Tests take the turns of jobs themselves."""
    namespaces: "namespace_service_pb2_grpc.NamespaceServiceAsyncStub" = field(init=False)
    experiments: "experiment_service_pb2_grpc.ExperimentServiceAsyncStub" = field(init=False)
    pipelines: "pipeline_service_pb2_grpc.PipelineServiceAsyncStub" = field(init=False)
    runs: "run_service_pb2_grpc.RunServiceAsyncStub" = field(init=False)
    jobs: "job_service_pb2_grpc.JobServiceAsyncStub" = field(init=False)
    server: "server_service_pb2_grpc.ServerServiceAsyncStub" = field(init=False)

    def __post_init__(self) -> None:
        self.namespaces = namespace_service_pb2_grpc.NamespaceServiceStub(self.channel)
        self.experiments = experiment_service_pb2_grpc.ExperimentServiceStub(self.channel)
        self.pipelines = pipeline_service_pb2_grpc.PipelineServiceStub(self.channel)
        self.runs = run_service_pb2_grpc.RunServiceStub(self.channel)
        self.jobs = job_service_pb2_grpc.JobServiceStub(self.channel)
        self.server = server_service_pb2_grpc.ServerServiceStub(self.channel)


@pytest.fixture
async def notifications(database_dsn: str) -> AsyncIterator[Notifications]:
    notifications = Notifications(database_dsn)
    await notifications.start()
    yield notifications
    await notifications.close()


@pytest.fixture
async def api(database: Database, notifications: Notifications) -> AsyncIterator[Api]:
    wakeups = Wakeups(notifications, poll_s=0.2)
    await wakeups.start()
    logs = ScriptedLogs()
    facts = ServerFacts(uuid.uuid4(), "1.2.3", "fake", True, datetime.now(UTC), 4)
    async with database.connection() as connection:
        key = await secrets.page_token_key(connection)
    new_runs = NewRuns(database, Graphs())
    turns = JobTurns(database, new_runs, TurnSettings())
    parts = ApiParts(
        database,
        wakeups,
        new_runs,
        RunRequests(database),
        Jobs(database, new_runs, turns),
        Backfills(database, turns),
        StepLogs(database, wakeups, logs),
        key,
        facts,
        Load(),
        stores=lambda uri: uri.startswith("file:///artifacts/"),
    )
    services = [Middleware().wrap(service) for service in api_services(parts)]
    server = GrpcServer(services, GrpcSettings(listen="127.0.0.1:0"))
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield Api(database, wakeups, channel, logs, facts, turns)
    await wakeups.close()
    await server.drain(0)
