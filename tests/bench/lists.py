"""What a page of ListRuns costs as the table grows to a million runs."""

import statistics
import time

import psycopg

from penstock.v1 import run_service_pb2
from tests import pipelines
from tests.bench.bed import PASS, Bed, Row

SIZES = {"small": 1_000, "large": 100_000, "huge": 1_000_000}
PAGES = 60
PAGE = 50
DEEP = 15
"""So many pages are turned over before the first one is asked for again."""


def lists(bed: Bed) -> list[Row]:
    """Pages of a namespace of a thousand runs, of a hundred thousand and of a million, all in one table."""
    bed.finish(bed.create(pipelines.chain(1, *PASS)))
    bed.settle()
    for namespace, size in SIZES.items():
        with psycopg.connect(bed.dsn) as connection:
            connection.execute(FILL_NAMESPACE, {"namespace": namespace})
        copy_runs(bed.dsn, namespace, size)
    rows = []
    for filter in ("", "state = SUCCEEDED"):
        pages = {size: _page_ms(bed, f"namespaces/{namespace}", filter) for namespace, size in SIZES.items()}
        least = pages[min(pages)]
        label = f"ListRuns with {filter}" if filter else f"ListRuns page of {PAGE}"
        rows += [Row(f"{label} at {size:,} runs", page, "ms", least, "flat: 1") for size, page in pages.items()]
    return rows


def _page_ms(bed: Bed, parent: str, filter: str) -> float:
    request = run_service_pb2.ListRunsRequest(parent=parent, page_size=PAGE, filter=filter)
    times = []
    for _ in range(PAGES):
        start = time.perf_counter()
        page = bed.client.stubs.run.ListRuns(request)
        times.append(1000 * (time.perf_counter() - start))
        assert len(page.runs) == PAGE
        request.page_token = page.next_page_token if len(times) < DEEP else ""
    return statistics.median(times)


def copy_runs(dsn: str, namespace: str, count: int) -> None:
    """Copies of one run of the default namespace, a second apart and without tasks, in the namespace."""
    with psycopg.connect(dsn) as connection:
        columns = [
            row[0]
            for row in connection.execute(
                "SELECT column_name FROM information_schema.columns"
                " WHERE table_name = 'run' AND is_generated = 'NEVER' ORDER BY ordinal_position"
            )
        ]
        changed = {
            "uid": "gen_random_uuid()",
            "id": "'r' || n",
            "namespace": "%(namespace)s",
            "experiment_uid": "(SELECT uid FROM experiment WHERE namespace = %(namespace)s)",
            "request_id": "NULL",
            "create_time": "now() - make_interval(secs => n)",
            "state": "'SUCCEEDED'",
            "end_time": "now()",
            "start_time": "now()",
        }
        values = ", ".join(changed.get(column, f"old.{column}") for column in columns)
        connection.execute(
            f"INSERT INTO run ({', '.join(columns)}) SELECT {values}"
            " FROM (SELECT * FROM run WHERE namespace = 'default' LIMIT 1) AS old, generate_series(1, %(count)s) AS n",
            {"namespace": namespace, "count": count},
        )
        connection.commit()
        connection.autocommit = True
        connection.execute("ANALYZE run")


def copy_tasks(dsn: str, namespace: str, count: int) -> None:
    """Tasks and moves, those of the run that was copied, for the newest copies of the namespace, at their times."""
    with psycopg.connect(dsn) as connection:
        for table in ("task", "event"):
            columns = connection.execute(
                "SELECT column_name, data_type = 'timestamp with time zone' FROM information_schema.columns"
                " WHERE table_name = %s AND is_generated = 'NEVER' ORDER BY ordinal_position",
                [table],
            ).fetchall()
            changed = {name: f"old.{name} + (copy.create_time - first.create_time)" for name, timed in columns if timed}
            changed["run_uid"] = "copy.uid"
            values = ", ".join(changed.get(name, f"old.{name}") for name, _ in columns)
            connection.execute(
                f"INSERT INTO {table} ({', '.join(name for name, _ in columns)}) SELECT {values} FROM {table} AS old"
                " JOIN run AS first ON first.uid = old.run_uid,"
                " (SELECT uid, create_time FROM run WHERE namespace = %(namespace)s AND id ~ '^r[0-9]+$'"
                " ORDER BY create_time DESC LIMIT %(count)s) AS copy"
                " WHERE first.uid = (SELECT run_uid FROM task ORDER BY create_time LIMIT 1)",
                {"namespace": namespace, "count": count},
            )
        connection.commit()
        connection.autocommit = True
        connection.execute("ANALYZE task, event")


FILL_NAMESPACE = """
WITH made AS (INSERT INTO namespace (name) VALUES (%(namespace)s))
INSERT INTO experiment (namespace, id) VALUES (%(namespace)s, 'default')
"""
