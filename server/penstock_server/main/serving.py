"""Puts a server together, starts its parts in order, and stops them in the opposite one.

folder and Postgres ► migrations ► pool, notifications ► launcher ► engine ► gRPC, HTTP ► ready
"""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from uuid import UUID

from uv import find_uv_bin

from penstock_server.api.grpc_server import GrpcServer, GrpcSettings
from penstock_server.api.server_info import ServerFacts
from penstock_server.api.services import ApiParts, api_services
from penstock_server.api.wakeups import Wakeups
from penstock_server.engine.graphs import Graphs
from penstock_server.engine.loop import Engine
from penstock_server.engine.requests import RunRequests
from penstock_server.engine.settings import EngineSettings
from penstock_server.gateway.app import Gateway, GatewaySettings
from penstock_server.gateway.http_server import HttpServer
from penstock_server.gateway.probes import Probes
from penstock_server.launch.base import Launcher
from penstock_server.launch.environments import EnvironmentSettings, StepEnvironments, uv_environment
from penstock_server.launch.process import ProcessLauncher, ProcessSettings
from penstock_server.launch.surroundings import PASSED_ON
from penstock_server.main import logs
from penstock_server.main.settings import Settings, split_address
from penstock_server.main.telemetry import Telemetry, telemetry_of
from penstock_server.model.errors import FailedPrecondition, PenstockError
from penstock_server.rpc.middleware import Middleware
from penstock_server.store import secrets
from penstock_server.store.database import Database
from penstock_server.store.embedded import EmbeddedPostgres
from penstock_server.store.migrations import migrate, pending
from penstock_server.store.notifications import Notifications
from penstock_server.store.objects import LocalArtifacts

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Load:
    """What the server has to do just now."""

    engine: Engine
    draining: bool = False

    @property
    def owned_run_count(self) -> int:
        """Runs in memory."""
        return self.engine.run_count

    @property
    def running_step_count(self) -> int:
        """Steps under way."""
        return self.engine.running_step_count


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises PenstockError for what keeps the server from starting."""
    logs.configure(settings.log_format, settings.log_level)
    asked_to_end = _signals()
    async with AsyncExitStack() as stack:
        listener = _http_listener(settings)
        stack.callback(listener.close)
        _check_free("grpc_listen", settings.grpc_listen)
        server = await _Assembly(settings, stack).start(listener)
        print(f"penstock-server ready: grpc {server.grpc_address} http {server.http_address}", flush=True)
        await asked_to_end.wait()
        _log.info("draining")
        await server.drain()
    _log.info("ended; running steps go on")


@dataclass(slots=True)
class _Server:
    """A server that serves."""

    settings: Settings
    grpc: GrpcServer
    http: HttpServer
    gateway: Gateway
    wakeups: Wakeups
    engine: Engine
    load: Load

    @property
    def grpc_address(self) -> str:
        """Where gRPC is listened on."""
        return f"{_host(self.settings.grpc_listen)}:{self.grpc.port}"

    @property
    def http_address(self) -> str:
        """Where HTTP is listened on."""
        return f"{_host(self.settings.http_listen)}:{self.http.port}"

    async def drain(self) -> None:
        """Take nothing new, let calls under way end, give the runs up."""
        self.load.draining = True
        self.gateway.draining = True
        await self.grpc.announce_drain()
        self.wakeups.drain()
        await self.engine.drain()
        grace_s = self.settings.drain_s
        await asyncio.gather(self.grpc.drain(grace_s), self.http.drain(grace_s))


class _Assembly:
    """Starts part after part; each is noted for its end as soon as it has begun."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._stack = stack
        self._data_dir = settings.data_dir.absolute()

    async def start(self, listener: socket.socket) -> _Server:
        """All parts, serving."""
        settings = self._settings
        telemetry = telemetry_of(settings)
        self._stack.callback(telemetry.close)
        dsn = await self._postgres()
        database = Database(
            dsn, pool_size_max=settings.database_pool_size, statement_timeout_s=settings.statement_timeout_s
        )
        self._stack.push_async_callback(database.close)
        await database.open()
        notifications = Notifications(dsn)
        self._stack.push_async_callback(notifications.close)
        await notifications.start()
        artifacts = LocalArtifacts(self._data_dir / "artifacts")
        launcher = await self._launcher(artifacts, telemetry)
        graphs = Graphs()
        engine = Engine(
            database,
            notifications,
            launcher,
            EngineSettings(
                artifact_root=artifacts.root_uri,
                max_parallel_steps=settings.max_parallel_steps,
                lease_ttl_s=settings.lease_ttl_s,
            ),
            graphs=graphs,
            observer=telemetry.engine_observer,
        )
        self._stack.push_async_callback(engine.close)
        await engine.start()
        load = Load(engine)
        wakeups = Wakeups(notifications)
        self._stack.push_async_callback(wakeups.close)
        await wakeups.start()
        async with database.connection() as connection:
            key = await secrets.page_token_key(connection)
        requests = RunRequests(database, graphs)
        parts = ApiParts(database, wakeups, requests, launcher.logs, key, self._facts(engine.server_id), load)
        middleware = Middleware(observer=telemetry.call_observer)
        services = [middleware.wrap(service) for service in api_services(parts)]
        grpc = GrpcServer(
            services, GrpcSettings(listen=settings.grpc_listen, receive_bytes_max=settings.message_size_max)
        )
        self._stack.push_async_callback(grpc.drain, 0)
        await grpc.start()
        probes = Probes(_Readiness(database, load).reasons, telemetry.exposition)
        gateway = Gateway(
            services,
            probes,
            GatewaySettings(body_bytes_max=settings.message_size_max, allowed_origins=settings.allowed_origins),
        )
        http = HttpServer(gateway, listener)
        self._stack.push_async_callback(http.drain, 0)
        await http.start()
        return _Server(settings, grpc, http, gateway, wakeups, engine, load)

    async def _postgres(self) -> str:
        """DSN of a database at the schema of this version."""
        if not self._settings.database_url:
            postgres = EmbeddedPostgres(self._data_dir)
            self._stack.push_async_callback(postgres.close)
            dsn = await postgres.start()
            await migrate(dsn)
            return dsn
        # Servers on one database may share a folder: each finds the steps of the others there.
        self._data_dir.mkdir(parents=True, exist_ok=True)
        if missing := await pending(self._settings.database_url):
            message = f"the database lacks {', '.join(missing)}; run penstock-server migrate on it first"
            raise FailedPrecondition("MIGRATIONS_PENDING", message)
        return self._settings.database_url

    async def _launcher(self, artifacts: LocalArtifacts, telemetry: Telemetry) -> Launcher:
        environment = EnvironmentSettings(Path(find_uv_bin()), uv_environment(os.environ))
        environments = StepEnvironments(self._data_dir / "environments", environment)
        passed_on = (*PASSED_ON, *self._settings.step_environment)
        process = ProcessSettings(os.environ, passed_on, self._settings.step_grace_s)
        launcher = telemetry.wrap(ProcessLauncher(self._data_dir / "steps", artifacts, environments, process))
        self._stack.push_async_callback(launcher.close)
        await launcher.start()
        return launcher

    def _facts(self, server_id: UUID) -> ServerFacts:
        return ServerFacts(
            server_id=server_id,
            version=version("penstock-server"),
            launcher=self._settings.launcher,
            embedded_database=not self._settings.database_url,
            start_time=datetime.now(UTC),
            parallel_steps_max=self._settings.max_parallel_steps,
        )


