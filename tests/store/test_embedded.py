"""The embedded Postgres: kept alive, never shared, and whole after any kill."""

import asyncio
import os
import signal
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from penstock_server.model.errors import FailedPrecondition
from penstock_server.store.embedded import SOCKET_PATH_MAX, EmbeddedPostgres, lock_folder

BOUND_S = 30.0
HOLDER = """
import asyncio, sys
from pathlib import Path
from penstock_server.store.embedded import EmbeddedPostgres

async def hold():
    postgres = EmbeddedPostgres(Path(sys.argv[1]))
    print(await postgres.start(), postgres._process.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(hold())
"""

WRITER = """
import contextlib, itertools, os, sys
for number in itertools.count():
    os.makedirs(sys.argv[1], exist_ok=True)
    with contextlib.suppress(FileNotFoundError), open(f"{sys.argv[1]}/{number % 100}", "w"):
        pass
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for nobody but this user, with a short path."""
    with tempfile.TemporaryDirectory(prefix="penstock-") as name:
        yield Path(name)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[EmbeddedPostgres]:
    postgres = EmbeddedPostgres(folder)
    await postgres.start()
    try:
        yield postgres
    finally:
        await postgres.close()
        await postgres.close()


async def ask(dsn: str, statement: str) -> object:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        cursor = await connection.execute(statement.encode())
        return (await cursor.fetchall())[0][0] if cursor.description else None


async def answers(dsn: str, statement: str) -> object:
    """What the database says, once it answers."""
    async with asyncio.timeout(BOUND_S):
        while True:
            try:
                return await ask(dsn, statement)
            except psycopg.OperationalError:
                await asyncio.sleep(0.02)


async def until(is_so: Callable[[], bool]) -> None:
    """Return once another process has made it so."""
    async with asyncio.timeout(BOUND_S):
        while not is_so():
            await asyncio.sleep(0.005)


async def there_is(path: Path) -> None:
    """Return once another process has made the path."""
    await until(path.exists)


async def test_what_was_written_is_there_after_a_stop_and_a_start(folder: Path) -> None:
    async with running(folder) as postgres:
        await ask(postgres.dsn, "CREATE TABLE kept AS SELECT 7 AS number")
        assert await ask(postgres.dsn, "SHOW listen_addresses") == ""
    async with running(folder) as postgres:
        assert await ask(postgres.dsn, "SELECT number FROM kept") == 7


async def test_one_that_dies_is_started_again_with_all_that_was_committed(folder: Path) -> None:
    async with running(folder) as postgres:
        await ask(postgres.dsn, "CREATE TABLE kept AS SELECT 7 AS number")
        for _ in range(3):
            assert postgres._process is not None
            os.kill(postgres._process.pid, signal.SIGKILL)
            await postgres._process.wait()
            assert await answers(postgres.dsn, "SELECT number FROM kept") == 7


async def test_a_folder_in_use_is_refused(folder: Path) -> None:
    async with running(folder) as postgres:
        with pytest.raises(FailedPrecondition) as raised:
            await EmbeddedPostgres(folder).start()
        assert raised.value.reason == "DATA_DIR_IN_USE"
        assert await ask(postgres.dsn, "SELECT 1") == 1


async def test_a_folder_that_cannot_be_one_is_refused(folder: Path) -> None:
    (folder / "file").touch()
    with pytest.raises(FailedPrecondition) as raised:
        await EmbeddedPostgres(folder / "file").start()
    assert raised.value.reason == "DATA_DIR_UNUSABLE"


async def test_a_path_too_long_for_a_socket_is_no_hindrance(folder: Path) -> None:
    long = folder / ("x" * SOCKET_PATH_MAX) / "data"
    async with running(long) as postgres:
        assert await ask(postgres.dsn, "SELECT 1") == 1
        socket_dir = postgres._socket_dir
    assert socket_dir is not None
    assert not socket_dir.exists()


async def test_a_server_killed_while_it_serves_leaves_a_folder_that_starts(folder: Path) -> None:
    for count in range(3):
        dsn, _ = await start_and_kill(folder, "CREATE TABLE IF NOT EXISTS kept AS SELECT 7 AS number")
        assert dsn, count
    async with running(folder) as postgres:
        assert await ask(postgres.dsn, "SELECT number FROM kept") == 7


async def test_a_postgres_that_was_left_behind_is_stopped_first(folder: Path) -> None:
    holder, _, pid = await start_holder(folder)
    os.kill(pid, signal.SIGSTOP)
    await kill(holder)
    os.kill(pid, signal.SIGCONT)
    async with running(folder) as postgres:
        assert await ask(postgres.dsn, "SELECT 1") == 1
        assert postgres._process is not None
        assert postgres._process.pid != pid


async def test_a_kill_while_the_folder_is_made_leaves_one_that_starts(folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDER, str(folder / "data"))
    await until(lambda: any((folder / "data").glob("postgres.new*")))
    await kill(process)
    async with running(folder / "data") as postgres:
        assert await ask(postgres.dsn, "SELECT 1") == 1


async def test_what_a_killed_server_has_started_may_go_on_making_its_folder(folder: Path) -> None:
    (folder / "data" / "postgres.new").mkdir(parents=True)
    writing = await asyncio.create_subprocess_exec(sys.executable, "-c", WRITER, str(folder / "data" / "postgres.new"))
    try:
        await there_is(folder / "data" / "postgres.new" / "0")
        async with running(folder / "data") as postgres:
            assert await ask(postgres.dsn, "SELECT 1") == 1
        assert writing.returncode is None
    finally:
        await kill(writing)


def test_a_lock_that_what_is_left_of_a_killed_server_gives_back_is_waited_for(folder: Path) -> None:
    held = lock_folder(folder)
    threading.Timer(0.1, held.close).start()
    lock_folder(folder).close()


async def test_the_log_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock_server.store.embedded.LOG_SIZE_MAX", 10)
    (folder / "postgres.log").write_text("x" * 11)
    async with running(folder):
        assert (folder / "postgres.log.1").read_text() == "x" * 11


async def start_holder(folder: Path) -> tuple[asyncio.subprocess.Process, str, int]:
    """A process that runs the embedded Postgres; with the DSN and the pid of Postgres."""
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, str(folder), stdout=asyncio.subprocess.PIPE
    )
    assert holder.stdout is not None
    dsn, pid = (await asyncio.wait_for(holder.stdout.readline(), BOUND_S)).decode().split()
    return holder, dsn, int(pid)


async def start_and_kill(folder: Path, statement: str) -> tuple[str, int]:
    holder, dsn, pid = await start_holder(folder)
    await ask(dsn, statement)
    await kill(holder)
    return dsn, pid


async def kill(process: asyncio.subprocess.Process) -> None:
    process.kill()
    await process.wait()
    if process.stdout is not None:
        await process.stdout.read()
