"""What follows from what: one run, driven by hand, without a database."""

import pytest

from penstock_server.engine import reasons
from penstock_server.engine.effects import (
    Adopt,
    Finished,
    Forget,
    KeepSlot,
    Launch,
    Stop,
    WaitForDeadline,
    WaitForRetry,
    WantSlot,
)
from penstock_server.engine.history import check
from penstock_server.engine.inputs import (
    CancelRequested,
    DeadlinePassed,
    LaunchRefused,
    Observed,
    RetryDue,
    RetryRequested,
)
from penstock_server.engine.steps import WAITS_MAX
from penstock_server.launch.base import Observation, Phase
from penstock_server.model.changes import AttemptMove, Notice, TaskMove
from penstock_server.model.ids import ROOT_TASK, AttemptId, TaskId
from penstock_server.model.states import AttemptState, FailureClass, RunState, TaskState
from penstock_server.spec.graph import Constant, DagInput, ParameterBinding, TaskOutput
from tests.engine.world import World, dag, flat, new_run, pipeline, spec, step

CHAIN = {"a": (), "b": ("a",), "c": ("b",)}
DIAMOND = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}


def nested() -> World:
    """`outer` holds `x` then `y`; `after` waits for `outer`."""
    inner = dag("inner", spec("x"), spec("y", after=["x"]))
    return World(pipeline(dag("root", spec("outer", "inner"), spec("after", after=["outer"])), inner)).begin()


def test_a_taken_run_starts_and_creates_its_tasks() -> None:
    world = World(flat(CHAIN)).begin()
    assert world.run_state() is RunState.RUNNING
    assert world.states() == {"a": "QUEUED", "b": "PENDING", "c": "PENDING"}
    assert world.waiting == ["a"]


def test_a_pending_task_says_what_it_waits_for() -> None:
    task = World(flat(DIAMOND)).begin().rows.tasks[TaskId("d")]
    assert (task.reason, task.message) == (reasons.WAITING_FOR_UPSTREAM, "waits for b, c")


def test_a_long_list_of_upstreams_is_cut() -> None:
    many = {f"s{i:02}": () for i in range(30)}
    task = World(flat({**many, "last": tuple(many)})).begin().rows.tasks[TaskId("last")]
    assert task.message.endswith("s09 and 20 more")


def test_a_slot_starts_an_attempt() -> None:
    world = World(flat(CHAIN)).begin()
    decisions = world.grant("a")
    assert decisions.effects == [Launch(TaskId("a"), 1)]
    assert world.state("a") is TaskState.RUNNING
    assert world.rows.attempts[TaskId("a"), 1].state is AttemptState.LAUNCHING


def test_the_end_of_a_step_queues_what_waited_for_it() -> None:
    world = World(flat(DIAMOND)).begin()
    world.succeed("a")
    assert world.waiting == ["b", "c"]
    world.succeed("b")
    assert world.waiting == ["c"]


def test_a_run_succeeds_when_all_tasks_have() -> None:
    world = World(flat(DIAMOND)).begin()
    world.succeed("a", "b", "c", "d")
    assert world.run_state() is RunState.SUCCEEDED
    assert world.effects[-1] == Finished()
    assert check(world.rows.events) == []


def test_a_failed_task_skips_what_waits_for_it_and_nothing_else() -> None:
    world = World(flat({**DIAMOND, "z": ()})).begin()
    world.fail("a")
    assert world.states() == {"a": "FAILED", "b": "SKIPPED", "c": "SKIPPED", "d": "SKIPPED", "z": "QUEUED"}
    assert world.run_state() is RunState.RUNNING
    world.succeed("z")
    assert world.run_state() is RunState.FAILED
    assert check(world.rows.events) == []


def test_skipped_tasks_say_why() -> None:
    world = World(flat(CHAIN)).begin()
    world.fail("a")
    b, c = (world.rows.tasks[TaskId(key)] for key in "bc")
    assert (b.reason, b.message) == (reasons.UPSTREAM_FAILED, "a failed")
    assert (c.reason, c.message) == (reasons.UPSTREAM_SKIPPED, "b was skipped since a failed")


