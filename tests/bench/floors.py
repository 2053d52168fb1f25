"""The floors of the cost targets (design section 9), measured on the same machine and Postgres as what is compared.

F, the floor of a step: one fork and exec of the step's command and two committed transactions. Z: the same with a fork
of a Python that has the KFP executor loaded in place of the exec, whose child runs a component.
"""

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg

TABLE = "CREATE TABLE IF NOT EXISTS bench_floor (id bigserial PRIMARY KEY, state text NOT NULL, note text)"


def prepare(dsn: str) -> None:
    """Make the table that the floors write to."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(TABLE)


def step_floor_s(dsn: str, command: Sequence[str], *, count: int, at_once: int = 1) -> float:
    """Seconds a step when `count` of them run `at_once` side by side, each a process and two commits."""

    def one(connection: psycopg.Connection) -> None:
        _commits(connection, lambda: subprocess.run(command, check=True))

    return _timed(dsn, one, count=count, at_once=at_once)


@dataclass(frozen=True, slots=True)
class LoadedPython:
    """What Z forks; see `loaded_python`."""

    python: Path
    """The interpreter of a step environment with kfp."""
    source: str
    """The component that its children run."""
    folder: Path
    """Theirs to work in, empty."""


def component_floor_s(dsn: str, loaded: LoadedPython, *, count: int) -> float:
    """Z: seconds a step when each forks a loaded Python whose child runs the component, and commits twice."""
    program = Path(__file__).with_name("loaded_python.py")
    command = [str(loaded.python), str(program), str(loaded.folder), loaded.source]
    environ = {"PATH": os.environ["PATH"], "_KFP_RUNTIME": "true"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=environ) as python:
        asked, answers = python.stdin, python.stdout
        assert asked is not None
        assert answers is not None

        def step() -> None:
            asked.write(b".")
            assert answers.read(1) == b"."

        return _timed(dsn, lambda connection: _commits(connection, step), count=count, at_once=1)


def fork_floor_s(dsn: str, *, count: int) -> float:
    """Seconds a step when each forks this Python, whose child ends at once, and commits twice."""

    def child() -> None:
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0

    return _timed(dsn, lambda connection: _commits(connection, child), count=count, at_once=1)


def _commits(connection: psycopg.Connection, work: Callable[[], object]) -> None:
    with connection.transaction():
        row = connection.execute(
            "INSERT INTO bench_floor (state, note) VALUES ('RUNNING', 'x') RETURNING id"
        ).fetchone()
    assert row is not None
    work()
    with connection.transaction():
        connection.execute("UPDATE bench_floor SET state = 'SUCCEEDED' WHERE id = %s", row)


def _timed(dsn: str, one: Callable[[psycopg.Connection], None], *, count: int, at_once: int) -> float:
    connections = [psycopg.connect(dsn, autocommit=True) for _ in range(at_once)]
    try:
        for connection in connections:
            one(connection)

        def share(connection: psycopg.Connection) -> None:
            for _ in range(count // at_once):
                one(connection)

        start = time.perf_counter()
        if at_once == 1:
            share(connections[0])
        else:
            with ThreadPoolExecutor(at_once) as threads:
                list(threads.map(share, connections))
        return (time.perf_counter() - start) / (count // at_once * at_once)
    finally:
        for connection in connections:
            connection.close()
