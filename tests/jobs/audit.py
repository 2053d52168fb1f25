"""A record that the database keeps of every change of jobs and of their slots, and of beginnings and ends of runs.

Triggers write it in the transaction of the change, whoever makes it. What is rolled back leaves none.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import dict_row

_RECORD = """
CREATE SCHEMA audit;
CREATE TABLE audit.change (
    position bigserial PRIMARY KEY,
    what text NOT NULL,
    time timestamptz NOT NULL,
    job_uid uuid NOT NULL,
    after jsonb NOT NULL
);
CREATE FUNCTION audit.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit.change (what, time, job_uid, after)
    VALUES (TG_ARGV[0], now(), (to_jsonb(NEW) ->> TG_ARGV[1])::uuid, to_jsonb(NEW));
    RETURN NULL;
END $$;
CREATE TRIGGER noted AFTER INSERT OR UPDATE ON job FOR EACH ROW EXECUTE FUNCTION audit.note('job', 'uid');
CREATE TRIGGER noted AFTER INSERT OR UPDATE ON job_slot FOR EACH ROW EXECUTE FUNCTION audit.note('slot', 'job_uid');
CREATE TRIGGER noted_begin AFTER INSERT ON run FOR EACH ROW WHEN (NEW.job_uid IS NOT NULL)
    EXECUTE FUNCTION audit.note('begin', 'job_uid');
CREATE TRIGGER noted_end AFTER UPDATE ON run FOR EACH ROW
    WHEN (NEW.job_uid IS NOT NULL AND OLD.end_time IS NULL AND NEW.end_time IS NOT NULL)
    EXECUTE FUNCTION audit.note('end', 'job_uid');
"""
_CHANGES = "SELECT position, what, to_jsonb(time) AS time, job_uid, after FROM audit.change ORDER BY position"


@dataclass(frozen=True, slots=True)
class Change:
    """One row as it was written."""

    position: int
    """A run's end comes before what its room was given to; changes of a job and of its slots are in their order."""
    what: str
    """job, slot, begin or end."""
    time: str
    after: dict[str, Any]


@dataclass(slots=True)
class JobRecord:
    """All that happened to a job, and its rows as they are."""

    changes: list[Change] = field(default_factory=list)
    slots: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    backfills: list[dict[str, Any]] = field(default_factory=list)


def keep_record(dsn: str) -> None:
    """Begin to keep the record."""
    with psycopg.connect(dsn) as connection:
        connection.execute(_RECORD.encode())


def forget(dsn: str) -> None:
    """Forget all jobs, runs and what is recorded of them."""
    with psycopg.connect(dsn) as connection:
        connection.execute("TRUNCATE job, job_slot, backfill, run, audit.change CASCADE")


def empty(dsn: str) -> None:
    """Forget what is recorded, and with it the jobs that are gone."""
    with psycopg.connect(dsn) as connection:
        connection.execute("TRUNCATE audit.change")


def read_record(dsn: str) -> tuple[str, Sequence[JobRecord]]:
    """The time by the database, and each job that is in the record."""
    found: defaultdict[str, JobRecord] = defaultdict(JobRecord)
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        (clock,) = connection.execute("SELECT to_jsonb(now()) AS now").fetchall()
        for row in connection.execute(
            "SELECT position, what, to_jsonb(time) AS time, job_uid, after FROM audit.change ORDER BY position"
        ):
            found[str(row["job_uid"])].changes.append(Change(row["position"], row["what"], row["time"], row["after"]))
        for table in ("job_slot", "run", "backfill"):
            rows = connection.execute(f"SELECT to_jsonb({table}) AS row FROM {table} WHERE job_uid IS NOT NULL")
            for row in rows:
                kept = found[row["row"]["job_uid"]]
                {"job_slot": kept.slots, "run": kept.runs, "backfill": kept.backfills}[table].append(row["row"])
    return clock["now"], [record for record in found.values() if record.changes]
