"""What steps wait for beside the tasks before them, in the plan: the end of a pause, a slot, so long."""

from dataclasses import replace

from penstock_server.engine import reasons
from penstock_server.engine.effects import WaitForQueue
from penstock_server.engine.inputs import CancelRequested, PauseRequested, QueueTimedOut, ResumeRequested
from penstock_server.launch.base import Phase
from penstock_server.model.ids import TaskId
from penstock_server.model.states import RunState, TaskState
from tests.engine.test_plan_language import guarded, reason
from tests.engine.world import World, dag, new_run, pipeline, spec


def test_nothing_new_starts_while_the_run_is_paused() -> None:
    world = World(pipeline(dag("root", spec("a"), spec("b"), spec("c", after=["a"])))).begin()
    world.grant("a")
    world.send(PauseRequested())
    assert world.waiting == []
    world.see("a", Phase.SUCCEEDED)
    assert reason(world, "b")[0] == reason(world, "c")[0] == reasons.RUN_PAUSED
    world.run.record = replace(world.run.record, pause_time=world.rows.now)
    world.rows.run = replace(world.rows.run, pause_time=world.rows.now)
    world.crash()
    assert world.waiting == []
    world.send(ResumeRequested())
    world.succeed("b", "c")
    assert world.run_state() is RunState.SUCCEEDED


def test_a_paused_run_can_be_cancelled_and_runs_its_exit_tasks() -> None:
    world = World(guarded()).begin()
    world.send(PauseRequested())
    world.send(CancelRequested(reasons.CANCEL_REQUESTED, ""))
    world.succeed("clean")
    assert world.run_state() is RunState.CANCELLED


def test_a_step_that_waits_too_long_for_a_slot_fails() -> None:
    run = replace(new_run(), queue_timeout_s=5.0)
    world = World(pipeline(dag("root", spec("a"))), run).begin()
    timers = [effect for effect in world.effects if isinstance(effect, WaitForQueue)]
    assert [timer.delay_s for timer in timers] == [5.0]
    world.send(QueueTimedOut(TaskId("a"), 1))
    assert reason(world, "a")[0] == reasons.QUEUE_TIMEOUT
    assert world.waiting == []


def test_a_step_that_started_in_time_is_not_timed_out() -> None:
    run = replace(new_run(), queue_timeout_s=5.0)
    world = World(pipeline(dag("root", spec("a"))), run).begin()
    world.grant("a")
    world.send(QueueTimedOut(TaskId("a"), 1))
    assert world.state("a") is TaskState.RUNNING


def test_the_time_of_a_wait_that_a_pause_ended_is_not_that_of_the_next_one() -> None:
    run = replace(new_run(), queue_timeout_s=5.0)
    world = World(pipeline(dag("root", spec("a"))), run).begin()
    world.send(PauseRequested())
    world.send(ResumeRequested())
    world.send(QueueTimedOut(TaskId("a"), 1))
    assert world.state("a") is TaskState.QUEUED
    world.send(QueueTimedOut(TaskId("a"), 2))
    assert world.state("a") is TaskState.FAILED