def test_a_failed_run_names_the_first_failure_with_its_log() -> None:
    world = World(flat({"a": (), "b": ()})).begin()
    world.fail("b", log_tail="Traceback\nboom")
    world.fail("a")
    run = world.rows.run
    assert (run.state, run.reason, run.failed_task_id) == (RunState.FAILED, reasons.TASK_FAILED, "b")
    assert run.message == "task b failed: exit code 3\nlast log lines:\nTraceback\nboom"


def test_a_deep_chain_of_skips_needs_no_deep_stack() -> None:
    length = 5000
    world = World(flat({f"s{i}": (f"s{i - 1}",) if i else () for i in range(length)})).begin()
    world.fail("s0")
    assert world.run_state() is RunState.FAILED
    assert world.state(f"s{length - 1}") is TaskState.SKIPPED


def test_a_sub_dag_starts_its_tasks_and_ends_with_the_last() -> None:
    world = nested()
    assert world.states() == {
        "outer": "RUNNING",
        "after": "PENDING",
        "outer.x": "QUEUED",
        "outer.y": "PENDING",
    }
    world.succeed("outer.x", "outer.y")
    assert world.state("outer") is TaskState.SUCCEEDED
    world.succeed("after")
    assert world.run_state() is RunState.SUCCEEDED


def test_a_failure_in_a_sub_dag_fails_it_and_the_run() -> None:
    world = nested()
    world.fail("outer.x")
    assert world.states() == {
        "outer": "FAILED",
        "after": "SKIPPED",
        "outer.x": "FAILED",
        "outer.y": "SKIPPED",
    }
    assert world.rows.tasks[TaskId("outer")].message == "x failed"
    assert world.rows.run.failed_task_id == "outer.x"


def test_an_empty_dag_succeeds_at_once() -> None:
    world = World(pipeline(dag("root"))).begin()
    assert world.run_state() is RunState.SUCCEEDED


def test_outputs_travel_through_sub_dags_to_the_run() -> None:
    inner = dag("inner", spec("x"), outputs={"o": TaskOutput("x", "o")})
    root = dag("root", spec("outer", "inner"), outputs={"result": TaskOutput("outer", "o")})
    world = World(pipeline(root, inner)).begin()
    world.succeed("outer.x", o=7)
    assert world.rows.run.outputs == {"result": 7}


def test_resolved_inputs_are_stored_when_the_task_is_queued() -> None:
    bindings = {"lr": ParameterBinding(Constant(0.5))}
    root = dag("root", spec("a", "trains", parameters=bindings))
    world = World(pipeline(root, step("trains", needs=["lr"]))).begin()
    assert world.rows.tasks[TaskId("a")].inputs.parameters == {"lr": 0.5}


def test_a_step_whose_inputs_cannot_be_resolved_fails_with_the_reason() -> None:
    bindings = {"lr": ParameterBinding(DagInput("nowhere"))}
    root = dag("root", spec("a", "trains", parameters=bindings))
    world = World(pipeline(root, step("trains", needs=["lr"]))).begin()
    task = world.rows.tasks[TaskId("a")]
    assert (task.state, task.reason) == (TaskState.FAILED, "INPUT_MISSING")
    assert world.rows.run.failed_task_id == "a"


def test_a_failure_is_retried_as_often_as_the_policy_says() -> None:
    world = World(flat({"a": ()}, retries=2)).begin()
    world.fail("a")
    world.fail("a")
    assert world.state("a") is TaskState.QUEUED
    world.fail("a")
    assert world.state("a") is TaskState.FAILED
    assert [attempt.number for attempt in world.launches] == [1, 2, 3]
    assert check(world.rows.events) == []


