"""A document, checked completely, as the graph that the engine walks."""

import re
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2

from penstock_server.model.json import JsonObject
from penstock_server.spec.checks import check_graph
from penstock_server.spec.document import Document
from penstock_server.spec.executors import Executors
from penstock_server.spec.graph import (
    Component,
    Container,
    Dag,
    DagOutputs,
    Importer,
    PipelineGraph,
    TaskOutput,
    TaskSpec,
)
from penstock_server.spec.interfaces import Interfaces
from penstock_server.spec.messages import Messages
from penstock_server.spec.settings import check_settings
from penstock_server.spec.tasks import Tasks
from penstock_server.spec.violations import Violations

PIPELINE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,127}\Z")
SCHEMA_VERSION = "2.1.0"
ROOT = "root"


def compile_pipeline(document: Document) -> PipelineGraph:
    """The graph of a document. Raises InvalidArgument(INVALID_SPEC) naming the path of each thing that is wrong."""
    violations = Violations()
    document = _read_messages(document, violations)
    violations.raise_if_any()
    _check_messages(document, violations)
    violations.raise_if_any()
    graph = _Compiler(document, violations).graph()
    violations.raise_if_any()
    check_graph(graph, violations)
    check_settings(document, graph, violations)
    violations.raise_if_any()
    return graph


def _read_messages(document: Document, violations: Violations) -> Document:
    """The document in the one form of KFP's messages. Unknown fields are told, except among executors."""
    pipeline = Messages(violations).read("", document.pipeline, pipeline_spec_pb2.PipelineSpec.DESCRIPTOR)
    config = pipeline_spec_pb2.PipelineDeploymentConfig
    deployment = pipeline.get("deploymentSpec", {})
    pipeline["deploymentSpec"] = Messages(violations, lenient=True).read(
        "deploymentSpec", deployment, config.DESCRIPTOR
    )
    if document.platform is None:
        return Document(pipeline)
    platform = pipeline_spec_pb2.PlatformSpec.DESCRIPTOR
    return Document(pipeline, Messages(violations).read("", document.platform, platform))


def _check_messages(document: Document, violations: Violations) -> None:
    """What protobuf itself demands beyond the form, and what every pipeline has to have."""
    spec = pipeline_spec_pb2.PipelineSpec()
    try:
        json_format.ParseDict(document.pipeline, spec)
        json_format.ParseDict(document.platform or {}, pipeline_spec_pb2.PlatformSpec())
        deployment: Any = document.pipeline["deploymentSpec"]
        json_format.ParseDict(deployment, pipeline_spec_pb2.PipelineDeploymentConfig())
    except (json_format.ParseError, TypeError, ValueError, OverflowError, RecursionError) as error:
        violations.add("spec", f"is no KFP v2 pipeline spec: {error}")
        return
    if spec.schema_version != SCHEMA_VERSION:
        violations.add("schemaVersion", f"has to be {SCHEMA_VERSION} and is {spec.schema_version or 'missing'}")
    if PIPELINE_NAME.match(spec.pipeline_info.name) is None:
        description = "has to be 1 to 128 lower-case letters, digits and hyphens, first a letter or digit"
        violations.add("pipelineInfo.name", description)
    if not spec.root.HasField("dag"):
        violations.add("root.dag", "is missing")


