"""What must hold of jobs whatever has happened, told by the database's own record of them. See `audit`.

Slots are compared with those of a naive calculation.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any

from penstock_server.schedule.jitter import jitter_s
from tests.engine.naive_slots import NaiveTrigger
from tests.jobs.audit import Change, JobRecord, read_record

Row = dict[str, Any]
_HOUR = timedelta(hours=1)


def problems_of(dsn: str) -> list[str]:
    """Everything that is wrong with the jobs of a database in which all that was begun has ended."""
    now, records = read_record(dsn)
    return [f"{record.changes[0].after['id']}: {each}" for record in records for each in _problems(record, time(now))]


def time(text: str) -> datetime:
    """An instant as Postgres writes it in JSON."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _problems(record: JobRecord, now: datetime) -> Iterator[str]:
    versions = [change for change in record.changes if change.what == "job"]
    decided = yield from _read_versions(versions, now)
    yield from _slots(record, decided)
    yield from _runs(record)
    yield from _numbers(record, versions[-1].after)
    yield from _bound(record.changes)
    yield from _transitions(record.changes)
    yield from (f"backfill {each['id']} has not finished" for each in record.backfills if each["finish_time"] is None)


def _read_versions(versions: Sequence[Change], now: datetime) -> Any:
    """The slots that the trigger has decided on, by the way of the cursor; each step of it has to be a right one."""
    decided: set[datetime] = set()
    for before, after in pairwise(versions):
        old, new = before.after, after.after
        begun, ended = time(old["cursor_time"]), time(new["cursor_time"])
        passed = slots_of(old, begun, ended)
        if ended < begun or new["sequence"] <= old["sequence"] or new["fired_count"] < old["fired_count"]:
            yield f"it went back from {old['sequence']} to {new['sequence']}"
        if new["revision"] == old["revision"]:
            decided |= set(passed)
            if passed and not _fires(old):
                yield f"slots of {passed} were decided on while it did not fire"
        elif _fires(old):
            yield from _forgotten(old, begun, min(ended, time(after.time)))
    last = versions[-1].after
    if _fires(last):
        yield from _forgotten(last, time(last["cursor_time"]), now)
    return decided


def _forgotten(job: Row, cursor: datetime, now: datetime) -> Iterator[str]:
    """Slots that had fallen due by `now` and were not decided on."""
    for slot in slots_of(job, cursor, now):
        if due_time(job, slot) <= now:
            yield f"{slot} was due and is nowhere"


def _slots(record: JobRecord, decided: set[datetime]) -> Iterator[str]:
    single = {time(row["slot_time"]): row for row in record.slots if row["last_slot_time"] is None}
    shared = [(time(r["slot_time"]), time(r["last_slot_time"])) for r in record.slots if r["last_slot_time"]]
    for slot in sorted(decided):
        covers = sum(first <= slot <= last for first, last in shared)
        row = single.get(slot)
        if row is None and covers != 1:
            yield f"{slot} has {covers} entries"
        if row is not None and covers and row["kind"] != "BACKFILL":
            yield f"{slot} has an entry of its own and a shared one"
    for slot, row in single.items():
        if row["kind"] == "SCHEDULED" and slot not in decided:
            yield f"{slot} is no slot of the trigger"
        yield from _entry(slot, row)


def _entry(slot: datetime, row: Row) -> Iterator[str]:
    if row["state"] == "WAITING":
        yield f"{slot} waits for ever"
    if (row["state"] == "SKIPPED") != bool(row["reason"]):
        yield f"{slot} is {row['state']} for {row['reason'] or 'no reason'}"
    if row["kind"] == "SCHEDULED" and row["state"] == "FIRED" and time(row["fire_time"]) < time(row["due_time"]):
        yield f"{slot} fired before it was due"