def test_a_retry_waits_for_its_back_off() -> None:
    world = World(pipeline(dag("root", spec("a", retries=3, backoff_s=10)))).begin()
    world.fail("a")
    assert world.effects[-1] == WaitForRetry(TaskId("a"), 10.0)
    assert world.waiting == []
    world.send(RetryDue(TaskId("a")))
    world.fail("a")
    assert world.effects[-1] == WaitForRetry(TaskId("a"), 20.0)
    task = world.rows.tasks[TaskId("a")]
    assert task.reason == reasons.WAITING_FOR_RETRY
    assert task.message == "attempt 2 failed (exit code 3); the next one starts in 20 s"


def test_the_policy_of_a_dag_holds_for_the_steps_in_it() -> None:
    inner = dag("inner", spec("x"))
    world = World(pipeline(dag("root", spec("outer", "inner", retries=1)), inner)).begin()
    world.fail("outer.x")
    assert world.state("outer.x") is TaskState.QUEUED


def test_losses_have_a_bound_of_their_own() -> None:
    world = World(flat({"a": ()})).begin()
    for delayed in (False, True, True):
        world.grant("a")
        world.see("a", Phase.LOST, reason="PROCESS_GONE")
        assert world.state("a") is TaskState.QUEUED
        if delayed:
            world.send(RetryDue(TaskId("a")))
    world.grant("a")
    world.see("a", Phase.LOST, reason="PROCESS_GONE")
    task = world.rows.tasks[TaskId("a")]
    assert (task.state, task.reason) == (TaskState.FAILED, "PROCESS_GONE")
    assert task.message == "4 attempts were lost, the last one: PROCESS_GONE"


def test_attempts_that_failed_by_their_environment_are_not_told_as_lost() -> None:
    world = World(flat({"a": ()})).begin()
    for delayed in (False, True, True, False):
        world.fail("a", reason="ENVIRONMENT_FAILED", message="no network")
        if delayed:
            world.send(RetryDue(TaskId("a")))
    task = world.rows.tasks[TaskId("a")]
    assert (task.state, task.message) == (TaskState.FAILED, "4 attempts failed, the last one: no network")


def test_what_has_waited_as_long_as_it_may_is_not_tried_again_whatever_retries_are_left() -> None:
    world = World(flat({"a": ()}, retries=2)).begin()
    world.fail("a")
    world.fail("a", reason="UNSCHEDULABLE", message="no node")
    task = world.rows.tasks[TaskId("a")]
    assert (task.state, task.reason, task.message) == (TaskState.FAILED, "UNSCHEDULABLE", "no node")
    assert [attempt.number for attempt in world.launches] == [1, 2]


def test_a_launcher_that_cannot_start_the_step_is_no_fault_of_the_step() -> None:
    world = World(flat({"a": ()})).begin()
    world.fail("a", reason="START_FAILED", message="no fork")
    assert world.state("a") is TaskState.QUEUED


def test_a_refused_launch_counts_as_a_loss_and_is_stopped_all_the_same() -> None:
    world = World(flat({"a": ()})).begin()
    world.grant("a")
    decisions = world.send(LaunchRefused(TaskId("a"), 1, "no answer"))
    assert Stop(TaskId("a"), 1) in decisions.effects
    assert world.rows.attempts[TaskId("a"), 1].state is AttemptState.LOST
    assert world.waiting == ["a"]


def test_a_late_or_repeated_observation_changes_nothing() -> None:
    world = World(flat(CHAIN)).begin()
    world.succeed("a")
    assert world.see("a", Phase.STARTED).changes == []
    assert world.see("a", Phase.FAILED).changes == []


def test_the_end_of_an_earlier_attempt_says_nothing_of_the_present_one() -> None:
    world = World(flat({"a": ()}, retries=1)).begin()
    world.fail("a")
    world.grant("a")
    earlier = AttemptId(world.run.uid, TaskId("a"), 1)
    decisions = world.send(Observed(Observation(earlier, Phase.FAILED)))
    assert (decisions.changes, decisions.effects) == ([], [Forget(TaskId("a"), 1, None)])
    assert world.state("a") is TaskState.RUNNING


