"""The language beyond plain DAGs, as the plan carries it out: conditions, loops, exit tasks, importers, pauses."""

from dataclasses import replace

import pytest

from penstock_server.engine import reasons
from penstock_server.engine.effects import Launch, Stop
from penstock_server.engine.inputs import (
    CacheAnswered,
    CacheHit,
    CancelRequested,
    RetryRequested,
)
from penstock_server.launch.base import Phase
from penstock_server.model.ids import TaskId
from penstock_server.model.json import Json
from penstock_server.model.resources import ArtifactValue, TaskKind, TaskValues
from penstock_server.model.states import RunState, TaskState
from penstock_server.spec.graph import ParameterType, PipelineGraph
from tests.engine.language import (
    ITEM,
    at_the_end,
    body,
    given,
    giving,
    importer,
    number,
    over,
    parameter,
    producer,
    states_of,
    taking,
    when,
)
from tests.engine.world import World, dag, new_run, pipeline, spec, step

X = "inputs.parameter_values['x']"


def reason(world: World, task: str) -> tuple[str, str]:
    row = world.rows.tasks[TaskId(task)]
    return row.reason, row.message


def inputs(world: World, task: str) -> dict[str, Json]:
    return dict(world.rows.tasks[TaskId(task)].inputs.parameters)


def conditional(condition: str, value: float = 5.0) -> PipelineGraph:
    branch = taking(dag("branch", spec("inner")), x=number())
    first = when(spec("if", "branch", parameters=given(x=value)), condition)
    return pipeline(dag("root", first, spec("after", after=["if"]), spec("apart")), branch)


def test_a_true_condition_lets_the_branch_run() -> None:
    world = World(conditional(f"int({X}) == 5")).begin()
    world.succeed("apart", "if.inner", "after")
    assert world.run_state() is RunState.SUCCEEDED


def test_a_false_condition_skips_the_branch_and_what_comes_after_it() -> None:
    world = World(conditional(f"{X} > 7.0")).begin()
    world.succeed("apart")
    assert world.states() == {"if": "SKIPPED", "after": "SKIPPED", "apart": "SUCCEEDED"}
    assert reason(world, "if")[0] == reasons.CONDITION_FALSE
    assert "x = 5" in reason(world, "if")[1]
    assert reason(world, "after")[0] == reasons.UPSTREAM_SKIPPED
    assert world.run_state() is RunState.SUCCEEDED


@pytest.mark.parametrize("condition", [f"{X} + 1.0", "inputs.parameter_values['y'] == 1", f"{X} == nonsense("])
def test_a_condition_without_an_answer_fails_the_task(condition: str) -> None:
    world = World(conditional(condition)).begin()
    world.succeed("apart")
    assert world.state("if") is TaskState.FAILED
    assert reason(world, "if")[0] == reasons.CONDITION_ERROR
    assert condition.split()[0] in reason(world, "if")[1]
    assert world.run_state() is RunState.FAILED


def one_of(value: float) -> PipelineGraph:
    maker = giving(dag("maker", spec("make", "producer")), out="make.n")
    branches = giving(
        taking(
            dag(
                "branches",
                when(spec("yes", "maker", parameters=given(x="<x")), f"{X} > 0.0"),
                when(spec("no", "maker", parameters=given(x="<x")), f"!({X} > 0.0)"),
            ),
            x=number(),
        ),
        out="yes.out|no.out",
    )
    uses = taking(step(), n=number())
    root = dag(
        "root",
        spec("choice", "branches", parameters=given(x=value)),
        spec("use", "user", ["choice"], parameters=given(n="choice.out")),
    )
    return pipeline(root, branches, taking(maker, x=number()), producer("n"), replace(uses, name="user"))


@pytest.mark.parametrize(("value", "taken", "left"), [(1.0, "yes", "no"), (-1.0, "no", "yes")])
def test_one_of_gives_what_the_branch_that_ran_made(value: float, taken: str, left: str) -> None:
    world = World(one_of(value)).begin()
    world.succeed(f"choice.{taken}.make", n=7.0)
    world.succeed("use")
    assert world.state(f"choice.{left}") is TaskState.SKIPPED
    assert inputs(world, "use") == {"n": 7.0}
    assert world.run_state() is RunState.SUCCEEDED


def absent(*, optional: bool) -> PipelineGraph:
    """A DAG that succeeds without the output that the next task takes."""
    maker = giving(dag("maker", when(spec("make", "producer"), "1 == 2")), out="make.n")
    uses = replace(taking(step(), n=number(optional=optional)), name="user")
    root = dag("root", spec("m", "maker"), spec("use", "user", ["m"], parameters=given(n="m.out")))
    return pipeline(root, maker, producer("n"), uses)


