"""Puts a server together and starts its parts in order; they are stopped in the opposite one.

folder, Postgres, migrations -> pool, notifications -> launcher -> engine -> services -> gRPC, HTTP
"""

import asyncio
import os
import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import structlog

from penstock_server.api.grpc_server import GrpcServer, GrpcSettings
from penstock_server.api.server_info import ServerFacts
from penstock_server.api.services import ApiParts, api_services
from penstock_server.compat.downloads import DownloadSettings
from penstock_server.compat.services import CompatParts, compat_routes, compat_services
from penstock_server.compat.spaces import Spaces
from penstock_server.compat.states import RunStates
from penstock_server.engine.backfills import Backfills
from penstock_server.engine.graphs import Graphs
from penstock_server.engine.job_turns import JobTurns, TurnSettings
from penstock_server.engine.jobs import Jobs
from penstock_server.engine.loop import Engine
from penstock_server.engine.new_runs import NewRuns
from penstock_server.engine.requests import RunRequests
from penstock_server.engine.run_requests import CacheDefaults
from penstock_server.engine.schedules import Schedules
from penstock_server.engine.settings import EngineSettings
from penstock_server.engine.step_logs import StepLogs
from penstock_server.engine.wakeups import Wakeups
from penstock_server.gateway.app import Gateway, GatewaySettings
from penstock_server.gateway.http_server import HttpServer
from penstock_server.gateway.probes import Probes
from penstock_server.launch.base import Capability, Launcher
from penstock_server.main.addresses import Address, parse_address
from penstock_server.main.launchers import make_launcher, parallel_steps_max
from penstock_server.main.readiness import Load, Readiness
from penstock_server.main.settings import Settings
from penstock_server.main.store_options import store_options
from penstock_server.main.telemetry import TelemetrySettings, make_telemetry
from penstock_server.model.errors import FailedPrecondition, Unavailable
from penstock_server.model.resources import CachePolicy
from penstock_server.rpc.admission import Admission
from penstock_server.rpc.method import Service
from penstock_server.rpc.middleware import Middleware
from penstock_server.rpc.plain import PlainRoute
from penstock_server.store import secrets
from penstock_server.store.database import Database
from penstock_server.store.embedded import EmbeddedPostgres
from penstock_server.store.migrations import migrate, pending
from penstock_server.store.notifications import Notifications
from penstock_server.store.objects import Artifacts

ANSWER_S = 4.5
"""A call waits so long for the database; then it tells the caller to repeat it."""
DATABASE_RETRY_S = 1.0

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Server:
    """A server that serves."""

    settings: Settings
    grpc: GrpcServer
    http: HttpServer
    gateway: Gateway
    wakeups: Wakeups
    engine: Engine
    schedules: Schedules
    load: Load

    @property
    def grpc_address(self) -> Address:
        """Where gRPC is listened on."""
        return replace(parse_address(self.settings.grpc_listen), port=self.grpc.port)

    @property
    def http_address(self) -> Address:
        """Where HTTP is listened on."""
        return replace(parse_address(self.settings.http_listen), port=self.http.port)

    async def drain(self) -> None:
        """Take nothing new, fire no slot, let calls under way end, give the runs up; running steps are left running."""
        self.load.draining = True
        self.gateway.draining = True
        await self.grpc.announce_drain()
        self.wakeups.drain()
        await self.schedules.close()
        await asyncio.gather(self.engine.drain(), self.grpc.drain(self.settings.drain_s))
        await self.http.drain(self.settings.drain_s)