def test_what_the_user_should_know_becomes_a_notice_once() -> None:
    world = World(flat({"a": ()})).begin()
    world.grant("a")
    notices = (("SETTINGS_IGNORED", "there are no images here"),)
    decisions = world.see("a", Phase.STARTED, notices=notices)
    assert decisions.changes[0] == Notice("SETTINGS_IGNORED", "there are no images here", TaskId("a"), 1)
    assert world.see("a", Phase.STARTED, notices=notices).changes == []


# What an attempt waits for in the launcher.

SHORT_OF_CPU = {"reason": "UNSCHEDULABLE", "message": "0/3 nodes are available: 3 Insufficient cpu."}


def test_what_an_attempt_waits_for_is_told_of_it_and_of_its_task_once() -> None:
    world = World(flat({"a": ()})).begin()
    world.grant("a")
    decisions = world.see("a", Phase.PENDING, handle="n/p", **SHORT_OF_CPU)
    told = [(type(change), change.from_state, change.to_state) for change in decisions.changes]  # type: ignore[union-attr]  # they are moves
    assert told == [
        (AttemptMove, AttemptState.LAUNCHING, AttemptState.LAUNCHING),
        (TaskMove, TaskState.RUNNING, TaskState.RUNNING),
    ]
    attempt, task = world.rows.attempts[TaskId("a"), 1], world.rows.tasks[TaskId("a")]
    assert (attempt.state, attempt.reason, attempt.handle) == (AttemptState.LAUNCHING, "UNSCHEDULABLE", "n/p")
    assert (task.state, task.reason, task.message) == (TaskState.RUNNING, *SHORT_OF_CPU.values())
    assert world.see("a", Phase.PENDING, handle="n/p", **SHORT_OF_CPU).changes == []


def test_each_change_of_what_it_waits_for_is_told_up_to_a_bound() -> None:
    world = World(flat({"a": ()})).begin()
    world.grant("a")
    for number in range(WAITS_MAX + 5):
        world.see("a", Phase.PENDING, reason="UNSCHEDULABLE", message=f"{number} nodes")
    assert world.rows.tasks[TaskId("a")].message == f"{WAITS_MAX - 1} nodes"
    world.see("a", Phase.STARTED)
    assert world.rows.tasks[TaskId("a")].reason == "STARTED"


def test_a_server_that_takes_over_does_not_tell_it_again() -> None:
    world = World(flat({"a": ()})).begin()
    world.grant("a")
    world.see("a", Phase.PENDING, **SHORT_OF_CPU)
    world.crash()
    assert world.see("a", Phase.PENDING, **SHORT_OF_CPU).changes == []
    assert world.see("a", Phase.PENDING, host="node-1", reason="POD_INITIALIZING").changes != []


def test_what_is_about_to_end_one_that_runs_is_told_of_its_task_once() -> None:
    world = World(flat({"a": ()})).begin()
    world.grant("a")
    world.see("a", Phase.STARTED)
    going = {"reason": "POD_TERMINATING", "message": "the pod is being deleted"}
    world.see("a", Phase.STARTED, **going)
    attempt, task = world.rows.attempts[TaskId("a"), 1], world.rows.tasks[TaskId("a")]
    assert (attempt.state, task.state) == (AttemptState.RUNNING, TaskState.RUNNING)
    assert (task.reason, task.message) == tuple(going.values())
    assert world.see("a", Phase.STARTED, **going).changes == []


def test_one_that_runs_is_not_told_to_wait() -> None:
    world = World(flat({"a": ()})).begin()
    world.grant("a")
    world.see("a", Phase.STARTED)
    assert world.see("a", Phase.PENDING, **SHORT_OF_CPU).changes == []