def test_a_task_whose_required_input_was_skipped_away_is_skipped() -> None:
    world = World(absent(optional=False)).begin()
    assert states_of(world.states(), "m", "use") == ["SUCCEEDED", "SKIPPED"]
    assert reason(world, "use")[0] == reasons.UPSTREAM_SKIPPED
    assert world.run_state() is RunState.SUCCEEDED


def test_an_optional_input_that_was_skipped_away_is_absent() -> None:
    world = World(absent(optional=True)).begin()
    world.succeed("use")
    assert inputs(world, "use") == {}


def loop(items: list[Json], *, parallelism: int = 0) -> PipelineGraph:
    maker = giving(body("body", spec("make", "producer")), out="make.n")
    uses = replace(taking(step(), all=parameter(ParameterType.LIST)), name="user")
    root = dag(
        "root",
        over(spec("loop", "body"), items, parallelism=parallelism),
        spec("use", "user", ["loop"], parameters=given(all="loop.out")),
    )
    return pipeline(root, maker, producer("n"), uses)


def test_a_loop_runs_once_for_each_item_and_gathers_in_order() -> None:
    world = World(loop([1, 2, 3])).begin()
    for index in (2, 0, 1):
        world.succeed(f"loop.{index}.make", n=index * 10.0)
    assert [inputs(world, f"loop.{index}")[ITEM] for index in range(3)] == [1, 2, 3]
    world.succeed("use")
    assert inputs(world, "use") == {"all": [0.0, 10.0, 20.0]}
    kinds = {str(task.id): task.kind for task in world.rows.tasks.values()}
    assert (kinds["loop"], kinds["loop.1"], kinds["loop.1.make"]) == (TaskKind.LOOP, TaskKind.ITERATION, TaskKind.STEP)


def test_an_empty_loop_succeeds_with_an_empty_list() -> None:
    world = World(loop([])).begin()
    world.succeed("use")
    assert inputs(world, "use") == {"all": []}


def test_so_many_iterations_are_under_way_as_the_limit_allows() -> None:
    world = World(loop([1, 2, 3, 4, 5], parallelism=2)).begin()
    assert world.waiting == ["loop.0.make", "loop.1.make"]
    assert reason(world, "loop.2")[0] == reasons.WAITING_FOR_PARALLELISM
    world.succeed("loop.1.make", n=1.0)
    assert world.waiting == ["loop.0.make", "loop.2.make"]
    world.crash()
    assert sorted(world.waiting) == ["loop.0.make", "loop.2.make"]
    world.succeed("loop.0.make", "loop.2.make", "loop.3.make", "loop.4.make", n=1.0)
    assert world.state("loop") is TaskState.SUCCEEDED


def test_a_failed_iteration_fails_the_loop_once_the_others_have_ended() -> None:
    world = World(loop([1, 2])).begin()
    world.fail("loop.0.make")
    assert world.state("loop") is TaskState.RUNNING
    world.succeed("loop.1.make", n=1.0)
    assert states_of(world.states(), "loop", "loop.0", "loop.1", "use") == ["FAILED", "FAILED", "SUCCEEDED", "SKIPPED"]


def test_a_retry_keeps_the_iterations_that_succeeded() -> None:
    world = World(loop([1, 2])).begin()
    world.fail("loop.0.make")
    world.succeed("loop.1.make", n=1.0)
    world.crash()
    world.send(RetryRequested())
    assert world.waiting == ["loop.0.make"]
    world.succeed("loop.0.make", n=5.0)
    world.succeed("use")
    assert inputs(world, "use") == {"all": [5.0, 1.0]}


def test_a_step_can_be_run_over_a_list_by_itself() -> None:
    uses = taking(step(gives=["n"]), **{ITEM: number()})
    world = World(pipeline(dag("root", over(spec("loop"), [4, 5])), uses)).begin()
    world.succeed("loop.0", "loop.1", n=1.0)
    assert inputs(world, "loop.1") == {ITEM: 5}
    assert dict(world.rows.tasks[TaskId("loop")].outputs.parameters) == {"n": [1.0, 1.0]}


@pytest.mark.parametrize("items", ["no list", "[1, 2", "{}"])
def test_items_that_are_no_list_fail_the_loop(items: str) -> None:
    takes = replace(body(), input_parameters={ITEM: number(), "all": parameter(ParameterType.STRING)})
    task = over(spec("loop", "body", parameters=given(all=items)), "all")
    world = World(pipeline(dag("root", task), takes)).begin()
    assert reason(world, "loop")[0] == "LOOP_ITEMS_INVALID"
    assert world.run_state() is RunState.FAILED


