"""What the measures stand on: one Postgres, one server on it, a client, and the floors."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

import psycopg
from google.protobuf.struct_pb2 import Struct

from penstock import Client
from penstock.v1 import run_pb2, run_service_pb2
from penstock_server.store.embedded import EmbeddedPostgres
from penstock_server.store.migrations import migrate
from tests.bench import floors
from tests.servers import Server

PASS = (str(Path(sys.base_prefix) / "bin" / "python3"), "-c", "pass")
"""The interpreter that steps find first on their PATH, by its full name: `python3` may be a wrapper elsewhere."""
NAMESPACE = "namespaces/default"
FINAL = frozenset({run_pb2.Run.STATE_SUCCEEDED, run_pb2.Run.STATE_FAILED, run_pb2.Run.STATE_CANCELLED})
AT_ONCE = 8
LOOK_AGAIN_S = 0.02
MADE_WITHIN_S = 120.0
"""A process that is to make a run has started and made it by then, however busy the machine is."""


@dataclass(frozen=True)
class Row:
    """A line of the table. The ratio is figure over floor."""

    name: str
    figure: float
    unit: str
    floor: float | None = None
    target: str = ""


def inline(spec: dict[str, Any]) -> run_pb2.Run:
    """A run of a spec of its own."""
    struct = Struct()
    struct.update(spec)
    run = run_pb2.Run()
    run.inline_spec.struct.CopyFrom(struct)
    return run


def until(is_so: Callable[[], bool], within_s: float, otherwise: str) -> None:
    """Look again and again whether it is so. Raises TimeoutError, which says what is `otherwise`."""
    end = time.perf_counter() + within_s
    while not is_so():
        if time.perf_counter() > end:
            raise TimeoutError(f"{otherwise} within {within_s:g} s")
        time.sleep(LOOK_AGAIN_S)


class Bed:
    """Postgres in a folder, a server on it with room for eight steps at once, and a client."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._postgres = EmbeddedPostgres(folder / "database")
        self.dsn = ""
        self._server: Server | None = None
        self._client: Client | None = None

    def __enter__(self) -> "Bed":
        self.dsn = self._loop.run_until_complete(self._postgres.start())
        self._loop.run_until_complete(migrate(self.dsn))
        floors.prepare(self.dsn)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._loop.run_until_complete(self._postgres.close())
        self._loop.close()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that the database is supervised on; measures of async code run there."""
        return self._loop

    @property
    def client(self) -> Client:
        """A client of the server, which is started when it is first needed."""
        if self._client is None:
            self.serve()
        assert self._client is not None
        return self._client

    @property
    def target(self) -> str:
        """Where the server listens."""
        return self._running.grpc

    @property
    def http(self) -> str:
        """Where the server listens for HTTP."""
        return self._running.http

    @property
    def server_pid(self) -> int:
        """The server's process."""
        assert self._running.process is not None
        return self._running.process.pid

    @property
    def postgres_pid(self) -> int:
        """The process whose children serve the connections."""
        return int((self._folder / "database" / "postgres" / "postmaster.pid").read_text().split()[0])

    def serve(self, *more: str) -> None:
        """Start the server, or start it anew, with further options."""
        self._stop()
        options = ("--database-url", self.dsn, "--max-parallel-steps", str(AT_ONCE), *more)
        self._server = Server(self._folder / "data", options).start()
        self._client = Client(self._server.grpc)

    @contextmanager
    def serving(self, *more: str) -> Iterator[None]:
        """A server with further options; it is stopped at the end, and the next one has none of them."""
        self.serve(*more)
        try:
            yield
        finally:
            self._stop()

    @property
    def _running(self) -> Server:
        if self._server is None:
            self.serve()
        assert self._server is not None
        return self._server

    def _stop(self) -> None:
        if self._client is not None:
            self._client.close()
        if self._server is not None:
            self._server.stop()
        self._client = self._server = None

    def step_floor_ms(self, *, at_once: int = 1) -> float:
        """F in milliseconds for `python3 -c pass`."""
        return 1000 * floors.step_floor_s(self.dsn, PASS, count=40 * at_once, at_once=at_once)

    def component_floor_ms(self, source: str) -> float:
        """Z in milliseconds for the component `source`, in the Python environment that the server has made for it."""
        (python,) = (self._folder / "data" / "environments").glob("*/bin/python3")
        with TemporaryDirectory(dir=self._folder) as folder:
            return 1000 * floors.component_floor_s(
                self.dsn, floors.LoadedPython(python, source, Path(folder)), count=40
            )

    def create(self, spec: dict[str, Any], run_id: str = "") -> run_pb2.Run:
        """Submit an inline spec through the API."""
        request = run_service_pb2.CreateRunRequest(parent=NAMESPACE, run=inline(spec), run_id=run_id)
        return self.client.stubs.run.CreateRun(request).run

    def await_run(self, name: str) -> None:
        """Wait until there is a run of that name, which somebody else makes. Raises TimeoutError."""
        request = run_service_pb2.ListRunsRequest(parent=NAMESPACE, page_size=1, filter=f'name = "{name}"')
        until(lambda: bool(self.client.stubs.run.ListRuns(request).runs), MADE_WITHIN_S, f"nobody has made {name}")

    def finish(self, run: run_pb2.Run) -> None:
        """Watch the run to its end."""
        request = run_service_pb2.WatchRunRequest(name=run.name)
        for response in self.client.stubs.run.WatchRun(request):
            last = response.event
        assert last.run_transition.to_state == run_pb2.Run.STATE_SUCCEEDED, f"{last.reason}: {last.message}"

    def settle(self) -> None:
        """Wait until no run is under way, so that what is measured next has the machine to itself."""
        request = run_service_pb2.ListRunsRequest(parent=NAMESPACE, page_size=1, filter="NOT end_time:*")
        while open_runs := self.client.stubs.run.ListRuns(request).runs:
            self.client.wait(open_runs[0])

    def drop_open_runs(self, blocking: run_pb2.Run) -> None:
        """Cancel the run that the server drives, and take those that wait behind it out of the database."""
        self.client.stubs.run.CancelRun(run_service_pb2.CancelRunRequest(name=blocking.name))
        self.client.wait(blocking)
        self._stop()
        with psycopg.connect(self.dsn) as connection:
            connection.execute("DELETE FROM run WHERE end_time IS NULL")

    def run_s(self, spec: dict[str, Any]) -> float:
        """Seconds from CreateRun until the client sees the run SUCCEEDED."""
        start = time.perf_counter()
        self.finish(self.create(spec))
        return time.perf_counter() - start