@pytest.mark.parametrize("reason", ["POLICY_DENIED", "POD_REFUSED", "SETTING_INVALID"])
def test_what_no_further_attempt_would_change_is_not_tried_again(reason: str) -> None:
    world = World(flat({"a": ()}, retries=3)).begin()
    world.grant("a")
    world.see("a", Phase.FAILED, reason=reason, message="no")
    assert world.state("a") is TaskState.FAILED
    assert world.rows.attempts[TaskId("a"), 1].failure_class is FailureClass.ENVIRONMENT


# Cancel and deadline.


def test_cancel_stops_what_lives_and_ends_what_waits() -> None:
    world = World(flat({"a": (), "b": (), "c": ("a",)})).begin()
    world.grant("a")
    decisions = world.send(CancelRequested(reasons.CANCEL_REQUESTED, "enough"))
    assert Stop(TaskId("a"), 1) in decisions.effects
    assert world.states() == {"a": "RUNNING", "b": "CANCELLED", "c": "CANCELLED"}
    assert (world.rows.run.state, world.rows.run.message) == (RunState.CANCELLING, "enough")
    world.see("a", Phase.STOPPED, reason="STOPPED")
    assert world.run_state() is RunState.CANCELLED
    assert world.state("a") is TaskState.CANCELLED
    assert check(world.rows.events) == []


def test_a_run_without_live_attempts_is_cancelled_at_once() -> None:
    world = nested()
    world.send(CancelRequested(reasons.CANCEL_REQUESTED, ""))
    assert world.run_state() is RunState.CANCELLED
    assert set(world.states().values()) == {"CANCELLED"}


def test_a_run_is_cancelled_before_it_began() -> None:
    world = World(flat(CHAIN))
    world.send(CancelRequested(reasons.CANCEL_REQUESTED, ""))
    assert world.run_state() is RunState.CANCELLED
    assert world.states() == {}
    assert check(world.rows.events) == []


def test_a_step_that_fails_while_the_run_is_cancelled_is_not_retried() -> None:
    world = World(flat({"a": ()}, retries=5)).begin()
    world.grant("a")
    world.send(CancelRequested(reasons.CANCEL_REQUESTED, ""))
    world.see("a", Phase.FAILED, reason="EXIT_CODE")
    assert world.state("a") is TaskState.FAILED
    assert world.run_state() is RunState.CANCELLED


def test_a_second_cancel_changes_nothing() -> None:
    world = World(flat({"a": ()})).begin()
    world.grant("a")
    world.send(CancelRequested(reasons.CANCEL_REQUESTED, "first"))
    assert world.send(CancelRequested(reasons.CANCEL_REQUESTED, "second")).changes == []


def test_a_slot_that_comes_after_the_cancel_is_given_back() -> None:
    world = World(flat({"a": ()})).begin()
    world.send(CancelRequested(reasons.CANCEL_REQUESTED, ""))
    world.waiting.append(TaskId("a"))
    assert world.grant("a").changes == []


def test_a_run_past_its_deadline_fails() -> None:
    world = World(flat({"a": (), "b": ("a",)}), new_run(deadline_s=60)).begin()
    assert WaitForDeadline(60) in world.effects
    world.grant("a")
    world.send(DeadlinePassed())
    assert world.run_state() is RunState.CANCELLING
    assert world.rows.tasks[TaskId("b")].reason == reasons.DEADLINE_EXCEEDED
    world.see("a", Phase.STOPPED)
    assert (world.rows.run.state, world.rows.run.reason) == (RunState.FAILED, reasons.DEADLINE_EXCEEDED)


# Retry of a finished run.


def test_a_retried_run_keeps_what_succeeded_and_runs_the_rest() -> None:
    world = World(flat(CHAIN)).begin()
    world.succeed("a")
    world.fail("b")
    assert world.run_state() is RunState.FAILED
    world.send(RetryRequested())
    assert world.states() == {"a": "SUCCEEDED", "b": "QUEUED", "c": "PENDING"}
    assert (world.rows.run.state, world.rows.run.failed_task_id) == (RunState.RUNNING, None)
    world.succeed("b", "c")
    assert world.run_state() is RunState.SUCCEEDED
    assert check(world.rows.events) == []


