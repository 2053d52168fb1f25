"""Results of earlier runs, and of steps that run at the same time, in the plan."""

from penstock_server.engine import reasons
from penstock_server.engine.history import check
from penstock_server.engine.inputs import CacheAnswered, CacheHit, CancelRequested, TwinEnded, TwinFound
from penstock_server.model.ids import RunUid, TaskId
from penstock_server.model.resources import CachePolicy, TaskValues
from penstock_server.model.states import RunState, TaskState
from tests.engine.world import World, flat, new_run


def test_a_cached_step_asks_before_it_queues() -> None:
    world = World(flat({"a": ()}, cached=True)).begin()
    assert (world.waiting, len(world.lookups)) == ([], 1)
    world.crash()
    assert (world.waiting, len(world.lookups)) == ([], 1)
    world.answer(CacheAnswered(TaskId("a"), None))
    world.succeed("a")
    assert world.run_state() is RunState.SUCCEEDED


def test_a_cached_step_that_was_tried_asks_no_more() -> None:
    world = World(flat({"a": ()}, retries=1, cached=True)).begin()
    world.answer(CacheAnswered(TaskId("a"), None))
    world.fail("a")
    world.crash()
    assert (world.waiting, world.lookups) == (["a"], [])


def test_why_a_step_runs_all_the_same_is_kept_also_over_a_crash() -> None:
    world = World(flat({"a": ()}, cached=True)).begin()
    for note in ("old", "new"):
        world.answer(CacheAnswered(TaskId("a"), None, note))
        if note == "old":
            world.crash()
    world.succeed("a")
    assert world.rows.tasks[TaskId("a")].cache_note == "new"


def test_a_step_waits_for_one_that_does_the_same_and_takes_its_results() -> None:
    world = World(flat({"a": ()}, cached=True)).begin()
    world.answer(CacheAnswered(TaskId("a"), None))
    world.send(TwinFound(TaskId("a"), "run r task t"))
    assert (world.rows.tasks[TaskId("a")].reason, world.waiting) == (reasons.WAITING_FOR_TWIN, [])
    world.send(TwinEnded(TaskId("a")))
    assert len(world.lookups) == 1
    world.answer(CacheAnswered(TaskId("a"), CacheHit(RunUid(world.run.uid), TaskId("t"), TaskValues())))
    assert (world.run_state(), world.launches) == (RunState.SUCCEEDED, [])


def test_a_step_whose_twin_has_left_nothing_runs_itself() -> None:
    world = World(flat({"a": ()}, cached=True)).begin()
    world.answer(CacheAnswered(TaskId("a"), None))
    world.send(TwinFound(TaskId("a"), "run r task t"))
    world.crash()
    world.answer(CacheAnswered(TaskId("a"), None))
    world.succeed("a")
    assert world.run_state() is RunState.SUCCEEDED
    assert check(world.rows.events) == []


def test_a_step_that_is_cancelled_waits_for_no_twin() -> None:
    world = World(flat({"a": ()}, cached=True)).begin()
    world.answer(CacheAnswered(TaskId("a"), None))
    world.send(TwinFound(TaskId("a"), "run r task t"))
    world.send(CancelRequested(reasons.CANCEL_REQUESTED, ""))
    world.send(TwinEnded(TaskId("a")))
    assert (world.run_state(), world.lookups) == (RunState.CANCELLED, [])


def test_a_hit_reuses_the_outputs_and_starts_nothing() -> None:
    world = World(flat({"a": ()}, cached=True)).begin()
    source = RunUid(world.run.uid), TaskId("other")
    world.answer(CacheAnswered(TaskId("a"), CacheHit(*source, TaskValues({"o": 1}))))
    task = world.rows.tasks[TaskId("a")]
    assert (task.state, task.reason, task.outputs.parameters) == (
        TaskState.SUCCEEDED,
        reasons.CACHED,
        {"o": 1},
    )
    assert (task.cached_run_uid, task.cached_task_id) == source
    assert world.launches == []
    assert check(world.rows.events) == []


def test_a_refreshing_run_offers_results_but_reads_none() -> None:
    world = World(flat({"a": ()}, cached=True), new_run(cache_policy=CachePolicy.REFRESH)).begin()
    assert (world.waiting, world.lookups) == (["a"], [])
    assert world.rows.tasks[TaskId("a")].cache_key is not None


def test_a_run_with_caching_disabled_has_no_keys() -> None:
    world = World(flat({"a": ()}, cached=True), new_run(cache_policy=CachePolicy.DISABLED)).begin()
    assert world.waiting == ["a"]
    assert world.rows.tasks[TaskId("a")].cache_key is None
