"""Finding the jobs that need a turn, among many."""

from collections.abc import Iterator
from typing import Any

import pytest

from penstock_server.store.database import Database
from penstock_server.store.statements import statements
from tests.engine.job_world import JobWorld

JOBS = 10_000
COPY = """
INSERT INTO job (
    namespace, id, experiment_uid, spec_digest, interval_s, start_time, cursor_time, next_slot_time, attention_time, uid
)
SELECT namespace, id || '-' || n, experiment_uid, spec_digest, interval_s, start_time, cursor_time, next_slot_time,
    now() + make_interval(days => n), gen_random_uuid()
FROM job, generate_series(1, %s) AS n
"""


@pytest.fixture
async def crowded(database: Database) -> Database:
    """Ten thousand jobs that fire, none of them today."""
    await JobWorld(database).create()
    async with database.connection() as connection:
        await connection.execute(COPY, [JOBS])
        await connection.execute("ANALYZE job")
        await connection.execute("ANALYZE run")
    return database


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A node of a query plan and all within it."""
    yield plan
    for inner in plan.get("Plans", []):
        yield from nodes(inner)


async def test_jobs_that_are_due_are_found_by_indexes(crowded: Database) -> None:
    explain = f"EXPLAIN (FORMAT JSON) {statements('job_turns')['due']}"
    async with crowded.connection() as connection:
        row = await (await connection.execute(explain.encode(), {"limit": 64, "but": []})).fetchone()
    assert row is not None
    reads = [node for node in nodes(row[0][0]["Plan"]) if node.get("Relation Name") == "job"]
    assert {node["Node Type"] for node in reads} <= {"Index Scan", "Index Only Scan"}
    assert {node["Index Name"] for node in reads} == {"job_attention_idx"}