def test_a_retried_run_reopens_the_dags_around_what_failed() -> None:
    world = nested()
    world.succeed("outer.x")
    world.fail("outer.y")
    world.crash()
    world.send(RetryRequested())
    assert world.waiting == ["outer.y"]
    world.succeed("outer.y", "after")
    assert world.run_state() is RunState.SUCCEEDED
    assert check(world.rows.events) == []


def test_a_run_cancelled_before_it_began_can_be_retried() -> None:
    world = World(flat(CHAIN))
    world.send(CancelRequested(reasons.CANCEL_REQUESTED, ""))
    world.crash()
    world.send(RetryRequested())
    world.succeed("a", "b", "c")
    assert world.run_state() is RunState.SUCCEEDED


def test_a_retry_gives_each_step_its_retries_again() -> None:
    world = World(flat({"a": ()}, retries=1)).begin()
    world.fail("a")
    world.fail("a")
    world.crash()
    world.send(RetryRequested())
    world.fail("a")
    assert world.state("a") is TaskState.QUEUED
    assert world.launches[-1].number == 3


def test_a_run_under_way_or_succeeded_is_not_retried() -> None:
    world = World(flat({"a": ()})).begin()
    assert world.send(RetryRequested()).changes == []
    world.succeed("a")
    assert world.send(RetryRequested()).changes == []


# Taking over.


def test_a_new_owner_asks_for_the_same_slots_and_attempts() -> None:
    world = World(flat({"a": (), "b": (), "c": ("a",)})).begin()
    world.grant("a")
    world.see("a", Phase.STARTED)
    decisions = world.crash()
    assert decisions.effects == [Adopt(TaskId("a"), 1)]
    assert decisions.asks == [KeepSlot(TaskId("a")), WantSlot(TaskId("b"))]
    world.see("a", Phase.SUCCEEDED)
    world.succeed("b", "c")
    assert world.run_state() is RunState.SUCCEEDED


def test_a_new_owner_of_a_run_being_cancelled_stops_its_attempts() -> None:
    world = World(flat({"a": ()})).begin()
    world.grant("a")
    world.send(CancelRequested(reasons.CANCEL_REQUESTED, ""))
    world.crash()
    assert world.effects == [Stop(TaskId("a"), 1), Adopt(TaskId("a"), 1)]
    world.see("a", Phase.STOPPED)
    assert world.run_state() is RunState.CANCELLED


def test_a_new_owner_waits_out_the_rest_of_a_back_off() -> None:
    world = World(pipeline(dag("root", spec("a", retries=1, backoff_s=10)))).begin()
    world.fail("a")
    world.rows.write([])
    world.crash()
    assert world.effects == [WaitForRetry(TaskId("a"), 9.0)]


def test_a_new_owner_keeps_count_of_the_failures() -> None:
    world = World(flat({"a": ()}, retries=1)).begin()
    world.fail("a")
    world.crash()
    world.fail("a")
    assert world.state("a") is TaskState.FAILED


def test_a_new_owner_knows_what_failed_first() -> None:
    world = World(flat({"a": (), "b": ()})).begin()
    world.fail("b")
    world.crash()
    world.fail("a")
    assert world.rows.run.failed_task_id == "b"


def test_a_new_owner_waits_for_the_rest_of_the_deadline() -> None:
    world = World(flat({"a": ()}), new_run(deadline_s=60)).begin()
    world.rows.write([])
    world.crash()
    assert WaitForDeadline(59) in world.effects


def test_every_task_move_has_a_reason() -> None:
    world = World(flat(DIAMOND)).begin()
    moves = [world.grant("a"), world.see("a", Phase.STARTED), world.see("a", Phase.SUCCEEDED)]
    assert all(c.reason for d in moves for c in d.changes if isinstance(c, TaskMove))
    assert world.rows.tasks[ROOT_TASK].reason == reasons.STARTED