class _Compiler:
    """Builds the graph of one document."""

    def __init__(self, document: Document, violations: Violations) -> None:
        self._pipeline: Any = document.pipeline
        self._platform: Any = document.platform or {}
        self._violations = violations
        self._interfaces = Interfaces(violations)
        deployment: Any = document.pipeline.get("deploymentSpec", {})
        self._executors = Executors(deployment, document.platform, violations)

    def graph(self) -> PipelineGraph:
        """The whole of it, as far as it can be read; what is wrong is among the violations."""
        info = self._pipeline["pipelineInfo"]
        components: dict[str, Component] = {}
        for name, component in self._pipeline.get("components", {}).items():
            compiled = self._component(f"components.{name}", name, component)
            if compiled is not None:
                components[name] = compiled
        root = self._component(ROOT, ROOT, self._pipeline["root"])
        self._violations.raise_if_any()
        assert root is not None
        return PipelineGraph(
            name=info["name"],
            display_name=info.get("displayName", ""),
            description=info.get("description", ""),
            sdk_version=self._pipeline.get("sdkVersion", ""),
            default_root=self._pipeline.get("defaultPipelineRoot", ""),
            root=root,
            components=components,
            pipeline_config={
                name: single["pipelineConfig"]
                for name, single in self._platform.get("platforms", {}).items()
                if "pipelineConfig" in single
            },
        )

    def _component(self, path: str, name: str, component: JsonObject) -> Component | None:
        body = self._body(path, component)
        if body is None:
            return None
        passthroughs: Any = component.get("taskConfigPassthroughs", [])
        return Component(
            name=name,
            input_parameters=self._interfaces.input_parameters(path, component),
            input_artifacts=self._interfaces.input_artifacts(path, component),
            output_parameters=self._interfaces.output_parameters(path, component),
            output_artifacts=self._interfaces.output_artifacts(path, component),
            body=body,
            task_config_passthroughs=tuple(
                (str(p.get("field", "")), bool(p.get("applyToTask", False))) for p in passthroughs
            ),
        )

    def _body(self, path: str, component: JsonObject) -> Dag | Container | Importer | None:
        if "dag" in component:
            return self._dag(path, component["dag"])
        label = component.get("executorLabel")
        if not isinstance(label, str):
            self._violations.add(path, "has neither a dag nor an executorLabel")
            return None
        return self._executors.body(path, label)

    def _dag(self, path: str, dag: Any) -> Dag:
        tasks = Tasks(path, self._violations).read(dag)
        if not tasks:
            self._violations.add(f"{path}.dag.tasks", "is empty")
        tasks = {key: self._after_producers(task, tasks) for key, task in tasks.items()}
        return Dag(tasks, _outputs(dag.get("outputs", {})), _dependents(tasks))

    def _after_producers(self, task: TaskSpec, siblings: Collection[str]) -> TaskSpec:
        """The task, waiting also for those that its settings are made by."""
        component = self._pipeline.get("components", {}).get(task.component, {})
        producers = self._executors.producers(str(component.get("executorLabel", "")))
        found = producers.intersection(siblings) - {task.key}
        return replace(task, depends_on=task.depends_on | found) if found - task.depends_on else task


def _outputs(outputs: Any) -> DagOutputs:
    parameters: dict[str, tuple[TaskOutput, ...]] = {}
    artifacts: dict[str, tuple[TaskOutput, ...]] = {}
    one_of: set[str] = set()
    for name, source in outputs.get("parameters", {}).items():
        if "valueFromOneof" in source:
            one_of.add(name)
            selectors = source["valueFromOneof"].get("parameterSelectors", [])
        else:
            selectors = [source.get("valueFromParameter", {})]
        parameters[name] = tuple(_selected(selector, "outputParameterKey") for selector in selectors)
    for name, source in outputs.get("artifacts", {}).items():
        selectors = source.get("artifactSelectors", [])
        if len(selectors) > 1:
            one_of.add(name)
        artifacts[name] = tuple(_selected(selector, "outputArtifactKey") for selector in selectors)
    return DagOutputs(parameters, artifacts, frozenset(one_of))


def _selected(selector: Any, key: str) -> TaskOutput:
    return TaskOutput(selector.get("producerSubtask", ""), selector.get(key, ""))


def _dependents(tasks: dict[str, TaskSpec]) -> dict[str, tuple[str, ...]]:
    waiting: dict[str, list[str]] = {key: [] for key in tasks}
    for key, task in tasks.items():
        for producer in task.depends_on:
            if producer in waiting:
                waiting[producer].append(key)
    return {key: tuple(keys) for key, keys in waiting.items()}