def test_thousands_of_iterations_start_without_holding_up_other_runs() -> None:
    world = World(loop([float(index) for index in range(2000)])).begin()
    assert len(world.waiting) == 2000
    assert world.state("loop.1999") is TaskState.RUNNING


def guarded() -> PipelineGraph:
    scope = dag("scope", spec("a"), spec("b", after=["a"]))
    cleans = replace(taking(step(), status=parameter(ParameterType.TASK_FINAL_STATUS)), name="cleaner")
    clean = at_the_end(spec("clean", "cleaner", ["handler"], parameters=given(status="?handler")))
    return pipeline(dag("root", spec("handler", "scope"), clean), scope, cleans)


def test_an_exit_task_runs_after_a_failure_and_is_told_of_it() -> None:
    world = World(guarded()).begin()
    assert world.waiting == ["handler.a"]
    world.fail("handler.a")
    world.succeed("clean")
    status = inputs(world, "clean")["status"]
    assert isinstance(status, dict)
    assert (status["state"], status["pipelineTaskName"]) == ("FAILED", "handler")
    assert world.run_state() is RunState.FAILED


def test_an_exit_task_runs_after_success() -> None:
    world = World(guarded()).begin()
    world.succeed("handler.a", "handler.b", "clean")
    assert inputs(world, "clean")["status"] == {
        "state": "COMPLETE",
        "pipelineJobResourceName": "p-r1",
        "pipelineTaskName": "handler",
        "error": {},
    }
    assert world.run_state() is RunState.SUCCEEDED


def test_an_exit_task_runs_although_the_run_is_cancelled() -> None:
    world = World(guarded()).begin()
    world.grant("handler.a")
    world.send(CancelRequested(reasons.CANCEL_REQUESTED, ""))
    world.see("handler.a", Phase.STOPPED)
    assert world.run_state() is RunState.CANCELLING
    world.crash()
    world.succeed("clean")
    assert states_of(world.states(), "handler", "handler.b", "clean") == ["CANCELLED", "CANCELLED", "SUCCEEDED"]
    assert world.run_state() is RunState.CANCELLED


def test_a_cancel_may_end_exit_tasks_too() -> None:
    world = World(guarded()).begin()
    world.fail("handler.a")
    world.grant("clean")
    world.send(CancelRequested(reasons.CANCEL_REQUESTED, ""))
    assert not [effect for effect in world.effects if isinstance(effect, Stop)]
    world.send(CancelRequested(reasons.CANCEL_REQUESTED, "", exit_tasks=True))
    assert [effect.task_id for effect in world.effects if isinstance(effect, Stop)] == ["clean"]
    world.see("clean", Phase.STOPPED)
    assert world.run_state() is RunState.CANCELLED


def test_a_sub_pipeline_as_exit_task_runs_whole_in_a_cancelled_run() -> None:
    inner = dag("inner", spec("c"), spec("d", after=["c"]))
    root = dag("root", spec("a"), at_the_end(spec("exit", "inner", ["a"])))
    world = World(pipeline(root, inner)).begin()
    world.send(CancelRequested(reasons.CANCEL_REQUESTED, ""))
    world.succeed("exit.c", "exit.d")
    assert world.run_state() is RunState.CANCELLED
    assert states_of(world.states(), "a", "exit") == ["CANCELLED", "SUCCEEDED"]


def test_a_retry_runs_exit_tasks_again() -> None:
    world = World(guarded()).begin()
    world.succeed("handler.a")
    world.fail("handler.b")
    world.succeed("clean")
    world.crash()
    world.send(RetryRequested())
    assert world.waiting == ["handler.b"]
    world.succeed("handler.b", "clean")
    assert world.run_state() is RunState.SUCCEEDED


def test_a_retry_keeps_what_a_false_condition_skipped() -> None:
    skipped = when(spec("never"), "1 == 2")
    world = World(pipeline(dag("root", skipped, spec("after", after=["never"]), spec("a")))).begin()
    world.fail("a")
    world.send(RetryRequested())
    world.succeed("a")
    assert world.states() == {"never": "SKIPPED", "after": "SKIPPED", "a": "SUCCEEDED"}


def test_a_dag_that_could_not_be_opened_is_not_taken_for_done_by_a_retry() -> None:
    takes = taking(dag("inner", spec("c")), x=number())
    root = dag("root", spec("a", "producer"), spec("in", "inner", ["a"], parameters=given(x="a.n")))
    world = World(pipeline(root, takes, producer("n"))).begin()
    world.succeed("a", n="no number")
    assert reason(world, "in")[0] == "INPUT_TYPE"
    world.crash()
    world.send(RetryRequested())
    assert world.state("in") is TaskState.FAILED


