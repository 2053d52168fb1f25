"""What steps of compiled pipelines ask of their pods."""

from typing import Any

from penstock_server.model.resources import TaskValues
from penstock_server.model.states import TaskState
from penstock_server.spec import resolve
from penstock_server.spec.document import Document
from penstock_server.spec.graph import Container, Dag, PipelineGraph, TaskSpec
from penstock_server.spec.pod_settings import PodSettings
from penstock_server.spec.resolve import Ending
from tests import pipelines
from tests.spec.test_resolve import CONSTANTS

Ir = dict[str, Any]


def configured_document(kubernetes: Ir | None = None, penstock: Ir | None = None, **container: Any) -> Document:
    """A pipeline whose step `s1` after `s0` has these settings; `s0` makes a text, `made`, and the run may be `given` a
    struct."""
    spec = pipelines.chain(2, "true")
    spec["root"]["inputDefinitions"] = {"parameters": {"given": {"parameterType": "STRUCT", "isOptional": True}}}
    spec["components"]["comp-set"] = {"executorLabel": "exec-set"}
    spec["components"]["comp-step"]["outputDefinitions"] = {"parameters": {"made": {"parameterType": "STRING"}}}
    spec["root"]["dag"]["tasks"]["s1"]["componentRef"]["name"] = "comp-set"
    spec["deploymentSpec"]["executors"]["exec-set"] = {
        "container": {"image": "python:3.11", "command": ["true"], **container}
    }
    platforms: Ir = {
        name: {"deploymentSpec": {"executors": {"exec-set": settings}}}
        for name, settings in (("kubernetes", kubernetes), ("penstock", penstock))
        if settings is not None
    }
    return Document(spec, {"platforms": platforms})


def task_of(graph: PipelineGraph, label: str) -> TaskSpec:
    """The first task whose executor has the label."""
    for holder in (graph.root, *graph.components.values()):
        for task in holder.body.tasks.values() if isinstance(holder.body, Dag) else ():
            body = graph.components[task.component].body
            if isinstance(body, Container) and body.label == label:
                return task
    raise LookupError(label)


def settings_of(
    graph: PipelineGraph, label: str, given: dict[str, Any] | None = None, made: dict[str, Any] | None = None
) -> PodSettings:
    """What the task with that executor asks, in a DAG that is `given` inputs and whose other tasks have `made`
    outputs. Raises ResolutionError."""
    task = task_of(graph, label)
    inputs, ending = TaskValues(given or {}), Ending(TaskState.SUCCEEDED, TaskValues(made or {}), "")
    component = graph.components[task.component]
    bound = resolve.task_inputs(component, task, inputs, lambda _: ending, CONSTANTS).bound
    return resolve.step_settings(component, task, inputs, bound, lambda _: ending, CONSTANTS)
