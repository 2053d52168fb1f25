"""Hundreds of worlds in which much goes wrong come to a right end; and worlds with a fault of ours do not."""

from collections.abc import Callable
from typing import Any

import pytest

from penstock_server.engine import dags, slots
from penstock_server.engine.commit import Committer
from penstock_server.engine.effects import Decisions
from penstock_server.engine.owned import OwnedRuns
from penstock_server.engine.state import LiveRun, LiveTask
from penstock_server.model.changes import RunChanges
from penstock_server.model.ids import ServerId
from tests.simulation.simulation import simulate
from tests.simulation.store import ModelStore

SEEDS = 300
CHUNK = 50


@pytest.mark.parametrize("start", range(0, SEEDS, CHUNK))
def test_whatever_goes_wrong_every_run_comes_to_its_end(start: int) -> None:
    for seed in range(start, start + CHUNK):
        assert simulate(seed).problems == (), f"seed {seed}"


def test_a_seed_repeats_itself_exactly() -> None:
    for seed in (3, 7, 11):
        assert simulate(seed) == simulate(seed)


# Faults of ours, of different kinds, one at a time: some seed finds each.


def without_fence(patch: pytest.MonkeyPatch) -> None:
    """A stale owner may write, whatever stands there by now."""

    def takes(store: ModelStore, _: ServerId, changes: RunChanges) -> bool:
        store.runs[changes.run_uid].rows.compares = False
        return True

    patch.setattr(ModelStore, "_takes", takes)


def effects_before_their_commit(patch: pytest.MonkeyPatch) -> None:
    """The launcher is asked before the database knows."""
    add = Committer.add

    def at_once(committer: Committer, run: LiveRun, decisions: Decisions) -> None:
        effects, decisions.effects = decisions.effects, []
        add(committer, run, decisions)
        committer._outcomes.committed(run, effects)

    patch.setattr(Committer, "add", at_once)


def a_lost_wake_up(patch: pytest.MonkeyPatch) -> None:
    """Now and then something that happened wakes nobody."""
    enter: Callable[..., None] = OwnedRuns._enter
    entered = 0

    def silently(owned: OwnedRuns, item: Any) -> None:
        nonlocal entered
        entered += 1
        if entered % 7 == 0 and not owned._inbox:
            owned._inbox.append(item)
        else:
            enter(owned, item)

    patch.setattr(OwnedRuns, "_enter", silently)


def a_limit_off_by_one(patch: pytest.MonkeyPatch) -> None:
    """A run has one step more at a time than it may."""

    def may_take(line: slots._Line) -> bool:
        most = line.limits.max_parallel_tasks
        return bool(line.waiting) and (most is None or len(line.held) <= most)

    patch.setattr(slots._Line, "may_take", property(may_take))


def a_holder_computed_from_stale_children(patch: pytest.MonkeyPatch) -> None:
    """Whoever loads a run takes the tasks within a holder for ended, all but the first."""

    def recount(dag: LiveTask) -> None:
        children = dag.children or {}
        for child in children.values():
            child.waits_for = sum(not children[key].state.is_final for key in child.depends_on)
        dag.open_children = min(1, sum(not child.state.is_final for child in children.values()))

    patch.setattr("penstock_server.engine.restore.recount", recount)
    patch.setattr(dags, "recount", recount)


@pytest.mark.parametrize(
    ("plant", "found_by"),
    [
        (without_fence, 14),
        (effects_before_their_commit, 0),
        (a_lost_wake_up, 0),
        (a_limit_off_by_one, 0),
        (a_holder_computed_from_stale_children, 0),
    ],
)
def test_a_planted_fault_is_found(
    plant: Callable[[pytest.MonkeyPatch], None], found_by: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert simulate(found_by).problems == ()
    plant(monkeypatch)
    assert simulate(found_by).problems != ()
