"""The checker finds what is wrong, told by histories that were spoilt."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from penstock_server.engine.history import check
from penstock_server.model.ids import TaskId
from penstock_server.model.resources import Event, EventSubject
from penstock_server.model.states import AttemptState, RunState, TaskState
from tests.engine.world import World, flat

Spoil = Callable[[list[Event]], list[Event]]


def history() -> list[Event]:
    world = World(flat({"a": (), "b": ("a",)})).begin()
    world.succeed("a", "b")
    return world.rows.events


def numbered(events: list[Event]) -> list[Event]:
    return [replace(event, sequence=number) for number, event in enumerate(events, start=1)]


def without(subject: EventSubject, to: str) -> Spoil:
    def spoil(events: list[Event]) -> list[Event]:
        index = next(i for i, e in enumerate(events) if e.subject is subject and e.to_state == to)
        return numbered(events[:index] + events[index + 1 :])

    return spoil


def doubled(subject: EventSubject, to: str) -> Spoil:
    def spoil(events: list[Event]) -> list[Event]:
        index = next(i for i, e in enumerate(events) if e.subject is subject and e.to_state == to)
        return numbered(events[: index + 1] + events[index:])

    return spoil


def second_attempt(events: list[Event]) -> list[Event]:
    index = next(i for i, e in enumerate(events) if e.to_state == AttemptState.LAUNCHING)
    return numbered([*events[: index + 1], replace(events[index], attempt=2), *events[index + 1 :]])


SPOILT: list[tuple[Spoil, str]] = [
    (lambda events: events[1:], "has number 2 where 1 comes next"),
    (lambda events: events[:-1], "the run stands at RUNNING"),
    (without(EventSubject.ATTEMPT, AttemptState.SUCCEEDED), "with a live attempt"),
    (without(EventSubject.ATTEMPT, AttemptState.LAUNCHING), "leaves LAUNCHING but stood at None"),
    (without(EventSubject.TASK, TaskState.RUNNING), "leaves RUNNING but stood at PENDING"),
    (doubled(EventSubject.TASK, TaskState.SUCCEEDED), "went from SUCCEEDED to SUCCEEDED"),
    (doubled(EventSubject.ATTEMPT, AttemptState.LAUNCHING), "leaves None but stood at LAUNCHING"),
    (second_attempt, "attempt 2 of a was made while 1 lives"),
    (doubled(EventSubject.RUN, RunState.SUCCEEDED), "RUN went from SUCCEEDED to SUCCEEDED"),
    (lambda events: [replace(e, reason="") for e in events], "without a reason"),
]


def test_a_good_history_has_no_problems() -> None:
    assert check(history(), dependencies_of=lambda task: [TaskId("a")] if task == "b" else []) == []


@pytest.mark.parametrize(("spoil", "problem"), SPOILT)
def test_a_spoilt_history_is_found_out(spoil: Spoil, problem: str) -> None:
    problems = check(spoil(history()))
    assert any(problem in found for found in problems), problems


def test_a_start_before_its_dependency_is_found_out() -> None:
    problems = check(history(), dependencies_of=lambda task: [TaskId("b")] if task == "a" else [])
    assert any("a started while b stood at PENDING" in found for found in problems)


def test_an_unfinished_run_is_fine_while_it_runs() -> None:
    events = World(flat({"a": ()})).begin().rows.events
    assert check(events, finished=False) == []
    assert check(events) != []
