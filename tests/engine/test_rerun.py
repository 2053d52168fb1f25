"""What a run that is run again would reuse, by the real plan in a world where no step ends."""

from dataclasses import replace

from penstock_server.engine.inputs import CacheHit
from penstock_server.engine.rerun import forecast, reusable
from penstock_server.engine.restore import new_live_run
from penstock_server.engine.results import anything
from penstock_server.engine.state import LiveRun
from penstock_server.model.json import Json
from penstock_server.model.resources import TaskValues
from penstock_server.model.states import RunState
from penstock_server.spec.graph import DagInput, ParameterBinding, ParameterType, PipelineGraph, TaskOutput
from tests.engine.language import body, given, giving, importer, number, over, parameter, producer, taking
from tests.engine.world import World, dag, new_run, pipeline, spec, step


def two_inputs() -> PipelineGraph:
    """`left` takes one parameter of the pipeline, `right` the other, `both` what they make."""
    worker = replace(taking(producer("n"), x=number()), name="worker")
    joiner = replace(taking(step(), a=number(), b=number()), name="joiner")
    root = dag(
        "root",
        spec("left", "worker", parameters=given(x="<one")),
        spec("right", "worker", parameters=given(x="<two")),
        spec(
            "both",
            "joiner",
            ["left", "right"],
            parameters={
                "a": ParameterBinding(TaskOutput("left", "n")),
                "b": ParameterBinding(TaskOutput("right", "n")),
            },
        ),
    )
    return pipeline(taking(root, one=number(), two=number()), worker, joiner)


def done(graph: PipelineGraph, **parameters: Json) -> World:
    world = World(graph, new_run(parameters=parameters)).begin()
    world.succeed("left", n=1.0)
    world.succeed("right", n=2.0)
    world.succeed("both")
    assert world.run_state() is RunState.SUCCEEDED
    return world


def again(old: World, **parameters: Json) -> LiveRun:
    live = new_live_run(new_run(parameters=parameters), old.graph, fence=1, launcher="fake")
    live.reusable = reusable(old.rows.run, list(old.rows.tasks.values()), anything)
    return live


def test_the_same_again_reuses_all() -> None:
    told = forecast(again(done(two_inputs(), one=1.0, two=2.0), one=1.0, two=2.0))
    assert [reused.task_id for reused in told.reused] == ["left", "right", "both"]
    assert (told.will_run, told.undetermined) == ((), ())


def test_what_takes_a_changed_value_runs_and_what_follows_is_open() -> None:
    told = forecast(again(done(two_inputs(), one=1.0, two=2.0), one=1.0, two=3.0))
    assert [(reused.task_id, reused.source_task) for reused in told.reused] == [("left", "left")]
    assert (told.will_run, told.undetermined) == (("right",), ("both",))


def test_a_run_with_results_to_reuse_asks_for_no_slot_for_them() -> None:
    old = done(two_inputs(), one=1.0, two=2.0)
    world = World(old.graph, new_run(parameters={"one": 1.0, "two": 3.0}))
    world.run.reusable = reusable(old.rows.run, list(old.rows.tasks.values()), anything)
    world.begin()
    assert world.waiting == ["right"]
    world.succeed("right", n=2.0)
    assert world.run_state() is RunState.SUCCEEDED
    assert world.rows.tasks[next(iter(t for t in world.rows.tasks if t == "both"))].cached_run_uid == old.rows.run.uid


def test_a_loop_over_more_items_reuses_those_it_had() -> None:
    maker = giving(body("body", spec("make", "worker", parameters=given(x="<item"))), out="make.n")
    worker = replace(taking(producer("n"), x=number()), name="worker")
    takes = replace(maker, input_parameters={**maker.input_parameters, "all": parameter(ParameterType.LIST)})
    looped = over(spec("loop", "body", parameters={"all": ParameterBinding(DagInput("items"))}), "all")
    root = taking(dag("root", looped), items=parameter(ParameterType.LIST))
    graph = pipeline(root, takes, worker)
    old = World(graph, new_run(parameters={"items": [1, 2]})).begin()
    old.succeed("loop.0.make", "loop.1.make", n=1.0)
    told = forecast(again(old, items=[2, 3, 1]))
    pairs = [(str(reused.task_id), str(reused.source_task)) for reused in told.reused]
    assert pairs == [("loop.0.make", "loop.1.make"), ("loop.2.make", "loop.0.make")]
    assert told.will_run == ("loop.1.make",)


def test_an_importer_is_no_step() -> None:
    graph = pipeline(dag("root", spec("get", "importer")), importer())
    live = new_live_run(new_run(), graph, fence=1, launcher="fake")
    live.reusable = {"other": CacheHit(new_run().uid, live.root.id, TaskValues())}
    told = forecast(live)
    assert (told.reused, told.will_run, told.undetermined) == ((), (), ())
