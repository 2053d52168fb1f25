"""Lists of a thousand runs read page by page while others make and delete runs."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from penstock.kfp.v2beta1 import run_pb2 as pb
from tests.compat.serving import KfpSite
from tests.compat.test_runs import body

RUNS = 1_000
PASSING = 100
"""Runs that are there at the beginning and are deleted on the way."""
COPY = """
INSERT INTO run (uid, namespace, id, experiment_uid, spec_digest, display_name, description, state, create_time,
    start_time, end_time)
SELECT gen_random_uuid(), namespace, prefix || n, experiment_uid, spec_digest, 'run ' || mod(n, 7),
    repeat('d', mod(n, 5)),
    CASE WHEN mod(n, 3) = 0 THEN 'SUCCEEDED' ELSE 'PENDING' END, create_time + mod(n, 11) * interval '1 second',
    CASE WHEN mod(n, 3) = 0 THEN now() END, CASE WHEN mod(n, 3) = 0 THEN now() END
FROM run, generate_series(1, %(count)s) AS n, (SELECT %(prefix)s::text AS prefix) AS named
WHERE id = 'first'
"""
Turn = Callable[[KfpSite, str, str], Awaitable[tuple[list[str], str]]]
"""Asks for a page with an order and a token: its ids, and the next token."""


async def by_rest(kfp: KfpSite, sort_by: str, token: str) -> tuple[list[str], str]:
    query = {"page_token": token, "page_size": 23, "sort_by": sort_by}
    answer = await kfp.ask("GET", "/runs", query=query)
    assert answer.status == 200, answer.body
    return [run["run_id"] for run in answer.body["runs"]], answer.body.get("next_page_token", "")


async def by_grpc(kfp: KfpSite, sort_by: str, token: str) -> tuple[list[str], str]:
    page = await kfp.runs.ListRuns(pb.ListRunsRequest(page_token=token, page_size=23, sort_by=sort_by))
    return [run.run_id for run in page.runs], page.next_page_token


async def first(kfp: KfpSite) -> None:
    """The run that all others are copies of."""
    made = await kfp.ask("POST", "/runs", body())
    async with kfp.database.connection() as connection:
        await connection.execute("UPDATE run SET id = 'first' WHERE uid = %s", [made.body["run_id"]])


async def insert(kfp: KfpSite, prefix: str, count: int) -> None:
    async with kfp.database.connection() as connection:
        await connection.execute(COPY.encode(), {"prefix": prefix, "count": count})


async def uids(kfp: KfpSite, pattern: str) -> set[str]:
    async with kfp.database.connection() as connection:
        rows = await connection.execute("SELECT uid::text FROM run WHERE id LIKE %s", [pattern])
        return {row[0] for row in await rows.fetchall()}


@asynccontextmanager
async def others_at_work(kfp: KfpSite) -> AsyncIterator[Callable[[], int]]:
    """Others make runs and delete some of those that are meant for it; tells how often they did."""
    over, rounds = asyncio.Event(), 0

    async def work() -> None:
        nonlocal rounds
        chance = random.Random(5)
        while not over.is_set():
            rounds += 1
            await insert(kfp, f"new-{rounds}-", 5)
            async with kfp.database.connection() as connection:
                of = chance.choice(["passing-%", "new-%"])
                await connection.execute("DELETE FROM run WHERE id LIKE %s AND random() < 0.1", [of])

    worker = asyncio.ensure_future(work())
    try:
        yield lambda: rounds
    finally:
        over.set()
        await worker


@pytest.mark.slow
@pytest.mark.parametrize("turn", [by_rest, by_grpc])
async def test_a_walk_sees_no_run_twice_and_misses_none_that_was_there_all_along(kfp: KfpSite, turn: Turn) -> None:
    await first(kfp)
    await insert(kfp, "staying-", RUNS)
    staying = await uids(kfp, "staying-%")
    orders = ("", "created_at desc", "name", "display_name desc", "state", "status desc", "description", "id desc")
    for sort_by in (*orders, "finished_at", "scheduled_at desc", "storage_state", "experiment_id desc"):
        await insert(kfp, "passing-", PASSING)
        async with others_at_work(kfp) as rounds:
            seen, token = await turn(kfp, sort_by, "")
            while token:
                page, token = await turn(kfp, sort_by, token)
                seen += page
            assert rounds() > 3
        assert len(seen) == len(set(seen)), sort_by
        assert staying <= set(seen), sort_by
        async with kfp.database.connection() as connection:
            await connection.execute("DELETE FROM run WHERE id LIKE 'passing-%' OR id LIKE 'new-%'")


async def test_what_is_told_of_all_is_true_at_each_page(kfp: KfpSite) -> None:
    await first(kfp)
    await insert(kfp, "some-", 60)
    page = await kfp.runs.ListRuns(pb.ListRunsRequest(page_size=20))
    assert page.total_size == 61
    async with kfp.database.connection() as connection:
        await connection.execute("DELETE FROM run WHERE id LIKE 'some-1%'")
    page = await kfp.runs.ListRuns(pb.ListRunsRequest(page_size=20, page_token=page.next_page_token))
    assert page.total_size == 50
