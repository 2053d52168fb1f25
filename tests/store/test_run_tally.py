"""The tally of runs is what counting them says, whatever is done to them and by however many at once."""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable

import pytest

from penstock_server.model.query import And, Comparison, Filter, Not, Operator, Or, Page
from penstock_server.store import experiments, kfp_runs
from penstock_server.store.database import Connection, Database
from tests import factories

ARCHIVED = Comparison("archive_time", Operator.HAS, "*")
COUNTED = (
    "SELECT count(*) FROM run WHERE delete_request_time IS NULL AND (%(namespace)s::text IS NULL OR"
    " namespace = %(namespace)s) AND (%(experiment_uid)s::uuid IS NULL OR experiment_uid = %(experiment_uid)s)"
)
CONDITIONS: list[tuple[Filter | None, str]] = [
    (None, "true"),
    (ARCHIVED, "archive_time IS NOT NULL"),
    (Not(ARCHIVED), "archive_time IS NULL"),
    (Or((ARCHIVED, Not(ARCHIVED))), "true"),
    (And((ARCHIVED, Not(ARCHIVED))), "false"),
    (Comparison("namespace", Operator.EQUAL, "default", literal=True), "namespace = 'default'"),
]

Change = Callable[[Connection], Awaitable[object]]


async def check(database: Database) -> None:
    """Compare all that the tally tells with what is there."""
    async with database.connection() as connection:
        found = await (await connection.execute("SELECT uid FROM experiment")).fetchall()
        for uid in (None, *(row[0] for row in found)):
            scope = {"namespace": "default", "experiment_uid": uid}
            for condition, written in CONDITIONS:
                told = await kfp_runs.LISTING.count(connection, condition, scope)
                row = await (await connection.execute(f"{COUNTED} AND {written}".encode(), scope)).fetchone()
                assert row == (told,), (uid, written)
                rows = await kfp_runs.LISTING.page(connection, Page(1, condition), scope, with_total=True)
                assert rows.total == (told if rows.items else None), (uid, written)


def statement(text: str) -> Change:
    """Does what `text` says."""

    async def change(connection: Connection) -> object:
        return await connection.execute(text.encode())

    return change


ONE = "(SELECT uid FROM run ORDER BY random() LIMIT 1)"
SOME = "(SELECT uid FROM run ORDER BY uid LIMIT 5)"
COPIED = """
INSERT INTO run (uid, namespace, id, experiment_uid, spec_digest, archive_time)
SELECT gen_random_uuid(), 'default', 'r' || gen_random_uuid(), (SELECT uid FROM experiment ORDER BY random() LIMIT 1),
    (SELECT spec_digest FROM run LIMIT 1), CASE WHEN random() < 0.3 THEN now() END
FROM generate_series(1, 7)
"""
CHANGES: dict[str, Change] = {
    "make": statement(COPIED),
    "archive": statement(f"UPDATE run SET archive_time = now() WHERE uid IN {SOME}"),
    "unarchive": statement(f"UPDATE run SET archive_time = NULL WHERE uid = {ONE}"),
    "ask to delete": statement(f"UPDATE run SET delete_request_time = now() WHERE uid = {ONE}"),
    "delete": statement(f"DELETE FROM run WHERE uid = {ONE} AND (SELECT count(*) FROM run) > 3"),
    "move": statement(
        f"UPDATE run SET experiment_uid = (SELECT uid FROM experiment ORDER BY random() LIMIT 1) WHERE uid IN {SOME}"
    ),
    "leave": statement(f"UPDATE run SET description = 'x', archive_time = archive_time WHERE uid IN {SOME}"),
}


@pytest.fixture
async def worked(database: Database) -> Database:
    """A database with three experiments and a run."""
    async with database.transaction() as connection:
        for id in ("one", "other"):
            await experiments.insert(connection, "default", id, display_name="", description="", labels={})
    await factories.insert_run(database)
    return database


@pytest.mark.parametrize("name", CHANGES)
async def test_every_change_is_tallied(worked: Database, name: str) -> None:
    async with worked.transaction() as connection:
        await CHANGES["make"](connection)
        await CHANGES[name](connection)
    await check(worked)


async def test_what_is_rolled_back_is_not_tallied(worked: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with worked.transaction() as connection:
            await CHANGES["make"](connection)
            raise ZeroDivisionError
    await check(worked)


async def test_changes_made_at_once_are_all_tallied_and_folded(worked: Database) -> None:
    """One transaction in five is taken back."""

    async def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(60):
            async with worked.connection() as connection:
                await connection.execute("BEGIN")
                await CHANGES["make"](connection)
                await CHANGES["make"](connection)
                await connection.execute("ROLLBACK" if chance.random() < 0.2 else "COMMIT")

    await asyncio.gather(*(work(seed) for seed in range(6)))
    for name in list(CHANGES) * 20:
        async with worked.connection() as connection:
            await CHANGES[name](connection)
    await check(worked)
    async with worked.connection() as connection:
        row = await (await connection.execute("SELECT count(*), max(id) FROM run_tally")).fetchone()
    assert row is not None
    assert row[0] < 600 < row[1], row


async def test_an_emptied_table_has_an_empty_tally(worked: Database) -> None:
    async with worked.connection() as connection:
        await connection.execute("TRUNCATE run CASCADE")
    await check(worked)


async def test_a_filter_that_the_tally_cannot_tell_is_counted(worked: Database) -> None:
    scope = {"namespace": "default", "experiment_uid": None}
    async with worked.connection() as connection:
        await CHANGES["make"](connection)
        named = Comparison("run_id", Operator.EQUAL, str(uuid.uuid4()), literal=True)
        assert await kfp_runs.LISTING.count(connection, named, scope) == 0
        assert await kfp_runs.LISTING.count(connection, Not(named), scope) == 8
        rows = await kfp_runs.LISTING.page(connection, Page(1, Not(named)), scope, with_total=True)
        assert (len(rows.items), rows.total) == (1, None)
