"""Where a step's time goes: what it costs the server, Postgres and the disk, and the stages of one run of one step."""

import statistics
import time
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import psycopg

from penstock.v1 import run_pb2
from tests import pipelines
from tests.bench import processes
from tests.bench.bed import PASS, Bed, Row
from tests.bench.scale import TRUE

RUNS = 40
LENGTH, WIDTH = 100, 300
COUNTERS = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint, pg_current_wal_insert_lsn() - '0/0'"
"""Transactions that have written so far, and bytes of the log."""
TIMES = """
SELECT run.create_time, attempt.create_time, run.end_time
FROM run JOIN attempt ON attempt.run_uid = run.uid
WHERE run.uid = %s
"""


def anatomy(bed: Bed) -> list[Row]:
    """A chain and a fan-out of `true`, by counters; a run of one step, by its times."""
    bed.run_s(pipelines.chain(3, TRUE))
    return [
        *_costs(bed, f"chain of {LENGTH}", pipelines.chain(LENGTH, TRUE), LENGTH),
        *_costs(bed, f"fan-out of {WIDTH}", pipelines.fan_out(WIDTH, TRUE), WIDTH + 2),
        *_stages(bed),
    ]


@dataclass(frozen=True, slots=True)
class _Counters:
    server: processes.Used
    postgres_cpu_s: float
    commits: int
    wal_bytes: int


def _costs(bed: Bed, name: str, spec: dict[str, Any], steps: int) -> list[Row]:
    bed.run_s(spec)
    before = _count(bed)
    bed.client.wait(bed.create(spec))
    after = _count(bed)
    server = after.server - before.server
    label = f"a step of a {name}"
    return [
        Row(f"{label}: commits", (after.commits - before.commits) / steps, ""),
        Row(f"{label}: written ahead", (after.wal_bytes - before.wal_bytes) / steps / 1024, "KiB"),
        Row(f"{label}: CPU of Postgres", 1000 * (after.postgres_cpu_s - before.postgres_cpu_s) / steps, "ms"),
        Row(f"{label}: CPU of the server", 1000 * server.cpu_s / steps, "ms"),
        Row(f"{label}: CPU of its processes", 1000 * server.children_cpu_s / steps, "ms"),
        Row(f"{label}: reads and writes of the server", server.system_calls / steps, ""),
        Row(f"{label}: waits of the server", server.switches / steps, ""),
    ]


def _count(bed: Bed) -> _Counters:
    with psycopg.connect(bed.dsn, autocommit=True) as connection:
        row = connection.execute(COUNTERS).fetchone()
    assert row is not None
    server, postgres = processes.used(bed.server_pid), processes.family_cpu_s(bed.postgres_pid)
    return _Counters(server, postgres, row[0], int(row[1]))


def _stages(bed: Bed) -> list[Row]:
    """Medians of what lies between the moments that the database and the client know of."""
    spec = pipelines.chain(1, *PASS)
    stages = [_stages_ms(bed, spec) for _ in range(RUNS)]
    names = (
        "request to made",
        "made to launch decided",
        "launch decided to end decided (commit, start, command)",
        "end decided to client told (commit, watch)",
    )
    medians = (statistics.median(times) for times in zip(*stages, strict=True))
    return [Row(f"one run: {name}", median, "ms") for name, median in zip(names, medians, strict=True)]


def _stages_ms(bed: Bed, spec: dict[str, Any]) -> tuple[float, ...]:
    asked = time.time()
    run = bed.create(spec)
    bed.finish(run)
    told = time.time()
    made, launched, ended = _times(bed, run)
    moments = (asked, made.timestamp(), launched.timestamp(), ended.timestamp(), told)
    return tuple(1000 * (after - before) for before, after in pairwise(moments))


def _times(bed: Bed, run: run_pb2.Run) -> tuple[datetime, datetime, datetime]:
    with psycopg.connect(bed.dsn) as connection:
        row = connection.execute(TIMES, [run.uid]).fetchone()
    assert row is not None
    return row[0], row[1], row[2]