@dataclass(frozen=True, slots=True)
class _Readiness:
    """Why the server cannot serve just now."""

    database: Database
    load: Load

    async def reasons(self) -> Sequence[str]:
        """Empty when it can."""
        if self.load.draining:
            return ["the server is draining"]
        try:
            async with self.database.connection(deadline_s=2) as connection:
                await connection.execute("SELECT 1")
        except PenstockError as error:
            return [error.message]
        return []


def _signals() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT; a second one ends the process at once."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask(number: int) -> None:
        if asked.is_set():
            os._exit(128 + number)
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask, number)
    return asked


def _http_listener(settings: Settings) -> socket.socket:
    host, port = split_address("http_listen", settings.http_listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise _in_use("http_listen", settings.http_listen, error) from error
    return listener


def _check_free(name: str, address: str) -> None:
    """Before anything is started; gRPC itself binds later and says the same."""
    host, port = split_address(name, address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise _in_use(name, address, error) from error


def _in_use(name: str, address: str, error: OSError) -> FailedPrecondition:
    option = f"--{name.replace('_', '-')}"
    return FailedPrecondition(
        "ADDRESS_IN_USE", f"cannot listen on {address}: {error.strerror}; choose another address with {option}"
    )


def _host(address: str) -> str:
    return address.rpartition(":")[0]
