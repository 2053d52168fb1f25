"""States and errors as KFP's words."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from google.rpc.code_pb2 import Code

from penstock.kfp.v2beta1 import run_pb2 as pb
from penstock_server.compat.states import (
    RUN_STATES,
    TASK_STATES,
    RunStates,
    is_tried_again,
    run_error,
    task_error,
    tell_task,
)
from penstock_server.model.states import RunState, TaskState
from penstock_server.store.kfp_histories import KfpTask, Move
from tests.compat.records import at, move, run, task

WAITED_FOR = frozenset({pb.SUCCEEDED, pb.FAILED, pb.SKIPPED})
"""After these `kfp.Client.wait_for_run_completion` returns."""


def test_every_state_has_a_word() -> None:
    assert set(RUN_STATES) == set(RunState)
    assert set(TASK_STATES) == set(TaskState)


@pytest.mark.parametrize("state", RunState)
def test_a_wait_for_a_run_ends_exactly_when_the_run_has(state: RunState) -> None:
    assert (RunStates().of(state) in WAITED_FOR) == state.is_final


def test_a_cancelled_run_can_be_told_as_canceled() -> None:
    assert RunStates.ending_as("CANCELED").of(RunState.CANCELLED) == pb.CANCELED


def test_the_history_tells_each_state_in_order_and_why_the_run_ended_so() -> None:
    moves = [
        move(1, None, RunState.PENDING),
        move(3, RunState.PENDING, RunState.RUNNING),
        move(5, RunState.RUNNING, RunState.CANCELLING),
        replace(move(6, RunState.CANCELLING, RunState.CANCELLED), message="too slow"),
    ]
    history = pb.Run().state_history
    RunStates().tell(history, moves)
    assert [entry.state for entry in history] == [pb.PENDING, pb.RUNNING, pb.CANCELING, pb.CANCELED]
    assert [entry.update_time.ToDatetime(at(0).tzinfo) for entry in history] == [at(1), at(3), at(5), at(6)]
    assert [entry.error.message for entry in history] == ["", "", "", "too slow"]


@pytest.mark.parametrize(
    ("state", "reason", "message", "code", "told"),
    [
        (
            RunState.FAILED,
            "TASK_FAILED",
            "task train failed: exit code 1",
            Code.UNKNOWN,
            "task train failed: exit code 1",
        ),
        (RunState.FAILED, "DEADLINE_EXCEEDED", "", Code.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
        (RunState.CANCELLED, "CANCEL_REQUESTED", "too slow", Code.CANCELLED, "too slow"),
    ],
)
def test_a_run_that_did_not_succeed_says_why(state: RunState, reason: str, message: str, code: int, told: str) -> None:
    error = run_error(run(state=state, reason=reason, message=message))
    assert error is not None
    assert (error.code, error.message) == (code, told)


@pytest.mark.parametrize("state", [RunState.PENDING, RunState.RUNNING, RunState.CANCELLING, RunState.SUCCEEDED])
def test_other_runs_have_no_error(state: RunState) -> None:
    assert run_error(run(state=state, reason="STARTED")) is None


def test_a_task_that_failed_says_why() -> None:
    error = task_error(task("train", state=TaskState.FAILED, reason="EXIT_CODE", message="exit code 1"))
    assert error is not None
    assert (error.code, error.message) == (Code.UNKNOWN, "exit code 1")


def told(task: KfpTask, moves: Sequence[Move] = ()) -> Sequence[pb.RuntimeStatus]:
    history = pb.PipelineTaskDetail().state_history
    tell_task(history, task, moves)
    return history


def test_the_history_of_a_task_is_what_it_has_been_through() -> None:
    done = task("train", state=TaskState.SUCCEEDED, start_time=at(2), end_time=at(3))
    assert [entry.state for entry in told(done)] == [pb.PENDING, pb.RUNNING, pb.SUCCEEDED]
    assert [entry.state for entry in told(task("train"))] == [pb.PENDING]


def task_move(sequence: int, after: TaskState, reason: str = "", message: str = "") -> Move:
    """A move of the task, a second after its last one."""
    return Move(after, reason, message, at(sequence))


def test_the_history_of_a_task_that_was_tried_again_tells_each_try_and_why() -> None:
    moves = [
        task_move(1, TaskState.PENDING),
        task_move(2, TaskState.QUEUED, "WAITING_FOR_SLOT"),
        task_move(3, TaskState.RUNNING),
        task_move(4, TaskState.QUEUED, "WAITING_FOR_RETRY", "attempt 1: exit code 1"),
        task_move(5, TaskState.RUNNING),
        task_move(6, TaskState.FAILED, "EXIT_CODE", "exit code 2"),
        task_move(7, TaskState.PENDING, "RETRY_REQUESTED"),
        task_move(8, TaskState.SUCCEEDED),
    ]
    history = told(task("train", state=TaskState.SUCCEEDED, attempt_count=3), moves)
    assert [(entry.state, entry.update_time.ToDatetime(at(0).tzinfo), entry.error.message) for entry in history] == [
        (pb.PENDING, at(1), ""),
        (pb.RUNNING, at(3), ""),
        (pb.PENDING, at(4), "attempt 1: exit code 1"),
        (pb.RUNNING, at(5), ""),
        (pb.FAILED, at(6), "exit code 2"),
        (pb.PENDING, at(7), ""),
        (pb.SUCCEEDED, at(8), ""),
    ]


@pytest.mark.parametrize(
    ("values", "again"),
    [
        ({"attempt_count": 1, "state": TaskState.RUNNING, "start_time": at(1)}, False),
        ({"attempt_count": 2}, True),
        ({"attempt_count": 1, "state": TaskState.QUEUED, "start_time": at(1)}, True),
    ],
)
def test_a_task_is_tried_again_once_an_attempt_has_failed(values: dict[str, Any], *, again: bool) -> None:
    assert is_tried_again(task("train", **values), [move(1, None, RunState.PENDING)]) == again


def test_every_task_of_a_retried_run_may_have_been_tried_again() -> None:
    moves = [move(1, None, RunState.PENDING), move(9, RunState.FAILED, RunState.PENDING)]
    assert is_tried_again(task("root", None), moves)


def test_the_history_of_a_task_that_was_skipped_says_why() -> None:
    skipped = task("train", state=TaskState.SKIPPED, reason="CONDITION_FALSE", message="the condition is false: 1 > 2")
    skipped_entry = told(skipped)[-1]
    assert (skipped_entry.state, skipped_entry.error.message) == (pb.SKIPPED, "the condition is false: 1 > 2")
    assert task_error(skipped) is None
