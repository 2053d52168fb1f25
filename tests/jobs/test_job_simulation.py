"""Worlds in which much goes wrong with jobs come to a right end; and worlds with a fault of ours do not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from penstock_server.engine import turns
from penstock_server.engine.due_slots import DueSlots, due_slots
from penstock_server.engine.job_turns import JobTurns
from penstock_server.engine.new_runs import MadeRun
from penstock_server.engine.run_requests import NewRunRequest
from penstock_server.model.job_turns import FiredSlot, Situation, Turn
from penstock_server.model.jobs import Job
from penstock_server.store import job_turns
from penstock_server.store.database import Connection
from tests.engine.job_world import simulated
from tests.jobs.audit import keep_record
from tests.jobs.simulation import simulate

SEEDS = 40
CHUNK = 10
SEEDS_TO_FIND = 5


@pytest.fixture
def dsn(database_dsn: str) -> str:
    """A database on simulated time that keeps a record of jobs."""
    keep_record(database_dsn)
    return simulated(database_dsn)


@pytest.mark.parametrize("start", range(0, SEEDS, CHUNK))
async def test_whatever_goes_wrong_each_slot_fires_once_or_is_told_of(dsn: str, start: int) -> None:
    for seed in range(start, start + CHUNK):
        assert (await simulate(dsn, seed)).problems == (), f"seed {seed}"


# Faults of ours, of different kinds, one at a time: some seed finds each.


def no_lock(patch: pytest.MonkeyPatch) -> None:
    """Several servers take the turn of a job at the same time."""

    async def lock(connection: Connection, uid: Any) -> datetime:
        row = await (await connection.execute("SELECT now()")).fetchone()
        assert row is not None
        return row[0]  # type: ignore[no-any-return]  # a time

    patch.setattr(job_turns, "lock", lock)


def a_cursor_that_stays(patch: pytest.MonkeyPatch) -> None:
    """Slots are decided on, and that is forgotten."""
    decide = turns.decide

    def forgetting(situation: Situation, **more: Any) -> Turn:
        return replace(decide(situation, **more), cursor_time=situation.job.cursor_time)

    patch.setattr(turns, "decide", forgetting)


def a_cursor_that_runs_ahead(patch: pytest.MonkeyPatch) -> None:
    """A slot whose jitter lies ahead counts as decided on."""
    decide = turns.decide

    def ahead(situation: Situation, **more: Any) -> Turn:
        turn = decide(situation, **more)
        return replace(turn, cursor_time=max(turn.cursor_time, situation.now) if turn.slots else turn.cursor_time)

    patch.setattr(turns, "decide", ahead)


def runs_before_their_slots(patch: pytest.MonkeyPatch) -> None:
    """A run is committed before the slot that it is of."""

    async def made(of: JobTurns, _: Connection, request: NewRunRequest) -> MadeRun:
        async with of._database.transaction() as connection:
            return await of._new_runs.make(connection, request)

    patch.setattr(JobTurns, "_made", made)


def a_bound_off_by_one(patch: pytest.MonkeyPatch) -> None:
    """One run more than may be."""
    prepare = turns._Deciding.__post_init__

    def roomier(deciding: turns._Deciding) -> None:
        prepare(deciding)
        deciding.room = None if deciding.room is None else deciding.room + 1

    patch.setattr(turns._Deciding, "__post_init__", roomier)


def missed_slots_without_a_trace(patch: pytest.MonkeyPatch) -> None:
    """What the catch-up policy does not fire is dropped."""

    def dropping(*arguments: Any) -> DueSlots:
        return replace(due_slots(*arguments), skipped=())

    patch.setattr(turns, "due_slots", dropping)


def slots_that_wait_for_ever(patch: pytest.MonkeyPatch) -> None:
    """Nothing that waits is looked at again."""

    def admit(deciding: turns._Deciding, queue: list[turns.Candidate]) -> None:
        new = [slot for slot in queue if slot.waits_for is None]
        deciding._wait(new, turns.CONCURRENCY, "it waits for ever")

    patch.setattr(turns._Deciding, "_admit", admit)


def numbers_given_twice(patch: pytest.MonkeyPatch) -> None:
    """The sequence does not go on after the slots of a turn."""
    write = job_turns.write

    async def repeating(
        connection: Connection, job: Job, turn: Turn, fired: dict[datetime, FiredSlot], **more: Any
    ) -> None:
        await write(connection, job, turn, fired, **more)
        numbers = {"uid": job.uid, "sequence": job.sequence + 1}
        await connection.execute("UPDATE job SET sequence = %(sequence)s WHERE uid = %(uid)s", numbers)

    patch.setattr(job_turns, "write", repeating)


@pytest.mark.parametrize(
    "plant",
    [
        no_lock,
        a_cursor_that_stays,
        a_cursor_that_runs_ahead,
        runs_before_their_slots,
        a_bound_off_by_one,
        missed_slots_without_a_trace,
        slots_that_wait_for_ever,
        numbers_given_twice,
    ],
)
async def test_a_planted_fault_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    for seed in range(SEEDS_TO_FIND):
        if (await simulate(dsn, seed)).problems:
            return
    pytest.fail("no seed finds it")
