"""Small KFP v2 pipelines as IR objects, for tests and benchmarks that need a shape rather than a meaning."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

Ir = dict[str, Any]


def pipeline(tasks: Mapping[str, Ir], components: Mapping[str, Ir], executors: Mapping[str, Ir]) -> Ir:
    """A whole document around the root's tasks."""
    return {
        "pipelineInfo": {"name": "synthetic"},
        "schemaVersion": "2.1.0",
        "sdkVersion": "kfp-2.17.0",
        "components": dict(components),
        "deploymentSpec": {"executors": dict(executors)},
        "root": {"dag": {"tasks": dict(tasks)}},
    }


def task(component: str, after: Sequence[str] = (), *, retries: int = 0) -> Ir:
    """A task without inputs."""
    spec: Ir = {"componentRef": {"name": component}, "taskInfo": {"name": component}}
    if after:
        spec["dependentTasks"] = list(after)
    if retries:
        spec["retryPolicy"] = {"maxRetryCount": retries}
    return spec


def container(*command: str) -> Ir:
    """An executor that runs `command`."""
    return {"container": {"image": "python:3.11", "command": list(command)}}


def dag(edges: Mapping[str, Sequence[str]], *command: str) -> Ir:
    """One step a task, all running `command`; `edges` names for each task what it waits for."""
    return pipeline(
        {key: task("comp-step", after) for key, after in edges.items()},
        {"comp-step": {"executorLabel": "exec-step"}},
        {"exec-step": container(*command)},
    )


def chain(length: int, *command: str) -> Ir:
    """`length` steps, one after the other."""
    return dag({f"s{i}": [f"s{i - 1}"] if i else [] for i in range(length)}, *command)


def fan_out(width: int, *command: str) -> Ir:
    """One step, then `width` of them, then one again."""
    middle = {f"m{i}": ["first"] for i in range(width)}
    return dag({"first": [], **middle, "last": list(middle)}, *command)


def wide(width: int, *command: str) -> Ir:
    """`width` steps that wait for nothing."""
    return dag({f"s{i}": [] for i in range(width)}, *command)


def loop_of_loops(side: int, *command: str) -> Ir:
    """A loop with `side` passes over a loop with `side` passes over one step."""
    inner = chain(1, *command)
    items = {"items": {"raw": json.dumps(list(range(side)))}, "itemInput": "item"}
    taken = {"parameters": {"item": {"parameterType": "NUMBER_INTEGER"}}}
    inner["components"]["comp-step"]["inputDefinitions"] = taken
    inner["root"]["dag"]["tasks"]["s0"]["parameterIterator"] = items
    inner["components"]["comp-inner"] = {"dag": inner["root"]["dag"], "inputDefinitions": taken}
    outer = task("comp-inner") | {"parameterIterator": items}
    inner["root"] = {"dag": {"tasks": {"outer": outer}}}
    return inner


def makes(*names: str) -> Ir:
    """What a component declares that makes artifacts."""
    kind = {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"}
    return {"artifacts": {name: {"artifactType": kind} for name in names}}


def takes(type: str, *names: str) -> Ir:
    """One step, in a pipeline that needs parameters of that type."""
    ir = chain(1, "true")
    ir["root"]["inputDefinitions"] = {"parameters": {name: {"parameterType": type} for name in names}}
    return ir
