"""At most so many steps at a time, in turns between runs."""

import uuid

from penstock_server.engine.slots import Slots
from penstock_server.model.changes import RunLimits
from penstock_server.model.ids import RunUid, TaskId

A, B, C = (RunUid(uuid.UUID(int=number)) for number in (1, 2, 3))


def granted(slots: Slots, count: int) -> list[tuple[RunUid, TaskId] | None]:
    return [slots.grant() for _ in range(count)]


def want(slots: Slots, run: RunUid, *tasks: str) -> None:
    for task in tasks:
        slots.want(run, TaskId(task), 0.0)


def test_no_more_slots_than_the_limit() -> None:
    slots = Slots(2)
    want(slots, A, "x", "y", "z")
    assert granted(slots, 3) == [(A, "x"), (A, "y"), None]
    slots.give_back(A, TaskId("x"))
    assert granted(slots, 2) == [(A, "z"), None]


def test_runs_take_turns() -> None:
    slots = Slots(4)
    want(slots, A, "1", "2", "3", "4")
    want(slots, B, "1")
    want(slots, C, "1", "2")
    assert granted(slots, 4) == [(A, "1"), (B, "1"), (C, "1"), (A, "2")]


def test_a_step_that_gives_its_turn_back_is_passed_over() -> None:
    slots = Slots(1)
    want(slots, A, "x", "y")
    slots.give_back(A, TaskId("x"))
    assert (slots.waiting, slots.grant()) == (1, (A, "y"))


def test_a_step_asks_twice_and_is_granted_once() -> None:
    slots = Slots(2)
    want(slots, A, "x", "x")
    assert granted(slots, 2) == [(A, "x"), None]
    want(slots, A, "x")
    assert slots.grant() is None


def test_kept_slots_count_even_above_the_limit() -> None:
    slots = Slots(1)
    slots.keep(A, TaskId("x"))
    slots.keep(A, TaskId("y"))
    want(slots, B, "z")
    assert (slots.held, slots.grant()) == (2, None)
    slots.give_back(A, TaskId("x"))
    assert slots.grant() is None
    slots.give_back(A, TaskId("y"))
    assert slots.grant() == (B, "z")


def test_a_dropped_run_leaves_its_slots_to_others() -> None:
    slots = Slots(1)
    want(slots, A, "x", "y")
    want(slots, B, "z")
    slots.grant()
    slots.drop(A)
    assert (slots.held, slots.waiting, slots.grant()) == (0, 1, (B, "z"))


def test_the_longest_wait_is_known() -> None:
    slots = Slots(1)
    assert slots.waiting_since is None
    slots.want(A, TaskId("x"), 5.0)
    slots.want(B, TaskId("y"), 7.0)
    slots.grant()
    assert slots.waiting_since == 7.0


def test_a_higher_priority_comes_first() -> None:
    slots = Slots(3)
    want(slots, A, "1", "2")
    slots.set_limits(B, RunLimits(priority=1))
    want(slots, B, "1", "2")
    assert granted(slots, 3) == [(B, "1"), (B, "2"), (A, "1")]


def test_a_priority_that_is_raised_counts_for_the_next_slot() -> None:
    slots = Slots(2)
    want(slots, A, "1", "2")
    want(slots, B, "1")
    slots.grant()
    slots.set_limits(A, RunLimits(priority=1))
    assert slots.grant() == (A, "2")


def test_a_run_takes_no_more_slots_than_it_may_at_a_time() -> None:
    slots = Slots(9)
    slots.set_limits(A, RunLimits(max_parallel_tasks=2))
    want(slots, A, "1", "2", "3")
    want(slots, B, "1")
    assert granted(slots, 4) == [(A, "1"), (B, "1"), (A, "2"), None]
    slots.give_back(A, TaskId("1"))
    assert granted(slots, 2) == [(A, "3"), None]


def test_a_bound_that_is_lifted_lets_the_others_start() -> None:
    slots = Slots(9)
    slots.set_limits(A, RunLimits(max_parallel_tasks=1))
    want(slots, A, "1", "2")
    assert granted(slots, 2) == [(A, "1"), None]
    slots.set_limits(A, RunLimits())
    assert slots.grant() == (A, "2")


def test_the_run_that_holds_the_fewest_slots_comes_first() -> None:
    slots = Slots(4)
    want(slots, A, "1", "2", "3")
    assert granted(slots, 2) == [(A, "1"), (A, "2")]
    want(slots, B, "1", "2")
    assert granted(slots, 2) == [(B, "1"), (B, "2")]
