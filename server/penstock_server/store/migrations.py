"""Brings a database to the schema of this version.

Each file of `migrations/` is applied once, in order, in a transaction of its own that also notes it down: a kill at any
statement leaves whole files behind, and the next call goes on. An advisory lock lets one migrate at a time.
"""

import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import LiteralString

import psycopg

from penstock_server.store.failures import translated

_FILE = re.compile(r"\d{4}_\w+\.sql")
_LOCK = 7_306_861_301
_TABLE: LiteralString = """
CREATE TABLE IF NOT EXISTS schema_migration (
    name text CONSTRAINT schema_migration_pkey PRIMARY KEY,
    apply_time timestamptz NOT NULL DEFAULT now()
)
"""


async def migrate(dsn: str) -> list[str]:
    """Apply what is missing and return the names of the files applied. Safe to repeat and to run twice at once."""
    with translated():
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, connect_timeout=5) as connection:
            await connection.execute("SET client_min_messages = warning")
            await connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
            await connection.execute(_TABLE)
            missing = await _missing(connection)
            for file in missing:
                async with connection.transaction():
                    await connection.execute(_text(file))
                    await connection.execute("INSERT INTO schema_migration (name) VALUES (%s)", [file.name])
            return [file.name for file in missing]


async def pending(dsn: str) -> list[str]:
    """The names of the files that `migrate` would apply."""
    with translated():
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, connect_timeout=5) as connection:
            cursor = await connection.execute("SELECT to_regclass('schema_migration') IS NULL")
            row = await cursor.fetchone()
            if row is not None and row[0]:
                return [file.name for file in all_files()]
            return [file.name for file in await _missing(connection)]


def all_files() -> list[Traversable]:
    """Every migration, in order: of the installed package, or of the repository it is run from."""
    packaged = files("penstock_server.store").joinpath("migrations")
    folder: Traversable = packaged if packaged.is_dir() else Path(__file__).parents[3] / "migrations"
    return sorted((f for f in folder.iterdir() if _FILE.fullmatch(f.name)), key=lambda f: f.name)


async def _missing(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> list[Traversable]:
    cursor = await connection.execute("SELECT name FROM schema_migration")
    applied = {row[0] for row in await cursor.fetchall()}
    return [file for file in all_files() if file.name not in applied]


def _text(file: Traversable) -> LiteralString:
    # The files are part of this program, as literal as if they stood in the code.
    return file.read_text()
