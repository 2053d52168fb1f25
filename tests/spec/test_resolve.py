"""Inputs come from where the contract says, are selected, converted and checked, in that order."""

from dataclasses import replace
from typing import Any

import pytest

from penstock_server.model.errors import InvalidArgument
from penstock_server.model.resources import ArtifactValue, TaskValues
from penstock_server.model.states import TaskState
from penstock_server.spec import resolve
from penstock_server.spec.caching import cache_key, differences, result_key
from penstock_server.spec.compile import compile_pipeline
from penstock_server.spec.constants import RunConstants
from penstock_server.spec.document import Document
from penstock_server.spec.expressions import ExpressionError, select
from penstock_server.spec.graph import Container, Dag, PipelineGraph
from penstock_server.spec.interface import check_parameters, interface
from penstock_server.spec.resolve import Ending, ResolutionError
from tests import pipelines
from tests.spec.graphs import of_corpus

WORKSPACE: Any = {"platforms": {"kubernetes": {"pipelineConfig": {"workspace": {"size": "1Gi"}}}}}
CONSTANTS = RunConstants("My run", "p-my-run", "uuid-1", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z")
ANY = {"runtimeValue": {"constant": None}}


def taking(declared: dict[str, Any], source: dict[str, Any], **more: dict[str, Any]) -> PipelineGraph:
    """A pipeline whose task `b` takes one parameter `x`."""
    spec = pipelines.dag({"a": [], "b": ["a"]}, "true")
    outputs = {"parameters": {"o": {"parameterType": "STRUCT"}}}
    spec["components"]["comp-step"]["outputDefinitions"] = outputs
    inputs = {"parameters": {"x": declared}}
    spec["components"]["comp-b"] = {"executorLabel": "exec-step", "inputDefinitions": inputs}
    kinds = {"given": "STRUCT", "text": "STRING"}
    declared_here = {name: {"parameterType": kind, "isOptional": True} for name, kind in kinds.items()}
    spec["root"]["inputDefinitions"] = {"parameters": declared_here}
    task = spec["root"]["dag"]["tasks"]["b"]
    task["componentRef"]["name"] = "comp-b"
    task["inputs"] = {"parameters": {"x": source, **more}}
    return compile_pipeline(Document(spec, WORKSPACE))


def inputs_of(graph: PipelineGraph, given: object = None, made: TaskValues | None = None) -> dict[str, Any]:
    body = graph.root.body
    assert isinstance(body, Dag)
    task = body.tasks["b"]
    component = graph.components[task.component]
    dag_inputs = TaskValues({"given": given, "text": '[1,{"a":null}]'})  # type: ignore[dict-item]
    ending = None if made is None else Ending(TaskState.SUCCEEDED, made, "")
    return dict(resolve.task_inputs(component, task, dag_inputs, lambda _: ending, CONSTANTS).values.parameters)


def constant(value: object) -> dict[str, Any]:
    return {"runtimeValue": {"constant": value}}


TAKEN = [
    ("STRING", constant(5.0), "5"),
    ("STRING", constant({"a": [1.0]}), '{"a":[1]}'),
    ("STRING", constant(True), "true"),
    ("STRING", constant("text"), "text"),
    ("NUMBER_INTEGER", constant(2.0), 2),
    ("NUMBER_DOUBLE", constant(2.5), 2.5),
    ("LIST", constant([1.0, "x"]), [1, "x"]),
    ("STRING", constant("{{$.pipeline_job_name}}"), "My run"),
    ("STRING", constant("{{$.pipeline_task_name}}"), "b"),
    ("STRING", constant("{{$.pipeline_job_uuid}}"), "uuid-1"),
    ("STRING", constant("at {{$.workspace_path}}/x"), "at /kfp-workspace/x"),
    ("STRING", constant("say {{$.pipeline_job_name}}"), "say My run"),
    ("STRING", constant("say {{$.nothing}} {{$}}"), "say {{$.nothing}} {{$}}"),
    ("STRUCT", constant({"a": ["{{$.pipeline_job_name}}", 1.0]}), {"a": ["My run", 1]}),
    ("STRUCT", {"componentInputParameter": "given"}, {"k": [1]}),
    ("LIST", {"componentInputParameter": "text"}, [1, {"a": None}]),
    (
        "NUMBER_INTEGER",
        {"componentInputParameter": "given", "parameterExpressionSelector": 'parseJson(string_value)["k"][0]'},
        1,
    ),
    ("STRUCT", {"taskOutputParameter": {"producerTask": "a", "outputParameterKey": "o"}}, {"made": 1}),
]


@pytest.mark.parametrize(("kind", "source", "expected"), TAKEN)
def test_a_value_is_resolved_and_converted(kind: str, source: dict[str, Any], expected: object) -> None:
    graph = taking({"parameterType": kind, "isOptional": True}, source)
    found = inputs_of(graph, {"k": [1]}, TaskValues({"o": {"made": 1}}))
    assert repr(found["x"]) == repr(expected)


def test_a_constant_is_filled_with_other_inputs_in_one_pass() -> None:
    more = {"pipelinechannel--y": constant("{{$.inputs.parameters['x']}}\"")}
    text = constant("Hello {{$.inputs.parameters['pipelinechannel--y']}}!")
    graph = taking({"parameterType": "STRING"}, text, **more)
    assert inputs_of(graph) == {"x": "Hello {{$.inputs.parameters['x']}}\"!"}


def test_a_constant_is_filled_at_any_depth() -> None:
    more = {"pipelinechannel--y": constant('say "hi"')}
    text = "{{$.inputs.parameters['pipelinechannel--y']}}!"
    graph = taking({"parameterType": "STRUCT"}, constant({"k": [text, {"deep": text}]}), **more)
    assert inputs_of(graph) == {"x": {"k": ['say "hi"!', {"deep": 'say "hi"!'}]}}


def test_an_optional_input_without_value_is_absent_and_a_default_stands_in_for_a_required_one() -> None:
    source = {"componentInputParameter": "given"}
    assert inputs_of(taking({"parameterType": "STRUCT", "isOptional": True}, source)) == {}
    assert inputs_of(taking({"parameterType": "STRUCT", "defaultValue": {"d": 1.0}}, source)) == {"x": {"d": 1}}


REFUSED = [
    ({"parameterType": "STRUCT"}, {"componentInputParameter": "given"}, "INPUT_MISSING"),
    (
        {"parameterType": "LIST"},
        {"taskOutputParameter": {"producerTask": "a", "outputParameterKey": "o"}},
        "INPUT_TYPE",
    ),
    ({"parameterType": "STRUCT", "literals": [{"a": 1}]}, constant({"a": 1}), ""),
    (
        {"parameterType": "STRING"},
        {
            "taskOutputParameter": {"producerTask": "a", "outputParameterKey": "o"},
            "parameterExpressionSelector": "struct_value.nothing",
        },
        "INPUT_SELECTOR",
    ),
]


@pytest.mark.parametrize(("declared", "source", "reason"), REFUSED)
def test_a_value_that_cannot_be_made_fails_with_its_reason(
    declared: dict[str, Any], source: dict[str, Any], reason: str
) -> None:
    graph = taking(declared, source)
    made = TaskValues({"o": {"made": 1}})
    if not reason:
        assert inputs_of(graph, made=made) == {"x": {"a": 1}}
        return
    with pytest.raises(ResolutionError) as failed:
        inputs_of(graph, made=made)
    assert failed.value.reason == reason
    assert "b" in failed.value.message


def test_the_root_is_completed_with_defaults_and_null() -> None:
    graph = taking({"parameterType": "STRING"}, constant("x"))
    assert resolve.root_inputs(graph, {}).parameters == {"given": None, "text": None}
    assert resolve.root_inputs(graph, {"given": {"a": 2.0}}).parameters == {"given": {"a": 2}, "text": None}


def test_outputs_of_a_dag_are_those_of_its_tasks() -> None:
    body = of_corpus("general/preprocess").root.body
    assert isinstance(body, Dag)
    dataset = ArtifactValue("d", "system.Dataset", "file:///d")
    made = TaskValues({"output_parameter_path": "hi"}, {"output_dataset_one": (dataset,)})
    outputs = resolve.dag_outputs(body, lambda _: Ending(TaskState.SUCCEEDED, made, ""))
    assert outputs.parameters == {"output_parameter_path": "hi"}
    assert outputs.artifacts == {"output_dataset_one": (dataset,)}


def test_the_interface_tells_types_and_defaults() -> None:
    told = {parameter["name"]: parameter for parameter in interface(of_corpus("general/arguments_parameters"))}
    assert told["param1"]["default_value"] == "hello"
    assert (told["param2"]["type"], told["param2"]["optional"]) == ("STRING", False)
    assert "default_value" not in told["param2"]


@pytest.mark.parametrize(
    ("given", "reasons"),
    [
        ({"message1": "a", "message2": "b"}, []),
        ({"message1": "a"}, ["MISSING_PARAMETER"]),
        ({"message1": "a", "message2": 5}, ["PARAMETER_TYPE_MISMATCH"]),
        ({"message1": "a", "message2": None}, ["PARAMETER_TYPE_MISMATCH"]),
        ({"message1": "a", "message2": "b", "message3": "c"}, ["UNKNOWN_PARAMETER"]),
        ({"message3": "c"}, ["UNKNOWN_PARAMETER", "MISSING_PARAMETER", "MISSING_PARAMETER"]),
    ],
)
def test_parameters_are_checked_against_the_interface(given: dict[str, Any], reasons: list[str]) -> None:
    graph = of_corpus("essential/concat_message")
    if not reasons:
        check_parameters(graph, given)
        return
    with pytest.raises(InvalidArgument) as refused:
        check_parameters(graph, given)
    assert [violation.reason for violation in refused.value.violations] == reasons
    assert all(violation.field.startswith("run.parameters.message") for violation in refused.value.violations)


def test_a_pipeline_that_needs_an_artifact_cannot_be_run() -> None:
    with pytest.raises(InvalidArgument, match="artifact"):
        check_parameters(of_corpus("general/component_with_metadata_fields"), {})


def test_the_cache_key_follows_what_decides_the_result() -> None:
    graph = taking({"parameterType": "STRING"}, constant("x"))
    body = graph.root.body
    assert isinstance(body, Dag)
    component, task = graph.components["comp-b"], body.tasks["b"]

    def key(value: object = 1, pipeline: str = "p", namespace: str = "n", uid: str = "file:///a") -> str:
        inputs = TaskValues({"x": value}, {"d": (ArtifactValue("d", "system.Dataset", uid),)})  # type: ignore[dict-item]
        return cache_key(component, task, inputs, pipeline, namespace)

    keys = [key(), key(2), key(pipeline="q"), key(namespace="m"), key(uid="file:///b")]
    assert isinstance(component.body, Container)
    component = replace(component, body=replace(component.body, env=(("MODE", "fast"),)))
    assert len({*keys, key()}) == len(keys) + 1
    assert key() == key()


def test_what_differs_from_an_earlier_step_is_told_the_component_first() -> None:
    graph = taking({"parameterType": "STRING"}, constant("x"))
    component = graph.components["comp-b"]
    before = TaskValues({"x": 1, "gone": "g"}, {"d": (ArtifactValue("d", "system.Dataset", "file:///a"),)})
    now = TaskValues({"x": "é" * 99, "new": [1]}, {"d": (ArtifactValue("d", "system.Dataset", "file:///b"),)})
    same = result_key(component, before, "root/b")
    assert differences(component, "root/b", before, before, same) == []
    assert differences(component, "root/b", now, before, "another") == [
        "the component has changed (image, command, environment, claims or interface)",
        'parameter gone is not given and was "g"',
        "parameter new is [1] and was not given",
        f'parameter x is "{"é" * 59}... (101 characters) and was 1',
        "artifact d is another one",
    ]


LOOPS = "[1].map(a, [2].map(b, [3].map(c, [4].map(d, [5].map(e, e)))))"
THRICE = "list_value.map(a, list_value.map(b, list_value.map(c, a)))"


@pytest.mark.parametrize("source", ["x" * 5000, LOOPS, LOOPS.replace("(", " ("), LOOPS.replace("(", "//\n(")])
def test_an_expression_beyond_the_limits_is_refused(source: str) -> None:
    with pytest.raises(ExpressionError):
        select(source, 1)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        (THRICE, list(range(200))),
        ("string_value", "\ud800"),
        ("parseJson(string_value)", "[" * 100_000),
        ("parseJson(string_value)", "{"),
        ("bytes(string_value)", "x"),
        ("(" * 2000 + "1" + ")" * 2000, 1),
    ],
)
def test_an_expression_without_a_value_is_an_error_of_its_own(source: str, value: Any) -> None:
    with pytest.raises(ExpressionError) as failed:
        select(source, value)
    assert len(str(failed.value)) < 500
