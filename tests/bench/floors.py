"""The floors of the cost targets (design section 9), measured on the same machine and Postgres as what is compared.

F, the floor of a step: one fork and exec of the step's command and two committed transactions. Z: the same with a fork
of a Python that has everything loaded in place of the exec.
"""

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

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


def fork_floor_s(dsn: str, body: Callable[[], None], *, count: int) -> float:
    """Z: seconds a step when each forks this Python, runs `body` in the child and commits twice."""

    def one(connection: psycopg.Connection) -> None:
        def child() -> None:
            pid = os.fork()
            if pid == 0:
                status = 1
                try:
                    body()
                    status = 0
                finally:
                    os._exit(status)
            _, status = os.waitpid(pid, 0)
            assert status == 0

        _commits(connection, child)

    return _timed(dsn, one, count=count, at_once=1)


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
