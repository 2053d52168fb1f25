"""The tables of moves say what the design says."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import pytest

from penstock_server.model.states import (
    ATTEMPT_MOVES,
    RUN_MOVES,
    TASK_MOVES,
    AttemptState,
    RunState,
    TaskState,
)


@pytest.mark.parametrize(
    ("states", "moves"),
    [(RunState, RUN_MOVES), (TaskState, TASK_MOVES), (AttemptState, ATTEMPT_MOVES)],
)
def test_every_state_has_a_row_and_is_reached_from_creation(
    states: type[StrEnum], moves: Mapping[Any, frozenset[Any]]
) -> None:
    assert set(moves) == {None, *states}
    reached: set[Any] = set()
    frontier: set[Any] = {None}
    while frontier:
        following = {to for state in frontier for to in moves[state]}
        frontier = following - reached
        reached |= following
    assert reached == set(states)


@pytest.mark.parametrize("state", [s for s in AttemptState if s.is_final])
def test_an_ended_attempt_never_moves(state: AttemptState) -> None:
    assert ATTEMPT_MOVES[state] == frozenset()


@pytest.mark.parametrize("state", [s for s in TaskState if s.is_final])
def test_an_ended_task_moves_only_when_its_run_is_retried(state: TaskState) -> None:
    assert TASK_MOVES[state] <= {TaskState.PENDING}


@pytest.mark.parametrize("state", [s for s in RunState if s.is_final])
def test_an_ended_run_moves_only_when_it_is_retried(state: RunState) -> None:
    assert RUN_MOVES[state] <= {RunState.PENDING}


def test_what_succeeded_is_kept_but_for_tasks_whose_run_is_retried() -> None:
    assert TASK_MOVES[TaskState.SUCCEEDED] == {TaskState.PENDING}
    assert not RUN_MOVES[RunState.SUCCEEDED]
