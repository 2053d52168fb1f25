"""Migrations: what they make, that they may be repeated, cut short and run twice at once."""

import asyncio
import re

import psycopg
import pytest

from penstock_server.model.errors import Unavailable
from penstock_server.store.migrations import all_files, migrate, pending
from tests.store.schema_dump import FILE, schema_of

NAMES = [file.name for file in all_files()]


async def test_all_files_together_make_the_schema_in_schema_sql(empty_dsn: str) -> None:
    await migrate(empty_dsn)
    assert schema_of(empty_dsn) == FILE.read_text()


async def test_schema_sql_makes_the_same_schema(empty_dsn: str) -> None:
    async with await psycopg.AsyncConnection.connect(empty_dsn, autocommit=True) as connection:
        await connection.execute(FILE.read_bytes())
    assert schema_of(empty_dsn) == FILE.read_text()


async def test_the_second_time_there_is_nothing_to_do(empty_dsn: str) -> None:
    assert await pending(empty_dsn) == NAMES
    assert await migrate(empty_dsn) == NAMES
    assert await migrate(empty_dsn) == []
    assert await pending(empty_dsn) == []


async def test_of_several_at_once_each_file_is_applied_by_one(empty_dsn: str) -> None:
    applied = await asyncio.gather(*(migrate(empty_dsn) for _ in range(4)))
    assert sorted(name for names in applied for name in names) == NAMES


@pytest.mark.parametrize("statement", range(2, 60, 6))
async def test_a_migration_cut_at_any_statement_goes_on_later(empty_dsn: str, statement: int) -> None:
    await cut_after(empty_dsn, statement)
    await migrate(empty_dsn)
    assert schema_of(empty_dsn) == FILE.read_text()


async def test_an_unreachable_database_is_told() -> None:
    with pytest.raises(Unavailable):
        await migrate("postgresql://nobody@/nothing?host=/nowhere")


@pytest.mark.parametrize("file", all_files(), ids=NAMES)
def test_a_file_says_why_and_limits_its_waiting(file: object) -> None:
    text = file.read_text()  # type: ignore[attr-defined]  # a file of the package or of the folder
    assert re.match(r"-- [A-Z].+\.\n", text)
    assert "SET LOCAL lock_timeout" in text
    assert "SET LOCAL statement_timeout" in text


async def cut_after(dsn: str, count: int) -> None:
    """Migrate until `count` tables, indexes and constraints stand, then lose the connection."""
    trap = """
        CREATE FUNCTION trap() RETURNS event_trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace) >= {} THEN
                PERFORM pg_terminate_backend(pg_backend_pid());
            END IF;
        END $$;
        CREATE EVENT TRIGGER trap ON ddl_command_end EXECUTE FUNCTION trap();
    """
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute(trap.format(count).encode())
        try:
            with pytest.raises(Unavailable):
                await migrate(dsn)
        finally:
            await connection.execute("DROP EVENT TRIGGER trap; DROP FUNCTION trap()")
