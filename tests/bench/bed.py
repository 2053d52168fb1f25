"""What the measures stand on: one Postgres, one server on it, a client, and the floors."""

import asyncio
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

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


@dataclass(frozen=True)
class Row:
    """A line of the table. The ratio is figure over floor."""

    name: str
    figure: float
    unit: str
    floor: float | None = None
    target: str = ""


class Bed:
    """Postgres in a folder, a server on it with room for eight steps at once, and a client."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._postgres = EmbeddedPostgres(folder / "database")
        self.dsn = ""
        self._server: Server | None = None

    def __enter__(self) -> "Bed":
        self.dsn = self._loop.run_until_complete(self._postgres.start())
        self._loop.run_until_complete(migrate(self.dsn))
        floors.prepare(self.dsn)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self.client.close()
            self._server.stop()
        self._loop.run_until_complete(self._postgres.close())
        self._loop.close()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that the database is supervised on; measures of async code run there."""
        return self._loop

    @cached_property
    def client(self) -> Client:
        """A client of a warm server."""
        options = ("--database-url", self.dsn, "--max-parallel-steps", str(AT_ONCE))
        self._server = Server(self._folder / "data", options).start()
        return Client(self._server.grpc)

    @property
    def target(self) -> str:
        """Where the server listens."""
        assert self.client.stubs is not None
        assert self._server is not None
        return self._server.grpc

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

    def create(self, spec: dict[str, Any]) -> run_pb2.Run:
        """Submit an inline spec through the API."""
        struct = Struct()
        struct.update(spec)
        run = run_pb2.Run()
        run.inline_spec.struct.CopyFrom(struct)
        request = run_service_pb2.CreateRunRequest(parent=NAMESPACE, run=run)
        return self.client.stubs.run.CreateRun(request).run

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

    def run_s(self, spec: dict[str, Any]) -> float:
        """Seconds from CreateRun until the client sees the run SUCCEEDED."""
        start = time.perf_counter()
        self.finish(self.create(spec))
        return time.perf_counter() - start
