"""Three servers on one folder, one Postgres that is not theirs, and an artifact store that is small enough to fill."""

import asyncio
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from penstock_server.store.embedded import EmbeddedPostgres
from penstock_server.store.migrations import migrate
from tests.conformance.laboratory import path_with_bash
from tests.jobs.audit import keep_record
from tests.servers import Server

SERVERS = 3
LEASE_S = 2
GRACE_S = 2
"""Slots of jobs that are later were missed."""
STORE_MIB = 48
STEPS_AT_ONCE = 3
MARK = "penstock-chaos-step"
"""Stands in the command line of every step that may be killed."""


class Postgres:
    """A Postgres that comes back by itself, whatever ends it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._embedded = EmbeddedPostgres(folder)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="postgres")

    def start(self) -> None:
        """Start it, with all tables."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._embedded.start(), self._loop).result()
        asyncio.run_coroutine_threadsafe(migrate(self.dsn), self._loop).result()

    def close(self) -> None:
        """Stop it."""
        asyncio.run_coroutine_threadsafe(self._embedded.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def dsn(self) -> str:
        return self._embedded.dsn

    def signal(self, number: int) -> None:
        """Send the postmaster a signal; nothing where none runs just now."""
        try:
            os.kill(int((self._folder / "postgres" / "postmaster.pid").read_text().split()[0]), number)
        except (FileNotFoundError, IndexError, ProcessLookupError):
            return  # it is down already, by another fault

    def cut_connections(self) -> None:
        """End all connections but this one."""
        statement = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        try:
            with psycopg.connect(self.dsn, autocommit=True, connect_timeout=1) as connection:
                connection.execute(statement + " AND backend_type = 'client backend'")
        except psycopg.OperationalError:
            return  # it is down, and all connections with it


@dataclass(slots=True)
class Store:
    """The folder of the artifacts, which can be filled to the last byte where it is a small file system of its own."""

    folder: Path
    is_small: bool = False

    @property
    def _filler(self) -> Path:
        return self.folder / "filler"

    def mount(self) -> None:
        """Make it a small file system, where this user may."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={STORE_MIB}m", "tmpfs", str(self.folder)]
        self.is_small = subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0

    def unmount(self) -> None:
        if self.is_small:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)

    def fill(self) -> None:
        """Leave nothing free."""
        block = bytes(64 * 1024)
        try:
            with self._filler.open("wb", buffering=0) as file:
                while True:
                    file.write(block)
        except OSError:
            return  # it is full

    def empty(self) -> None:
        """Make room again."""
        self._filler.unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget the artifacts of runs that have ended."""
        for path in self.folder.iterdir():
            if not path.name.startswith("."):
                shutil.rmtree(path)


@dataclass(slots=True)
class World:
    """All that faults happen to."""

    folder: Path
    postgres: Postgres
    servers: Sequence[Server]
    store: Store
    steps: Path
    """Where the servers keep the files of steps."""

    def live_steps(self) -> list[psutil.Process]:
        """Processes of steps that may be killed."""
        found = psutil.process_iter(["cmdline"])
        here = str(self.folder)
        return [each for each in found if any(MARK in word and here in word for word in each.info["cmdline"] or ())]


@contextmanager
def opened(folder: Path) -> Iterator[World]:
    """The world, with everything up."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data"
    store = Store(data / "artifacts")
    store.mount()
    postgres = Postgres(folder / "database")
    postgres.start()
    keep_record(postgres.dsn)
    options = ["--database-url", postgres.dsn, "--lease-ttl-s", str(LEASE_S)]
    options += ["--max-parallel-steps", str(STEPS_AT_ONCE), "--job-grace-s", str(GRACE_S)]
    environment = {"PATH": path_with_bash(folder)}
    servers = [Server(data, options, environment) for _ in range(SERVERS)]
    try:
        for server in servers:
            server.start()
        yield World(folder, postgres, servers, store, data / "steps")
    finally:
        for server in servers:
            server.stop()
            server.log.close()
        postgres.close()
        store.unmount()