def imported(world: World, task: str) -> ArtifactValue:
    return world.rows.tasks[TaskId(task)].outputs.artifacts["artifact"][0]


def test_an_importer_brings_its_artifact_in_without_an_attempt() -> None:
    world = World(pipeline(dag("root", spec("get", "importer")), importer())).begin()
    world.answer(CacheAnswered(TaskId("get"), None))
    assert imported(world, "get").uri == "s3://b/k"
    assert imported(world, "get").uid is not None
    assert world.run_state() is RunState.SUCCEEDED
    assert not world.launches


def test_an_artifact_that_was_imported_before_is_the_same_one() -> None:
    world = World(pipeline(dag("root", spec("get", "importer")), importer())).begin()
    world.crash()
    known = ArtifactValue("artifact", "system.Dataset", "s3://b/k", uid=new_run().uid)
    hit = CacheHit(new_run().uid, TaskId("get"), TaskValues({}, {"artifact": (known,)}))
    world.answer(CacheAnswered(TaskId("get"), hit))
    assert imported(world, "get") == known
    assert reason(world, "get")[0] == reasons.CACHED


def test_an_importer_that_imports_anew_asks_for_nothing() -> None:
    world = World(pipeline(dag("root", spec("get", "importer")), importer(reimport=True))).begin()
    assert not world.lookups
    assert world.run_state() is RunState.SUCCEEDED


def test_an_importer_that_downloads_is_an_attempt() -> None:
    world = World(pipeline(dag("root", spec("get", "importer")), importer(download=True))).begin()
    world.grant("get")
    assert [effect.task_id for effect in world.effects if isinstance(effect, Launch)] == ["get"]
    assert world.rows.tasks[TaskId("get")].inputs.artifacts["artifact"][0].uri == "s3://b/k"


def test_an_importer_without_a_uri_fails() -> None:
    world = World(pipeline(dag("root", spec("get", "importer")), importer(uri=" "))).begin()
    assert reason(world, "get")[0] == "IMPORT_URI_INVALID"


def test_a_loop_over_what_a_skipped_task_would_have_made_is_skipped() -> None:
    numbers = giving(body("maker", spec("work", "producer")), out="work.n")
    skipped = when(over(spec("loop", "maker"), [1.0]), "1 == 2")
    branch = giving(dag("branch", skipped), ParameterType.LIST, all="loop.out")
    follows = over(spec("over", "worker", ["if"], parameters=given(items="if.all")), "items")
    worker = replace(taking(step(), item=number()), name="worker")
    world = World(pipeline(dag("root", spec("if", "branch"), follows), branch, numbers, producer("n"), worker)).begin()
    assert reason(world, "over")[0] == reasons.UPSTREAM_SKIPPED
    assert world.run_state() is RunState.SUCCEEDED


def test_what_a_retry_no_longer_opens_ends_with_what_holds_it() -> None:
    inner = taking(dag("inner", spec("a"), spec("b", after=["a"])), x=number(default=7.0))
    clean = at_the_end(spec("clean", "inner", ["make"], parameters=given(x="make.n")))
    world = World(pipeline(dag("root", spec("make", "producer"), when(clean, f"{X} > 5.0")), producer("n"), inner))
    world.begin()
    world.fail("make")
    world.succeed("clean.a", "clean.b")
    world.crash()
    world.send(RetryRequested())
    world.succeed("make", n=1.0)
    assert world.run_state() is RunState.SUCCEEDED
    assert [reason(world, task)[0] for task in ("clean", "clean.a")] == [
        reasons.CONDITION_FALSE,
        reasons.HOLDER_NOT_RUN,
    ]


def test_a_loop_whose_waiting_pass_ends_with_a_cancel_waits_for_the_one_that_runs_also_over_a_crash() -> None:
    clean = at_the_end(over(spec("clean", "worker", ["make"]), [1.0, 2.0], parallelism=1))
    worker = replace(taking(step(), item=number()), name="worker")
    world = World(pipeline(dag("root", spec("make"), clean), worker)).begin()
    world.succeed("make")
    world.grant("clean.0")
    world.send(CancelRequested(reasons.CANCEL_REQUESTED, ""))
    world.crash(cancels_exit_tasks=True)
    assert (world.state("clean.1"), world.run_state()) == (TaskState.CANCELLED, RunState.CANCELLING)
    world.see("clean.0", Phase.STOPPED)
    assert world.run_state() is RunState.CANCELLED
