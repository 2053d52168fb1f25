"""A real Postgres for all tests: one a test worker, with a migrated template that each test clones; and a real S3."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from penstock_server.store import embedded
from penstock_server.store.database import Database
from penstock_server.store.migrations import migrate

if TYPE_CHECKING:
    from tests.kubernetes.cluster import Cluster
from tests.object_stores import CREDENTIALS, S3Server, s3_server

TEMPLATE = "penstock_template"


@pytest.fixture(scope="session")
def running_s3() -> Iterator[S3Server]:
    """A real S3 server, one a test worker."""
    with s3_server() as server:
        yield server


@pytest.fixture
def s3(running_s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The S3 server, with its credentials where object stores look for them."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return running_s3


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Host (the socket's folder) of a Postgres without fsync: nothing here has to outlive the machine."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-test-"))
    folder.chmod(0o755)
    host = str(folder)
    data = folder / "data"
    data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(data, embedded.NOBODY, embedded.NOBODY)
        os.chown(folder, embedded.NOBODY, embedded.NOBODY)
    before = embedded._unprivileged()
    initdb = [embedded._binary("initdb"), "-D", str(data), "-U", "penstock", "-A", "trust", "-E", "UTF8"]
    initdb += ["--locale=C.UTF-8", "--no-sync"]
    subprocess.run([*before, *initdb], check=True, cwd="/", stdout=subprocess.DEVNULL)
    options = ("fsync=off", "listen_addresses=", "max_connections=200", "full_page_writes=off", "jit=off")
    command = [embedded._binary("postgres"), "-D", str(data), "-k", host]
    command += [part for option in options for part in ("-c", option)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*before, *command], cwd="/", stdout=log, stderr=log)
    try:
        _wait(host, process)
        yield host
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres_dsn(postgres: str) -> str:
    """DSN of a migrated template database; clone it, do not write to it."""
    with _administer(postgres) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE)))
    dsn = _dsn(postgres, TEMPLATE)
    asyncio.run(migrate(dsn))
    return dsn


@pytest.fixture
def empty_dsn(postgres: str) -> Iterator[str]:
    """DSN of an empty database of the test's own."""
    yield from _database(postgres, "template1")


@pytest.fixture
def database_dsn(postgres: str, postgres_dsn: str) -> Iterator[str]:
    """DSN of a migrated database of the test's own."""
    yield from _database(postgres, TEMPLATE)


@pytest.fixture(scope="session")
def new_dsn(postgres: str, postgres_dsn: str) -> Iterator[Callable[[], str]]:
    """Makes migrated databases that last as long as the test worker, for servers that several tests ask."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(contextmanager(_database)(postgres, TEMPLATE))


@pytest.fixture
async def database(database_dsn: str) -> AsyncIterator[Database]:
    """A migrated database of the test's own, open."""
    database = Database(database_dsn)
    await database.open()
    yield database
    await database.close()


def _database(host: str, template: str) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    create = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
    with _administer(host) as connection:
        connection.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
        yield _dsn(host, name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _dsn(host: str, database: str) -> str:
    return f"postgresql://penstock@/{database}?host={host}"


def _administer(host: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(_dsn(host, "postgres"), autocommit=True)


def _wait(host: str, process: "subprocess.Popen[bytes]") -> None:
    """Until it takes connections; psycopg's own timeout bounds each try, the loop all of them."""
    for _ in range(600):
        assert process.poll() is None, "Postgres ended at once"
        try:
            _administer(host).close()
        except psycopg.OperationalError:
            process_wait(process, 0.05)
        else:
            return
    raise AssertionError("Postgres did not start")


def process_wait(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Pause that ends early when the process does."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


@pytest.fixture(scope="session")
def cluster() -> "Iterator[Cluster]":
    """The cluster of KUBECONFIG; without one the test fails and says what to do."""
    # Imported here: the client of Kubernetes takes a second, which other tests do not have to wait for.
    from tests.kubernetes.cluster import opened_cluster

    with opened_cluster() as found:
        yield found
