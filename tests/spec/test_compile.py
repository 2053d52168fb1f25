"""Specs are checked completely, and each error names the path of the place."""

import contextlib
import copy
import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock_server.model.errors import InvalidArgument, Unimplemented
from penstock_server.spec.compile import compile_pipeline
from penstock_server.spec.document import Document, from_struct, load
from penstock_server.spec.graph import Constant, Container, Dag, TaskOutput
from penstock_server.spec.support import check_supported
from tests import pipelines
from tests.spec.graphs import CORPUS, compiled, of_corpus

SECONDS_MAX = 10
Change = Callable[[dict[str, Any]], None]


def base() -> dict[str, Any]:
    """Two steps; `b` takes a number from `a` and a constant."""
    spec = pipelines.dag({"a": [], "b": ["a"]}, "true")
    number = {"parameterType": "NUMBER_INTEGER"}
    spec["components"]["comp-step"]["outputDefinitions"] = {"parameters": {"n": number}}
    taker = {"executorLabel": "exec-step", "inputDefinitions": {"parameters": {"n": number, "m": dict(number)}}}
    spec["components"]["comp-taker"] = taker
    task = spec["root"]["dag"]["tasks"]["b"]
    task["componentRef"]["name"] = "comp-taker"
    made = {"taskOutputParameter": {"producerTask": "a", "outputParameterKey": "n"}}
    task["inputs"] = {"parameters": {"n": made, "m": {"runtimeValue": {"constant": 2.0}}}}
    return spec


def put(path: str, value: Any) -> Change:
    """Set the value at a path of keys, joined by slashes."""

    def change(spec: dict[str, Any]) -> None:
        *parents, last = path.split("/")
        for key in parents:
            spec = spec.setdefault(key, {})
        spec[last] = value

    return change


B = "root/dag/tasks/b"
WRONG: dict[str, tuple[Change, str]] = {
    "unknown producer": (
        put(f"{B}/inputs/parameters/n/taskOutputParameter/producerTask", "zz"),
        "root.dag.tasks.b.dependentTasks",
    ),
    "unknown output": (
        put(f"{B}/inputs/parameters/n/taskOutputParameter/outputParameterKey", "zz"),
        "root.dag.tasks.b.inputs.parameters.n",
    ),
    "unknown dependency": (put(f"{B}/dependentTasks", ["zz"]), "root.dag.tasks.b.dependentTasks"),
    "cycle": (put("root/dag/tasks/a/dependentTasks", ["b"]), "root.dag.tasks"),
    "missing component": (put(f"{B}/componentRef/name", "zz"), "root.dag.tasks.b.componentRef.name"),
    "missing executor": (
        put("components/comp-step/executorLabel", "zz"),
        "components.comp-step.executorLabel",
    ),
    "constant of the wrong type": (
        put(f"{B}/inputs/parameters/m/runtimeValue/constant", "x"),
        "root.dag.tasks.b.inputs.parameters.m",
    ),
    "constant that is no literal": (
        put("components/comp-taker/inputDefinitions/parameters/m", {"parameterType": "STRING", "literals": ["x"]}),
        "root.dag.tasks.b.inputs.parameters.m",
    ),
    "default of the wrong type": (
        put("components/comp-taker/inputDefinitions/parameters/m/defaultValue", "x"),
        "components.comp-taker.inputDefinitions.parameters.m.defaultValue",
    ),
    "required input": (put(f"{B}/inputs/parameters", {}), "root.dag.tasks.b.inputs.parameters.n"),
    "unknown input of the DAG": (
        put(f"{B}/inputs/parameters/m", {"componentInputParameter": "zz"}),
        "root.dag.tasks.b.inputs.parameters.m",
    ),
    "bad task name": (put("root/dag/tasks/x.y", pipelines.task("comp-step")), "root.dag.tasks.x.y"),
    "bad pipeline name": (put("pipelineInfo/name", "Not Good"), "pipelineInfo.name"),
    "schema version": (put("schemaVersion", "2.0.0"), "schemaVersion"),
    "unknown key": (put("root/dag/taskz", {}), "root.dag.taskz"),
    "unknown key of a task": (put(f"{B}/retries", 1), "root.dag.tasks.b.retries"),
    "both spellings of a key": (put("schema_version", "2.1.0"), "schema"),
    "list in place of an object": (put("components/comp-step", []), "components.comp-step"),
    "number that is not finite": (put(f"{B}/retryPolicy", {"backoffFactor": "NaN"}), f"{B.replace('/', '.')}.retryP"),
    "backoff of centuries": (
        put(f"{B}/retryPolicy", {"backoffDuration": "99999999999s"}),
        "root.dag.tasks.b.retryPolicy.backoffDuration",
    ),
    "command that is no list of texts": (
        put("deploymentSpec/executors/exec-step/container/command", [1]),
        "deploymentSpec.executors.exec-step.container.command[0]",
    ),
    "output of an unknown task": (
        put("root/dag/outputs/parameters/o/valueFromParameter", {"producerSubtask": "z", "outputParameterKey": "n"}),
        "root.dag.outputs.parameters.o",
    ),
    "selector": (
        put(f"{B}/inputs/parameters/n/parameterExpressionSelector", "1 +"),
        "root.dag.tasks.b.inputs.parameters.n.parameterExpressionSelector",
    ),
    "condition": (put(f"{B}/triggerPolicy", {"condition": "n == 1"}), "root.dag.tasks.b.triggerPolicy.condition"),
    "retries": (put(f"{B}/retryPolicy", {"maxRetryCount": 9999}), "root.dag.tasks.b.retryPolicy.maxRetryCount"),
    "type": (put("components/comp-taker/inputDefinitions/parameters/m", {}), "components.comp-taker."),
}


