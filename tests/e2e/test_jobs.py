"""Jobs on real servers, with slots a second apart: each policy, restarts and kills, failures, backfills, macros."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from penstock import Client
from penstock.v1.backfill_pb2 import Backfill
from penstock.v1.job_pb2 import Job
from penstock.v1.job_slot_pb2 import JobSlot
from tests import pipelines
from tests.servers import Server, running

BOUND_S = 60.0
AWAY_S = 4.0
SECOND = timedelta(seconds=1)
QUICK = pipelines.chain(1, "true")

pytestmark = pytest.mark.slow


def told(slot: JobSlot) -> str:
    """Its state, or why it is in none of the simple ones."""
    return slot.reason or JobSlot.State.Name(slot.state).removeprefix("STATE_")


def slots_of(client: Client, job: Job) -> list[JobSlot]:
    """Oldest first."""
    return list(client.jobs.slots(job, order_by="slot_time"))


def slots_once(client: Client, job: Job, holds: Callable[[Sequence[JobSlot]], bool]) -> list[JobSlot]:
    """The slots of a job as soon as it is so; looks with each change that the job tells of."""
    give_up = time.monotonic() + BOUND_S
    for _ in client.watch_job(job):
        slots = slots_of(client, job)
        if holds(slots):
            return slots
        assert time.monotonic() < give_up, [told(slot) for slot in slots]
    raise AssertionError("the watch has ended")


def fired(slots: Sequence[JobSlot]) -> list[JobSlot]:
    return [slot for slot in slots if slot.state == JobSlot.STATE_FIRED]


def moment(slot: JobSlot) -> datetime:
    return slot.slot_time.ToDatetime(tzinfo=UTC)


def gaps(slots: Sequence[JobSlot]) -> set[timedelta]:
    """The distances from slot to slot."""
    return {moment(later) - moment(earlier) for earlier, later in pairwise(slots)}


def lateness_s(slot: JobSlot) -> float:
    return slot.lateness.ToTimedelta().total_seconds()


def held_until(file: Path) -> dict[str, Any]:
    """A step that goes on until the file is there."""
    return pipelines.chain(1, "sh", "-c", f"while [ ! -e {file} ]; do sleep 0.05; done")


def noting(file: Path, *names: str) -> dict[str, Any]:
    """A step that writes its parameters into a file, a line a run."""
    spec = pipelines.chain(1, "sh", "-c", f'echo "$@" >> {file}', "sh")
    definitions = {"parameters": {name: {"parameterType": "STRING"} for name in names}}
    spec["root"]["inputDefinitions"] = spec["components"]["comp-step"]["inputDefinitions"] = definitions
    (task,) = spec["root"]["dag"]["tasks"].values()
    task["inputs"] = {"parameters": {name: {"componentInputParameter": name} for name in names}}
    container = spec["deploymentSpec"]["executors"]["exec-step"]["container"]
    container["args"] = [f"{{{{$.inputs.parameters['{name}']}}}}" for name in names]
    return spec


OVERLAPS = {
    "ALLOW": ["FIRED", "FIRED", "FIRED"],
    "SKIP": ["FIRED", "OVERLAP", "OVERLAP"],
    "QUEUE_ONE": ["FIRED", "SUPERSEDED", "CONCURRENCY"],
    "QUEUE_ALL": ["FIRED", "CONCURRENCY", "CONCURRENCY"],
}


def test_slots_while_a_run_goes_on_by_each_overlap_policy(client: Client, tmp_path: Path) -> None:
    spec = held_until(tmp_path / "go")
    end = datetime.now(UTC) + timedelta(seconds=4.5)
    jobs = {policy: client.create_job(spec, every=1, overlap=policy, end_time=end) for policy in OVERLAPS}
    for policy, expected in OVERLAPS.items():
        slots = slots_once(client, jobs[policy], lambda slots: moment(slots[-1]) > end - SECOND if slots else False)
        states = [told(slot) for slot in slots]
        assert [states[0], states[-2], states[-1]] == expected, policy
    (tmp_path / "go").touch()
    queued = slots_once(client, jobs["QUEUE_ALL"], lambda slots: len(fired(slots)) == len(slots))
    runs = [client.wait(slot.run, timeout=BOUND_S) for slot in queued]
    assert all(run.start_time.ToDatetime() >= before.end_time.ToDatetime() for before, run in pairwise(runs))
    for job in jobs.values():
        client.jobs.delete(job)


def test_a_slot_that_replaces_the_run_before_it(client: Client, tmp_path: Path) -> None:
    job = client.create_job(held_until(tmp_path / "go"), every=1, overlap="REPLACE")
    slots = slots_once(client, job, lambda slots: len(fired(slots)) >= 3)
    client.jobs.disable(job)
    (tmp_path / "go").touch()
    first, second, *_ = [client.wait(slot.run, timeout=BOUND_S) for slot in fired(slots)]
    assert (first.state, second.state) == (first.STATE_CANCELLED, first.STATE_CANCELLED)
    assert first.end_time.ToDatetime() <= second.create_time.ToDatetime()
    client.jobs.delete(job)


CAUGHT_UP = {"NONE": 0, "LATEST": 1, "ALL": 2}


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Server]:
    """A server that may be ended, for which a slot a second late was missed."""
    with running(tmp_path / "data", "--job-grace-s", "1") as server:
        yield server


@pytest.mark.parametrize("end", [Server.stop, Server.kill], ids=["stopped", "killed"])
def test_slots_missed_while_no_server_is_there_by_each_catch_up_policy(
    own: Server, end: Callable[[Server], object]
) -> None:
    with Client(own.grpc) as client:
        jobs = {
            policy: client.create_job(QUICK, every=1, catch_up=policy, catch_up_limit=2, overlap="ALLOW")
            for policy in CAUGHT_UP
        }
        for job in jobs.values():
            slots_once(client, job, lambda slots: len(slots) >= 2)
    end(own)
    time.sleep(AWAY_S)  # slots go by
    back = datetime.now(UTC)
    own.start()
    with Client(own.grpc) as client:
        for policy, job in jobs.items():
            slots = slots_once(client, job, lambda slots: moment(slots[-1]) > back + SECOND)
            assert gaps(slots) == {SECOND}, "each slot has one entry"
            missed = [slot for slot in slots if told(slot) == "CATCH_UP"]
            late = [slot for slot in fired(slots) if lateness_s(slot) > 1]
            assert missed, policy
            assert len(late) >= CAUGHT_UP[policy]
            assert bool(late) == (policy != "NONE")
            assert [slot.index for slot in fired(slots)] == list(range(1, len(fired(slots)) + 1))
            runs = client.runs.list(filter=f'job = "{job.name}"')
            told_runs = {slot.run for slot in fired(slots)}
            assert told_runs <= {run.name for run in runs}
            assert len(told_runs) == len(fired(slots))


def test_a_cron_of_seconds_fires_each_second_and_tells_how_late(client: Client) -> None:
    job = client.create_job(QUICK, cron="* * * * * *", overlap="ALLOW")
    slots = slots_once(client, job, lambda slots: len(fired(slots)) >= 4)
    client.jobs.delete(job)
    assert gaps(slots) == {SECOND}
    assert all(slot.slot_time.nanos == 0 for slot in slots)
    assert all(
        slot.lateness.ToTimedelta() == slot.fire_time.ToDatetime() - slot.due_time.ToDatetime() for slot in slots
    )
    assert sorted(map(lateness_s, slots))[0] < 1


def test_a_job_is_disabled_after_failures_in_a_row(client: Client) -> None:
    job = client.create_job(pipelines.chain(1, "false"), every=1, max_consecutive_failures=2)
    slots_once(client, job, lambda _: client.jobs.get(job).state == Job.STATE_DISABLED)
    disabled = client.jobs.get(job)
    assert (disabled.reason, disabled.consecutive_failures) == ("TOO_MANY_FAILURES", 2)
    assert len(fired(slots_of(client, job))) == 2
    client.jobs.delete(job)


def test_a_backfill_of_a_disabled_job_fires_past_slots_oldest_first(client: Client, tmp_path: Path) -> None:
    spec = noting(tmp_path / "noted", "day")
    job = client.create_job(spec, {"day": "${slot.time:%Y-%m-%d}"}, cron="0 2 * * *", disabled=True)
    start = datetime(2025, 3, 1, tzinfo=UTC)
    made = client.jobs.backfill(job, start, start + timedelta(days=3))
    slots_once(client, job, lambda _: client.jobs.get_backfill(job, made).state == Backfill.STATE_SUCCEEDED)
    assert client.jobs.get_backfill(job, made).succeeded_count == 3
    assert (tmp_path / "noted").read_text().split() == ["2025-03-01", "2025-03-02", "2025-03-03"]
    client.jobs.delete(job)


def test_macros_reach_the_step(client: Client, tmp_path: Path) -> None:
    texts = {"slot": "${slot.time:%Y-%m-%dT%H:%M:%SZ}", "kfp": "[[ScheduledTime.2006-01-02]] [[Index]]"}
    job = client.create_job(noting(tmp_path / "noted", *texts), texts, every=1)
    slots = slots_once(client, job, lambda slots: len(fired(slots)) >= 2)
    client.jobs.disable(job)
    for slot in fired(slots)[:2]:
        client.wait(slot.run, timeout=BOUND_S)
    expected = [f"{moment(slot):%Y-%m-%dT%H:%M:%SZ} {moment(slot):%Y-%m-%d} {slot.index}" for slot in fired(slots)[:2]]
    assert (tmp_path / "noted").read_text().splitlines()[:2] == expected
    client.jobs.delete(job)