class Assembly:
    """Starts part after part. Each is noted in `stack` for its end before it begins."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._stack = stack
        self._data_dir = settings.data_dir.absolute()
        self._telemetry = make_telemetry(
            TelemetrySettings(
                version=version("penstock-server"),
                server_name=f"{socket.gethostname()}/{os.getpid()}",
                metrics=settings.metrics,
                otlp_endpoint=settings.otlp_endpoint,
                trace_ratio=settings.trace_ratio,
            )
        )

    async def start(self, listener: socket.socket) -> Server:
        """All parts, serving; HTTP on `listener`. Raises PenstockError for what stands in the way."""
        self._stack.push_async_callback(asyncio.to_thread, self._telemetry.close)
        dsn = await self._postgres()
        database = await self._database(dsn)
        notifications = Notifications(dsn)
        self._stack.push_async_callback(notifications.close)
        await notifications.start()
        artifacts = await self._artifacts()
        launcher = await self._launcher(database, artifacts)
        graphs = Graphs()
        engine = await self._engine(database, notifications, launcher, graphs, artifacts)
        wakeups = Wakeups(notifications)
        self._stack.push_async_callback(wakeups.close)
        await wakeups.start()
        load = Load(engine)
        answering = database.with_patience(ANSWER_S)
        new_runs = NewRuns(
            answering,
            graphs,
            engine,
            caching=self._caching(),
            has_content=artifacts.has_content,
            makes_volumes=Capability.VOLUMES in launcher.capabilities,
        )
        turns = JobTurns(answering, new_runs, TurnSettings(self._settings.job_grace_s, self._settings.job_slots_kept))
        schedules = await self._schedules(answering, notifications, turns)
        parts = ApiParts(
            database=answering,
            wakeups=wakeups,
            new_runs=new_runs,
            requests=RunRequests(answering),
            jobs=Jobs(answering, new_runs, turns),
            backfills=Backfills(answering, turns),
            logs=StepLogs(answering, wakeups, launcher.logs),
            token_key=await _token_key(database),
            facts=self._facts(engine),
            load=load,
            stores=artifacts.contains,
        )
        compat = self._compat(parts, artifacts)
        middleware = self._middleware()
        services = [middleware.wrap(service) for service in (*api_services(parts), *compat_services(compat))]
        routes = [middleware.wrap_plain(route) for route in compat_routes(compat)]
        grpc = await self._grpc(services)
        gateway = self._gateway(services, routes, Readiness(database, load), middleware.calls)
        http = HttpServer(gateway, listener)
        self._stack.push_async_callback(http.drain, 0)
        await http.start()
        return Server(self._settings, grpc, http, gateway, wakeups, engine, schedules, load)

    async def _artifacts(self) -> Artifacts:
        """The artifact store; one that does not answer at this moment may later."""
        options = store_options(self._settings, self._data_dir, os.environ)
        artifacts = Artifacts.at(options)
        try:
            await artifacts.check()
        except Unavailable as error:
            log.warning("artifact_store_away", root=options.root, error=error.message)
        return artifacts

    def _compat(self, parts: ApiParts, artifacts: Artifacts) -> CompatParts:
        """KFP's API, on the parts of ours."""
        settings = self._settings
        spaces = Spaces(settings.kfp_multi_user, settings.kfp_user_header.lower(), settings.kfp_user_prefix)
        downloads = DownloadSettings(
            tuple(host.lower() for host in settings.kfp_url_hosts),
            tuple(host.lower() for host in settings.kfp_url_private_hosts),
            settings.kfp_url_allow_http,
            settings.kfp_url_timeout_s,
        )
        return CompatParts(
            database=parts.database,
            jobs=parts.jobs,
            specs=parts.specs,
            token_key=parts.token_key,
            new_runs=parts.new_runs,
            requests=parts.requests,
            wakeups=parts.wakeups,
            logs=parts.logs,
            stores=parts.stores,
            read_artifact=artifacts.read,
            spaces=spaces,
            states=RunStates.ending_as(settings.kfp_cancelled_state),
            ids=parts.ids,
            downloads=downloads,
        )

    def _middleware(self) -> Middleware:
        settings = self._settings
        calls, streams = Admission(settings.calls_max), Admission(settings.streams_max, "streams")
        self._telemetry.watch_rooms({"calls": calls, "streams": streams})
        return Middleware(
            self._telemetry.calls, unary_time_max_s=settings.call_time_max_s, calls=calls, streams=streams
        )

    def _caching(self) -> CacheDefaults:
        policy = CachePolicy(self._settings.cache_policy.upper())
        return CacheDefaults(policy, self._settings.cache_max_age_s or None)

    async def _postgres(self) -> str:
        """The DSN of a database that has this version's schema."""
        _make_folder(self._data_dir)
        if self._settings.database_url:
            await self._check_schema(self._settings.database_url)
            return self._settings.database_url
        postgres = EmbeddedPostgres(self._data_dir)
        self._stack.push_async_callback(postgres.close)
        dsn = await postgres.start()
        if applied := await migrate(dsn):
            log.info("migrated", files=len(applied))
        return dsn

    async def _check_schema(self, dsn: str) -> None:
        """Wait for the database and see that it has been migrated."""
        give_up = asyncio.get_running_loop().time() + self._settings.database_wait_s
        while True:
            try:
                missing = await pending(dsn)
                break
            except Unavailable as error:
                if asyncio.get_running_loop().time() >= give_up:
                    raise
                log.warning("database_awaited", error=str(error.__cause__ or error))
            await asyncio.sleep(DATABASE_RETRY_S)
        if missing:
            raise FailedPrecondition(
                "MIGRATIONS_PENDING",
                f"the database lacks {', '.join(missing)}; run `penstock-server migrate` with the same settings",
            )

    async def _database(self, dsn: str) -> Database:
        database = Database(
            dsn,
            pool_size_max=self._settings.database_connections_max,
            statement_timeout_s=self._settings.statement_timeout_s,
        )
        self._stack.push_async_callback(database.close)
        await database.open()
        return database

    async def _launcher(self, database: Database, artifacts: Artifacts) -> Launcher:
        launcher = self._telemetry.around(await make_launcher(self._settings, self._data_dir, database, artifacts))
        self._stack.push_async_callback(launcher.close)
        await launcher.start()
        return launcher

    async def _engine(
        self,
        database: Database,
        notifications: Notifications,
        launcher: Launcher,
        graphs: Graphs,
        artifacts: Artifacts,
    ) -> Engine:
        settings = EngineSettings(
            artifact_root=artifacts.root_uri,
            max_parallel_steps=parallel_steps_max(self._settings),
            runs_max=self._settings.runs_max,
            lease_ttl_s=self._settings.lease_ttl_s,
            poll_s=self._settings.poll_s,
        )
        engine = Engine(
            database,
            notifications,
            launcher,
            settings,
            graphs=graphs,
            observer=self._telemetry.engine,
            has_content=artifacts.has_content,
        )
        self._stack.push_async_callback(engine.close)
        await engine.start()
        return engine

    async def _schedules(self, database: Database, notifications: Notifications, turns: JobTurns) -> Schedules:
        schedules = Schedules(database, notifications, turns, poll_s=self._settings.poll_s)
        self._stack.push_async_callback(schedules.close)
        await schedules.start()
        return schedules

    def _facts(self, engine: Engine) -> ServerFacts:
        return ServerFacts(
            server_id=engine.server_id,
            version=version("penstock-server"),
            launcher=self._settings.launcher,
            embedded_database=not self._settings.database_url,
            start_time=datetime.now(UTC),
            parallel_steps_max=parallel_steps_max(self._settings),
        )

    async def _grpc(self, services: list[Service]) -> GrpcServer:
        settings = GrpcSettings(
            listen=self._settings.grpc_listen,
            receive_bytes_max=self._settings.receive_bytes_max,
            send_bytes_max=self._settings.send_bytes_max,
        )
        server = GrpcServer(services, settings)
        self._stack.push_async_callback(server.drain, 0)
        await server.start()
        return server

    def _gateway(
        self, services: list[Service], routes: list[PlainRoute], readiness: Readiness, calls: Admission
    ) -> Gateway:
        hosts = self._settings.allowed_hosts
        if not hosts and parse_address(self._settings.http_listen).is_loopback:
            hosts = ("localhost",)
        settings = GatewaySettings(
            body_bytes_max=self._settings.receive_bytes_max,
            allowed_origins=self._settings.allowed_origins,
            allowed_hosts=hosts,
        )
        probes = Probes(readiness.not_ready, self._telemetry.exposition)
        return Gateway(services, probes, settings, routes, calls)


async def _token_key(database: Database) -> bytes:
    async with database.transaction() as connection:
        return await secrets.page_token_key(connection)


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FailedPrecondition(
            "DATA_DIR_UNUSABLE",
            f"the data folder {path} cannot be made: {error.strerror}; name another one with --data-dir",
        ) from error