@pytest.mark.parametrize(("change", "path"), WRONG.values(), ids=WRONG)
def test_an_error_names_its_path(change: Change, path: str) -> None:
    spec = base()
    change(spec)
    with pytest.raises(InvalidArgument) as refused:
        compiled(spec)
    assert refused.value.reason == "INVALID_SPEC"
    assert any(violation.field.startswith(path) for violation in refused.value.violations)


def test_all_errors_are_told_at_once() -> None:
    spec = base()
    for change, _ in (WRONG["unknown dependency"], WRONG["constant of the wrong type"], WRONG["missing component"]):
        change(copy.deepcopy(spec))
        change(spec)
    with pytest.raises(InvalidArgument) as refused:
        compiled(spec)
    assert len(refused.value.violations) >= 2


def test_a_component_that_contains_itself_is_refused() -> None:
    spec = base()
    spec["components"]["comp-loop"] = {"dag": {"tasks": {"again": pipelines.task("comp-loop")}}}
    with pytest.raises(InvalidArgument, match="contains itself"):
        compiled(spec)


def test_a_chain_of_ten_thousand_tasks_is_checked_without_recursion() -> None:
    graph = compiled(pipelines.chain(10_000, "true"))
    assert isinstance(graph.root.body, Dag)
    assert len(graph.root.body.tasks) == 10_000


def test_a_wide_dag_is_checked_in_time_that_grows_with_its_size() -> None:
    began = time.process_time()
    compiled(pipelines.chain(20_000, "true"))
    assert time.process_time() - began < SECONDS_MAX


def unfolding(levels: int, width: int, key: str) -> dict[str, Any]:
    """DAGs of `width` tasks, each of which is such a DAG, `levels` deep; inner components stand first or last."""
    spec = pipelines.dag({"a": []}, "true")
    for level in range(levels):
        inner = f"comp-{level + 1}" if level + 1 < levels else "comp-step"
        tasks = {f"{key}{index}": pipelines.task(inner) for index in range(width)}
        spec["components"][f"comp-{level}"] = {"dag": {"tasks": tasks}}
    spec["root"]["dag"]["tasks"] = {"a": pipelines.task("comp-0")}
    return spec


def test_a_short_document_that_stands_for_countless_tasks_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="unfolds to more than 100000 tasks"):
        compiled(unfolding(30, 10, "t"))


def test_paths_of_tasks_that_no_index_takes_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="path of keys is longer than 1000"):
        compiled(unfolding(10, 1, "t" * 120))


def test_a_component_may_be_used_beside_one_that_uses_it() -> None:
    for order in (["comp-0", "comp-1"], ["comp-1", "comp-0"]):
        spec = unfolding(2, 2, "t")
        spec["root"]["dag"]["tasks"] = {name: pipelines.task(name) for name in order}
        assert compiled(spec).components


