"""KFP's services beside ours, over gRPC and HTTP on real sockets and a real database, without an engine."""

import json
import socket
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import grpc.aio
from pyqwest import Client, FullResponse

from penstock.kfp.v2beta1 import experiment_pb2_grpc, recurring_run_pb2_grpc, report_pb2_grpc, run_pb2_grpc
from penstock.v1 import (
    experiment_service_pb2_grpc,
    job_service_pb2_grpc,
    pipeline_service_pb2_grpc,
    run_service_pb2_grpc,
)
from penstock_agent.folder_store import FolderStore
from penstock_agent.plan import StoreOptions
from penstock_server.api.grpc_server import GrpcServer, GrpcSettings
from penstock_server.api.server_info import ServerFacts
from penstock_server.api.services import ApiParts, api_services
from penstock_server.compat.services import CompatParts, compat_routes, compat_services
from penstock_server.compat.spaces import Spaces
from penstock_server.engine.backfills import Backfills
from penstock_server.engine.graphs import Graphs
from penstock_server.engine.job_turns import JobTurns, TurnSettings
from penstock_server.engine.jobs import Jobs
from penstock_server.engine.new_runs import NewRuns
from penstock_server.engine.requests import RunRequests
from penstock_server.engine.step_logs import StepLogs
from penstock_server.engine.wakeups import Wakeups
from penstock_server.gateway.app import Gateway, GatewaySettings
from penstock_server.gateway.http_server import HttpServer
from penstock_server.gateway.probes import Exposition, Probes
from penstock_server.rpc.middleware import Middleware
from penstock_server.store import secrets
from penstock_server.store.database import Database
from penstock_server.store.notifications import Notifications
from penstock_server.store.objects import Artifacts
from tests.api.conftest import Load
from tests.api.logs import ScriptedLogs

BASE = "/apis/v2beta1"
SINGLE_USER, HTTP = Spaces(), GatewaySettings()


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    body: Any
    """The JSON."""
    headers: Any


@dataclass
class KfpSite:
    """A server and its clients."""

    database: Database
    channel: grpc.aio.Channel
    address: str
    """Of gRPC."""
    url: str
    logs: ScriptedLogs
    contents: dict[str, Path]
    """Where the contents of artifacts are, by their URIs."""
    client: Client = field(default_factory=Client)
    experiments: "experiment_pb2_grpc.ExperimentServiceAsyncStub" = field(init=False)
    runs: "run_pb2_grpc.RunServiceAsyncStub" = field(init=False)
    recurring_runs: "recurring_run_pb2_grpc.RecurringRunServiceAsyncStub" = field(init=False)
    reports: "report_pb2_grpc.ReportServiceAsyncStub" = field(init=False)
    own_experiments: "experiment_service_pb2_grpc.ExperimentServiceAsyncStub" = field(init=False)
    """Of `penstock.v1`."""
    own_pipelines: "pipeline_service_pb2_grpc.PipelineServiceAsyncStub" = field(init=False)
    own_jobs: "job_service_pb2_grpc.JobServiceAsyncStub" = field(init=False)
    own_runs: "run_service_pb2_grpc.RunServiceAsyncStub" = field(init=False)

    def __post_init__(self) -> None:
        self.experiments = experiment_pb2_grpc.ExperimentServiceStub(self.channel)
        self.runs = run_pb2_grpc.RunServiceStub(self.channel)
        self.recurring_runs = recurring_run_pb2_grpc.RecurringRunServiceStub(self.channel)
        self.reports = report_pb2_grpc.ReportServiceStub(self.channel)
        self.own_experiments = experiment_service_pb2_grpc.ExperimentServiceStub(self.channel)
        self.own_pipelines = pipeline_service_pb2_grpc.PipelineServiceStub(self.channel)
        self.own_runs = run_service_pb2_grpc.RunServiceStub(self.channel)
        self.own_jobs = job_service_pb2_grpc.JobServiceStub(self.channel)

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Ask as KFP's clients do; `path` is below `/apis/v2beta1` unless it begins with `/apis`."""
        address = path if path.startswith("/apis") else BASE + path
        if query:
            address += "?" + urlencode(query, quote_via=quote)
        headers = {"accept": "application/json", "content-type": "application/json", **(headers or {})}
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        answer = await self.client.execute(method, self.url + address, headers=headers, content=content)
        return _answer(answer)


def _answer(answer: FullResponse) -> Answer:
    content = bytes(answer.content)
    is_json = answer.headers["content-type"].startswith("application/json")
    return Answer(answer.status, json.loads(content) if is_json else content, answer.headers)


@dataclass(frozen=True, slots=True)
class _Contents:
    """Content by URI, wherever it lies."""

    paths: Mapping[str, Path]

    async def read(self, uri: str, size_bytes_max: int) -> bytes:
        path = self.paths.get(uri, Path("/nowhere/at-all"))
        store = Artifacts(StoreOptions(root=f"file://{path.parent}"), FolderStore(str(path.parent)))
        return await store.read(f"file://{path}", size_bytes_max)


@asynccontextmanager
async def serving(
    database: Database, dsn: str, spaces: Spaces = SINGLE_USER, gateway: GatewaySettings = HTTP
) -> AsyncIterator[KfpSite]:
    """A server on `database`."""
    notifications = Notifications(dsn)
    await notifications.start()
    wakeups = Wakeups(notifications, poll_s=0.2)
    await wakeups.start()
    logs = ScriptedLogs()
    contents: dict[str, Path] = {}
    parts = await _api_parts(database, wakeups, logs)
    compat = CompatParts(
        database,
        parts.jobs,
        parts.specs,
        parts.token_key,
        new_runs=parts.new_runs,
        requests=parts.requests,
        wakeups=wakeups,
        logs=parts.logs,
        stores=parts.stores,
        read_artifact=_Contents(contents).read,
        spaces=spaces,
    )
    middleware = Middleware()
    services = [middleware.wrap(service) for service in (*api_services(parts), *compat_services(compat))]
    routes = [middleware.wrap_plain(route) for route in compat_routes(compat)]
    grpc_server = GrpcServer(services, GrpcSettings(listen="127.0.0.1:0"))
    await grpc_server.start()
    served = Gateway(services, Probes(_ready, _no_metrics), gateway, routes)
    http = HttpServer(served, socket.create_server(("127.0.0.1", 0)))
    await http.start()
    try:
        address = f"127.0.0.1:{grpc_server.port}"
        async with grpc.aio.insecure_channel(address) as channel:
            yield KfpSite(database, channel, address, f"http://127.0.0.1:{http.port}", logs, contents)
    finally:
        await http.drain(0)
        await wakeups.close()
        await grpc_server.drain(0)
        await notifications.close()


async def _api_parts(database: Database, wakeups: Wakeups, logs: ScriptedLogs) -> ApiParts:
    async with database.connection() as connection:
        key = await secrets.page_token_key(connection)
    new_runs = NewRuns(database, Graphs())
    turns = JobTurns(database, new_runs, TurnSettings())
    return ApiParts(
        database,
        wakeups,
        new_runs,
        RunRequests(database),
        Jobs(database, new_runs, turns),
        Backfills(database, turns),
        StepLogs(database, wakeups, logs),
        key,
        ServerFacts(uuid.uuid4(), "1.2.3", "fake", True, datetime.now(UTC), 4),
        Load(),
        stores=lambda uri: uri.startswith("file:///artifacts/"),
    )


async def _ready() -> list[str]:
    return []


def _no_metrics(_accept: str) -> Exposition:
    return Exposition(b"", "text/plain")