def _runs(record: JobRecord) -> Iterator[str]:
    made = {(run["slot_time"], run["uid"]) for run in record.runs}
    told = {(row["slot_time"], row["run_uid"]) for row in record.slots if row["state"] == "FIRED"}
    yield from (f"the run of {slot} is in no entry" for slot, _ in sorted(made - told))
    yield from (f"the entry of {slot} has no run" for slot, _ in sorted(told - made))
    yield from (f"{slot} has {n} runs" for slot, n in Counter(run["slot_time"] for run in record.runs).items() if n > 1)
    yield from (f"run {run['id']} has not ended" for run in record.runs if run["end_time"] is None)


def _numbers(record: JobRecord, job: Row) -> Iterator[str]:
    """Indexes without a gap, in the order of firing; no number of the sequence twice."""
    fired = sorted((row for row in record.slots if row["state"] == "FIRED"), key=lambda row: int(row["index"]))
    indexes = [row["index"] for row in fired]
    if indexes != list(range(1, len(fired) + 1)) or job["fired_count"] != len(fired):
        yield f"{job['fired_count']} have fired, with the indexes {indexes}"
    if [time(row["fire_time"]) for row in fired] != sorted(time(row["fire_time"]) for row in fired):
        yield "indexes do not follow the order of firing"
    numbers = Counter(row["sequence"] for row in record.slots)
    yield from (f"number {number} is given {count} times" for number, count in numbers.items() if count > 1)
    if any(number > job["sequence"] for number in numbers):
        yield "a slot has a number that is still to come"


def _bound(changes: Sequence[Change]) -> Iterator[str]:
    """No run begins beyond the bound of its moment."""
    open_runs: set[str] = set()
    job: Row = {}
    for change in changes:
        if change.what == "job":
            job = change.after
        elif change.what == "end":
            open_runs.discard(change.after["uid"])
        elif change.what == "begin":
            open_runs.add(change.after["uid"])
            if job["overlap"] != "ALLOW" and len(open_runs) > job["max_concurrency"]:
                yield f"{len(open_runs)} runs at a time, {job['max_concurrency']} may be"


def _transitions(changes: Sequence[Change]) -> Iterator[str]:
    states: dict[tuple[str, bool], str] = {}
    for change in changes:
        if change.what == "slot":
            key = (change.after["slot_time"], change.after["covers_many"])
            before, after = states.get(key), change.after["state"]
            if before == "FIRED" or (before == "SKIPPED" and after != "WAITING"):
                yield f"{key[0]} went from {before} to {after}"
            states[key] = after


def slots_of(job: Row, after: datetime, until: datetime) -> list[datetime]:
    """Slots of the job's trigger after the one instant and up to the other."""
    if until <= after:
        return []
    slots = _known(job, until)
    return slots[bisect_right(slots, after) : bisect_right(slots, until)]


def due_time(job: Row, slot: datetime) -> datetime:
    """When the slot is to fire."""
    most_s = job["jitter_s"]
    if not most_s:
        return slot
    slots = _known(job, slot)
    for following in slots[bisect_right(slots, slot) :][:1]:
        most_s = min(most_s, (following - slot).total_seconds())
    return slot + timedelta(seconds=jitter_s(job["uid"], slot, most_s))


def _known(job: Row, until: datetime) -> list[datetime]:
    """All slots of the job's trigger up to then, and those of an hour more."""
    horizon = until.replace(minute=0, second=0, microsecond=0) + 2 * _HOUR
    return _listed(job["cron"], job["interval_s"], job["time_zone"], job["start_time"], job["end_time"], horizon)


@lru_cache(maxsize=256)
def _listed(
    cron: str | None, interval_s: float | None, zone: str, start: str, end: str | None, horizon: datetime
) -> list[datetime]:
    interval = None if interval_s is None else timedelta(seconds=interval_s)
    before = horizon if end is None else min(horizon, time(end))
    return NaiveTrigger(cron, interval).slots(zone, time(start), before)


def _fires(job: Row) -> bool:
    return bool(job["state"] == "ENABLED") and job["archive_time"] is None