WRONG_VALUES: list[Any] = [None, [], {}, 1, math.inf, "x", True, [None], {"x": None}]
CHANGED = ["general/pipeline_with_importer", "general/if_else_with_oneof_parameters", "kubernetes/secret_as_env"]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to everything within a value."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


@pytest.mark.parametrize("name", CHANGED)
def test_whatever_stands_in_a_place_the_document_compiles_or_is_refused(name: str) -> None:
    document = load((CORPUS / f"{name}.yaml").read_text())
    whole: dict[str, Any] = {"pipeline_spec": document.pipeline, "platform_spec": document.platform}
    for path in places(whole):
        holder: Any = whole
        for key in path[:-1]:
            holder = holder[key]
        kept = holder[path[-1]]
        for wrong in WRONG_VALUES:
            holder[path[-1]] = wrong
            with contextlib.suppress(InvalidArgument):
                compile_pipeline(from_struct(whole))
        holder[path[-1]] = kept


def test_fields_may_have_their_other_names_and_be_null() -> None:
    spec = base()
    plain = compiled(copy.deepcopy(spec))
    spec["schema_version"] = spec.pop("schemaVersion")
    spec["root"]["dag"]["tasks"]["b"]["component_ref"] = spec["root"]["dag"]["tasks"]["b"].pop("componentRef")
    spec["root"]["dag"]["tasks"]["a"]["cachingOptions"] = None
    spec["components"]["comp-taker"]["inputDefinitions"]["parameters"]["n"]["parameterType"] = 2
    body, expected = compiled(spec).root.body, plain.root.body
    assert isinstance(body, Dag)
    assert isinstance(expected, Dag)
    assert body.tasks["b"] == expected.tasks["b"]


def test_producers_are_waited_for_though_nobody_says_so() -> None:
    spec = base()
    del spec["root"]["dag"]["tasks"]["b"]["dependentTasks"]
    body = compiled(spec).root.body
    assert isinstance(body, Dag)
    assert body.tasks["b"].depends_on == {"a"}
    assert body.dependents["a"] == ("b",)


def test_integral_numbers_lose_their_fraction() -> None:
    body = compiled(base()).root.body
    assert isinstance(body, Dag)
    assert repr(body.tasks["b"].parameters["m"].source) == repr(Constant(2))
    assert body.tasks["b"].parameters["n"].source == TaskOutput("a", "n")


FILES = sorted(path for path in CORPUS.rglob("*.yaml") if path.parent.name != "invalid")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_corpus_compiles(path: Any) -> None:
    assert compile_pipeline(load(path.read_text())).root.body


@pytest.mark.parametrize("path", sorted((CORPUS / "invalid").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_invalid_corpus_is_refused(path: Any) -> None:
    with pytest.raises(InvalidArgument):
        compile_pipeline(load(path.read_bytes()))


def test_volumes_are_refused_with_their_path() -> None:
    with pytest.raises(Unimplemented) as refused:
        check_supported(of_corpus("general/pipeline_with_volume"))
    assert refused.value.reason == "SPEC_UNSUPPORTED"
    assert "deploymentSpec.executors.exec-createpvc.container.image" in [v.field for v in refused.value.violations]


def test_volumes_are_taken_where_they_can_be_made() -> None:
    check_supported(of_corpus("general/pipeline_with_volume"), volumes=True)


def test_another_image_that_is_none_is_refused_everywhere() -> None:
    spec = pipelines.chain(1, "true")
    spec["deploymentSpec"]["executors"]["exec-step"]["container"]["image"] = "argostub/other"
    with pytest.raises(Unimplemented, match="argostub/other"):
        check_supported(compiled(spec), volumes=True)


def test_a_platform_spec_is_kept_with_its_executors() -> None:
    document = load((CORPUS / "kubernetes" / "secret_as_env.yaml").read_text())
    graph = compile_pipeline(document)
    bodies = [component.body for component in graph.components.values()]
    kept = [body.platforms for body in bodies if isinstance(body, Container)]
    assert any("secretAsEnv" in platforms.get("kubernetes", {}) for platforms in kept)
    assert compile_pipeline(Document(document.pipeline)).name == graph.name
