"""What pods reach on the machine that tests: its address, and a Postgres."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from penstock_server.store import embedded
from tests.conftest import process_wait
from tests.kubernetes.kubectl import read

STOP_TIMEOUT_S = 30


def address() -> str:
    """The address at which pods reach this machine: the one on their node's side, or what PENSTOCK_TEST_HOST says."""
    if given := os.environ.get("PENSTOCK_TEST_HOST"):
        return given
    told = read("nodes")["items"][0]["status"]["addresses"]
    node = next(each["address"] for each in told if each["type"] == "InternalIP")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((node, 9))  # sends nothing
        return str(probe.getsockname()[0])


@contextmanager
def postgres(host: str) -> Iterator[str]:
    """A Postgres of its own that listens on `host` and asks for a password; the URL of an empty database."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-test-"))
    port = free_port(host)
    process = _start(folder, host, port)
    try:
        password = secrets.token_urlsafe()
        with _connected(folder, port, process) as by:
            by.execute(sql.SQL("ALTER ROLE penstock PASSWORD {}").format(sql.Literal(password)))
            by.execute("CREATE DATABASE penstock")
        yield f"postgresql://penstock:{password}@{host}:{port}/penstock"
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(STOP_TIMEOUT_S)
        shutil.rmtree(folder)


def free_port(host: str) -> int:
    """A port that nobody listens on just now."""
    with socket.create_server((host, 0)) as listener:
        return int(listener.getsockname()[1])


def _start(folder: Path, host: str, port: int) -> "subprocess.Popen[bytes]":
    data = folder / "data"
    data.mkdir(mode=0o700)
    for each in (folder, data):
        embedded._hand_over(each)
    before = embedded._unprivileged()
    initdb = [embedded._binary("initdb"), "-D", str(data), "-U", "penstock", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run([*before, *initdb, "--locale=C.UTF-8"], check=True, cwd="/", stdout=subprocess.DEVNULL)
    (data / "pg_hba.conf").write_text("local all all trust\nhost all all all scram-sha-256\n")
    options = ("fsync=off", f"listen_addresses={host}", f"port={port}", "max_connections=200")
    command = [embedded._binary("postgres"), "-D", str(data), "-k", str(folder)]
    command += [part for option in options for part in ("-c", option)]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen([*before, *command], cwd="/", stdout=log, stderr=log)


def _connected(folder: Path, port: int, process: "subprocess.Popen[bytes]") -> psycopg.Connection[tuple[object, ...]]:
    """A connection as its owner, once it takes any."""
    while True:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            return psycopg.connect(f"postgresql://penstock@/postgres?host={folder}&port={port}", autocommit=True)
        except psycopg.OperationalError:
            process_wait(process, 0.05)
