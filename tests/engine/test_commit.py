"""Group commit: what rides together, what waits for nobody, and what a failing database means."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from penstock_server.engine.commit import Committer
from penstock_server.engine.effects import Decisions, Effect, Forget, Launch
from penstock_server.engine.observer import NullObserver
from penstock_server.engine.state import LiveRun
from penstock_server.model.changes import Change, Notice, RunChanges
from penstock_server.model.errors import Internal, Unavailable
from penstock_server.model.ids import RunUid, TaskId
from tests.engine.world import World, flat, new_run

LAUNCH = Launch(TaskId("a"), 1)
FORGET = Forget(TaskId("a"), 1, None)


class Store:
    """Takes batches; holds them back, refuses runs or raises, as it is told."""

    def __init__(self) -> None:
        self.batches: list[list[RunChanges]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.refused: set[RunUid] = set()
        self.errors: list[Exception | None] = []

    async def write(self, batch: Sequence[RunChanges]) -> frozenset[RunUid]:
        self.batches.append(list(batch))
        await self.open.wait()
        if self.errors and (error := self.errors.pop(0)) is not None:
            raise error
        return frozenset(self.refused)


class Outcomes:
    """Notes how commits went."""

    def __init__(self) -> None:
        self.done: list[tuple[LiveRun, list[Effect]]] = []
        self.lost: list[LiveRun] = []
        self.told = asyncio.Event()
        self.dropped: list[tuple[LiveRun, bool]] = []

    def committed(self, run: LiveRun, effects: list[Effect]) -> None:
        self.done.append((run, effects))
        self.told.set()

    def refused(self, run: LiveRun) -> None:
        self.lost.append(run)

    def unknown(self, run: LiveRun, *, fault: bool) -> None:
        self.dropped.append((run, fault))


class Bench:
    """A committer at work."""

    def __init__(self, linger_s: float = 3600.0) -> None:
        self.store, self.outcomes = Store(), Outcomes()
        self.committer = Committer(self.store.write, self.outcomes, NullObserver(), linger_s=linger_s)

    def add(self, run: LiveRun, *effects: Effect, notes: int = 1) -> None:
        changes: list[Change] = [Notice("NOTE", "") for _ in range(notes)]
        self.committer.add(run, Decisions(changes, [], list(effects)))


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    task = asyncio.create_task(made.committer.work())
    yield made
    task.cancel()
    await asyncio.wait([task])


def live_run(number: int = 1) -> LiveRun:
    return World(flat({"a": ()}), replace(new_run(), uid=RunUid(uuid.UUID(int=number)))).run


async def test_effects_happen_after_their_commit(bench: Bench) -> None:
    run = live_run()
    bench.store.open.clear()
    bench.add(run, LAUNCH)
    await asyncio.sleep(0)
    assert bench.outcomes.done == []
    bench.store.open.set()
    await bench.committer.flush()
    assert bench.outcomes.done == [(run, [LAUNCH])]


async def test_what_comes_while_a_commit_is_in_flight_goes_with_the_next(bench: Bench) -> None:
    one, two = live_run(1), live_run(2)
    before = one.event_sequence
    bench.store.open.clear()
    bench.add(one, LAUNCH, notes=3)
    await asyncio.sleep(0.001)
    for run in (one, two, one):
        bench.add(run, LAUNCH)
    bench.store.open.set()
    await bench.committer.flush()
    assert [[len(written.changes) for written in batch] for batch in bench.store.batches] == [[3], [2, 1]]
    assert bench.store.batches[1][0].event_sequence == before + 3


async def test_news_that_nobody_waits_for_ride_along(bench: Bench) -> None:
    run = live_run()
    bench.add(run, FORGET)
    await asyncio.sleep(0.001)
    assert bench.store.batches == []
    bench.add(run, LAUNCH)
    await bench.committer.flush()
    assert [len(batch[0].changes) for batch in bench.store.batches] == [2]


async def test_news_that_nobody_waits_for_go_out_after_a_while() -> None:
    bench = Bench(linger_s=0.001)
    task = asyncio.create_task(bench.committer.work())
    bench.add(live_run(), FORGET)
    async with asyncio.timeout(5):
        await bench.outcomes.told.wait()
    task.cancel()


async def test_effects_without_changes_need_no_transaction(bench: Bench) -> None:
    run = live_run()
    bench.add(run, LAUNCH, notes=0)
    await bench.committer.flush()
    assert (bench.store.batches, bench.outcomes.done) == ([], [(run, [LAUNCH])])


async def test_a_refused_run_is_told_and_does_nothing_more(bench: Bench) -> None:
    lost, kept = live_run(1), live_run(2)
    bench.store.refused = {lost.uid}
    bench.add(lost, LAUNCH)
    bench.add(kept, LAUNCH)
    await bench.committer.flush()
    assert (bench.outcomes.lost, bench.outcomes.done) == ([lost], [(kept, [LAUNCH])])


async def test_an_unknown_outcome_drops_the_run_and_what_it_gathered(bench: Bench) -> None:
    run = live_run()
    bench.store.open.clear()
    bench.store.errors = [Unavailable("DATABASE_UNAVAILABLE", "gone")]
    bench.add(run, LAUNCH)
    await asyncio.sleep(0.001)
    bench.add(run, LAUNCH)
    bench.store.open.set()
    await bench.committer.flush()
    assert (bench.outcomes.dropped, bench.outcomes.done, len(bench.store.batches)) == ([(run, False)], [], 1)


@pytest.mark.parametrize("error", [Internal("STATE_MISMATCH", "wrong"), ValueError("a fault of ours")])
async def test_only_the_run_that_is_wrong_pays_for_it(bench: Bench, error: Exception) -> None:
    wrong, right = live_run(1), live_run(2)
    bench.store.errors = [error, error, None]
    bench.add(wrong, LAUNCH)
    bench.add(right, LAUNCH)
    await bench.committer.flush()
    assert (bench.outcomes.dropped, bench.outcomes.done) == ([(wrong, True)], [(right, [LAUNCH])])


async def test_a_dropped_run_is_not_written(bench: Bench) -> None:
    run = live_run()
    bench.add(run, FORGET)
    bench.committer.drop(run)
    await bench.committer.flush()
    assert bench.store.batches == []
