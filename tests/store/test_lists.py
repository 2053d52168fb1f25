"""Lists: what filters find, the order of pages, and that an index answers, however long the list is."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from penstock_server.model.query import (
    And,
    Comparison,
    Filter,
    Not,
    Operator,
    Or,
    Order,
    Page,
    Scalar,
)
from penstock_server.model.resources import Run
from penstock_server.store import experiments, kfp_runs, pipelines, run_views, runs, tasks
from penstock_server.store.database import Connection, Database
from tests import factories

NAME = "namespaces/default"
EQ, NE, HAS, LESS = Operator.EQUAL, Operator.NOT_EQUAL, Operator.HAS, Operator.LESS
ARCHIVED = Comparison("archive_time", HAS, "*")
FOUND: list[tuple[Filter, set[str]]] = [
    (Comparison("name", EQ, f"{NAME}/runs/b"), {"b"}),
    (Comparison("name", EQ, f"{NAME}/runs/b/"), set()),
    (Comparison("name", EQ, "namespaces/other/runs/b"), set()),
    (Comparison("name", EQ, "*/b"), {"b"}),
    (Comparison("name", NE, f"{NAME}/runs/b"), {"a", "c", "d"}),
    (Comparison("display_name", HAS, "50%"), {"b"}),
    (Comparison("display_name", EQ, "*0% done"), {"b"}),
    (Comparison("display_name", EQ, "Train*"), {"a", "d"}),
    (Comparison("display_name", EQ, "*"), {"a", "b", "c", "d"}),
    (Comparison("display_name", Operator.GREATER, "Train"), {"a", "d"}),
    (Comparison("labels.team", EQ, "vision"), {"a", "b"}),
    (Comparison("labels.team", EQ, "vis*"), {"a", "b"}),
    (Comparison("labels.team", NE, "vision"), {"c", "d"}),
    (Comparison("labels.team", HAS, "*"), {"a", "b", "c"}),
    (Comparison("labels.a.b/c", EQ, "x y"), {"c"}),
    (Comparison("labels", HAS, "team"), {"a", "b", "c"}),
    (Comparison("labels", HAS, "*"), {"a", "b", "c"}),
    (Comparison("experiment", EQ, f"{NAME}/experiments/e"), {"d"}),
    (Comparison("experiment", NE, f"{NAME}/experiments/e"), {"a", "b", "c"}),
    (Comparison("experiment", EQ, f"{NAME}/experiments/none"), set()),
    (Comparison("pipeline", EQ, f"{NAME}/pipelines/p"), {"c", "d"}),
    (Comparison("pipeline", EQ, ""), {"a", "b"}),
    (Comparison("pipeline", HAS, "*"), {"c", "d"}),
    (Comparison("pipeline_version", EQ, f"{NAME}/pipelines/p/versions/2"), {"d"}),
    (Comparison("state", EQ, "FAILED"), {"b"}),
    (Comparison("end_time", HAS, "*"), {"b"}),
    (Comparison("create_time", LESS, datetime(2026, 1, 3, tzinfo=UTC)), {"a", "b"}),
    (ARCHIVED, {"c"}),
    (Not(ARCHIVED), {"a", "b", "d"}),
    (Or((Comparison("state", EQ, "FAILED"), Comparison("labels.team", EQ, "audio"))), {"b", "c"}),
    (And((Comparison("labels.team", EQ, "vision"), Not(Comparison("state", EQ, "FAILED")))), {"a"}),
    (Comparison("display_name", EQ, "'; DROP TABLE run; --"), set()),
    (Comparison("labels.') OR true --", EQ, "x"), set()),
    (Comparison("labels.%(namespace)s {}", HAS, "%s {0}"), set()),
]
ORDERS: list[tuple[tuple[Order, ...], str]] = [
    ((), "dcba"),
    ((Order("name"),), "abcd"),
    ((Order("name", True),), "dcba"),
    ((Order("display_name"),), "cbad"),
    ((Order("display_name", True), Order("create_time")), "dabc"),
    ((Order("create_time"),), "abcd"),
    ((Order("end_time"), Order("name", True)), "bdca"),
    ((Order("start_time", True), Order("name")), "acdb"),
]


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    """Four runs: `a` to `d`, one a day."""
    async with database.transaction() as connection:
        await experiments.insert(connection, "default", "e", display_name="", description="", labels={})
    await factories.insert_run(database, id="a", display_name="Train 1", labels={"team": "vision"})
    await factories.insert_run(database, id="b", display_name="50% done", labels={"team": "vision"})
    of_p: dict[str, Any] = {"pipeline_id": "p", "pipeline_version": 1}
    labels = {"team": "audio", "a.b/c": "x y"}
    await factories.insert_run(database, id="c", display_name="5 of 9", labels=labels, **of_p)
    of_p = {"pipeline_id": "p", "pipeline_version": 2}
    await factories.insert_run(database, id="d", display_name="Train 2", experiment_id="e", **of_p)
    async with database.connection() as connection:
        await connection.execute("UPDATE run SET create_time = make_timestamptz(2026, 1, ascii(id) - 96, 0, 0, 0)")
        await connection.execute("UPDATE run SET archive_time = now() WHERE id = 'c'")
        failed = "UPDATE run SET state = 'FAILED', start_time = now(), end_time = now() WHERE id = 'b'"
        await connection.execute(failed)
        yield connection


async def listed(connection: Connection, size: int, order: tuple[Order, ...]) -> list[Run]:
    """The whole list, page by page."""
    found: list[Run] = []
    after: tuple[Scalar, ...] | None = None
    while True:
        rows = await runs.list_page(connection, "default", Page(size, order=order, after=after))
        assert len(rows.items) <= size
        found += rows.items
        after = rows.next
        if after is None:
            return found


def ids(found: Sequence[Run]) -> str:
    return "".join(run.id for run in found)


@pytest.mark.parametrize(("condition", "expected"), FOUND)
async def test_a_filter_finds_what_it_asks_for(connection: Connection, condition: Filter, expected: set[str]) -> None:
    rows = await runs.list_page(connection, "default", Page(10, condition))
    assert {run.id for run in rows.items} == expected
    rest = await runs.list_page(connection, "default", Page(10, Not(condition)))
    assert {run.id for run in rest.items} == set("abcd") - expected


@pytest.mark.parametrize("size", [1, 3, 4])
@pytest.mark.parametrize(("order", "expected"), ORDERS)
async def test_pages_follow_one_another_in_order(
    connection: Connection, order: tuple[Order, ...], expected: str, size: int
) -> None:
    assert ids(await listed(connection, size, order)) == expected


async def test_rows_that_are_equal_in_the_order_are_neither_lost_nor_repeated(database: Database) -> None:
    made = {(await factories.insert_run(database, display_name="same")).id for _ in range(7)}
    async with database.connection() as connection:
        found = await listed(connection, 2, (Order("display_name", True), Order("end_time")))
    assert len(found) == len(made)
    assert {run.id for run in found} == made


async def test_a_list_shows_one_namespace(connection: Connection) -> None:
    assert (await runs.list_page(connection, "other", Page(10))).items == ()


async def test_runs_are_picked_by_uid_and_filter(connection: Connection) -> None:
    found = await listed(connection, 10, ())
    uids = [run.uid for run in found if run.id != "a"]
    condition = Comparison("labels.team", EQ, "vision")
    views = await run_views.of_uids(connection, "default", uids, condition)
    assert [view.run.id for view in views.values()] == ["b"]


SCALE: list[tuple[str, Page]] = [
    ("the default", Page(50)),
    ("a later page", Page(50, after=(datetime(2026, 1, 1, tzinfo=UTC), "0" * 32))),
    *((f"order {name}", Page(50, order=(Order(name),))) for name in sorted(runs.LISTING.orders)),
    *((f"order {name} desc", Page(50, order=(Order(name, True),))) for name in sorted(runs.LISTING.orders)),
    ("a rare state", Page(50, Comparison("state", EQ, "PENDING"))),
    ("a state that none is in", Page(50, Comparison("state", EQ, "CANCELLED"))),
    ("experiment", Page(50, Comparison("experiment", EQ, f"{NAME}/experiments/e"))),
    ("pipeline", Page(50, Comparison("pipeline", EQ, f"{NAME}/pipelines/p"))),
    ("name", Page(50, Comparison("name", EQ, f"{NAME}/runs/bulk-7"))),
    ("label", Page(50, Comparison("labels.team", EQ, "t7"))),
]


REPETITIONS = 8
"""So often until Postgres may have settled for a plan."""
READ_ROWS_MAX = 200
"""A page of 50 may read so many rows of the run table."""


async def test_a_page_reads_few_rows_of_a_long_list(database: Database) -> None:
    async with database.transaction() as connection:
        for name in ("e", "f"):
            await experiments.insert(connection, "default", name, display_name="", description="", labels={})
    await factories.insert_run(database, id="first")
    async with database.connection() as connection:
        await connection.execute(BULK)
        await connection.execute("ANALYZE run")
        for what, page in SCALE:
            for _ in range(REPETITIONS):
                before = await rows_read(connection)
                await runs.list_page(connection, "default", page)
                assert await rows_read(connection) - before <= READ_ROWS_MAX, what


async def test_a_prepared_page_of_kfps_reads_few_rows_of_a_long_list(database: Database) -> None:
    """Its plan is made for the namespace or the experiment at hand also where the statement is an old one."""
    async with database.transaction() as connection:
        await experiments.insert(connection, "default", "f", display_name="", description="", labels={})
    await factories.insert_run(database, id="first")
    async with database.connection() as connection:
        await connection.execute(BULK)
        await connection.execute("ANALYZE run")
        of_all: dict[str, object] = {"namespace": "default", "experiment_uid": None}
        of_one = of_all | {"experiment_uid": (await experiments.get(connection, "default", "f")).uid}
        for scope in (of_all, of_one, {**of_one, "namespace": None}) * REPETITIONS:
            after: tuple[Scalar, ...] | None = None
            for _ in range(2):
                before = await rows_read(connection)
                page = Page(50, order=(Order("created_at", True),), after=after)
                after = (await kfp_runs.LISTING.page(connection, page, scope, with_total=True)).next
                assert await rows_read(connection) - before <= READ_ROWS_MAX, scope
        found = await connection.execute("SELECT FROM pg_prepared_statements WHERE statement LIKE 'SELECT page.%'")
        assert await found.fetchall()


BULK = """
    INSERT INTO run (
        uid, namespace, id, experiment_uid, spec_digest, state, display_name, labels, create_time, start_time, end_time
    )
    SELECT gen_random_uuid(), run.namespace, 'bulk-' || n, experiment.uid, run.spec_digest, 'SUCCEEDED',
        'Run ' || n, jsonb_build_object('team', 't' || n % 1000), now() - n * interval '1 s', now(), now()
    FROM run, generate_series(1, 20000) AS n, experiment
    WHERE experiment.id = CASE n % 2 WHEN 0 THEN 'default' ELSE 'f' END
"""
"""20,000 runs in two experiments."""


async def rows_read(connection: Connection) -> int:
    """Rows of the run table that this session has read in all."""
    await connection.execute("SELECT pg_stat_force_next_flush()")
    cursor = await connection.execute(
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'run'"
    )
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def test_other_lists_take_every_order_they_offer(database: Database) -> None:
    run = await factories.insert_run(database)
    async with database.connection() as connection:
        for name in experiments.LISTING.orders:
            await experiments.list_page(connection, "default", Page(5, order=(Order(name),)))
        for name in pipelines.LISTING.orders:
            await pipelines.list_page(connection, "default", Page(5, order=(Order(name),)))
        for name in tasks.LISTING.orders:
            rows = await tasks.list_page(connection, run.uid, Page(5, order=(Order(name, True),)))
            assert [task.id for task in rows.items] == ["root"]
