"""Compiles the tasks of a DAG: what each runs, what it is given, what it waits for."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from penstock_server.model.json import JsonObject, with_integers
from penstock_server.spec import expressions
from penstock_server.spec.graph import (
    Constant,
    DagInput,
    FinalStatus,
    Iterator,
    ParameterBinding,
    RetryPolicy,
    TaskOutput,
    TaskSpec,
    TriggerStrategy,
)
from penstock_server.spec.violations import Violations

TASK_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}\Z")
RETRIES_MAX = 1000
BACKOFF_MAX_S = 31_536_000
_DURATION = re.compile(r"(\d+(?:\.\d+)?)s\Z")
_BACKOFF_FACTOR = 2.0
_BACKOFF_MAX_S = 3600.0


class Tasks:
    """Reads the tasks of one DAG."""

    def __init__(self, path: str, violations: Violations) -> None:
        self._path = path
        self._violations = violations

    def read(self, dag: JsonObject) -> dict[str, TaskSpec]:
        """All tasks of the DAG by key."""
        tasks: Any = dag.get("tasks", {})
        found: dict[str, TaskSpec] = {}
        for key, task in tasks.items():
            path = f"{self._path}.dag.tasks.{key}"
            if TASK_KEY.match(key) is None:
                description = (
                    "is a bad name: letters, digits, - and _ are allowed, 128 at most, first a letter or digit"
                )
                self._violations.add(path, description)
            found[key] = self._task(path, key, task)
        return found

    def _task(self, path: str, key: str, task: Mapping[str, Any]) -> TaskSpec:
        inputs = task.get("inputs", {})
        parameters: dict[str, ParameterBinding] = {}
        for name, source in inputs.get("parameters", {}).items():
            binding = self._parameter(f"{path}.inputs.parameters.{name}", source)
            if binding is not None:
                parameters[name] = binding
        artifacts: dict[str, DagInput | TaskOutput] = {}
        for name, source in inputs.get("artifacts", {}).items():
            bound = self._artifact(f"{path}.inputs.artifacts.{name}", source)
            if bound is not None:
                artifacts[name] = bound
        caching = task.get("cachingOptions", {})
        trigger = task.get("triggerPolicy", {})
        condition = str(trigger.get("condition", ""))
        if condition:
            self._readable(f"{path}.triggerPolicy.condition", condition, expressions.check_condition)
        completed = trigger.get("strategy") in ("ALL_UPSTREAM_TASKS_COMPLETED", 2)
        return TaskSpec(
            key=key,
            display_name=str(task.get("taskInfo", {}).get("name") or key),
            component=str(task.get("componentRef", {}).get("name", "")),
            parameters=parameters,
            artifacts=artifacts,
            depends_on=frozenset(task.get("dependentTasks", [])) | _producers(parameters, artifacts),
            strategy=TriggerStrategy.ALL_COMPLETED if completed else TriggerStrategy.ALL_SUCCEEDED,
            condition=condition,
            iterator=_iterator(task),
            retry=self._retry(path, task.get("retryPolicy")),
            cache_enabled=bool(caching.get("enableCache", False)),
            cache_key=str(caching.get("cacheKey", "")),
        )

    def _parameter(self, path: str, source: Mapping[str, Any]) -> ParameterBinding | None:
        selector = str(source.get("parameterExpressionSelector", ""))
        if selector:
            self._readable(f"{path}.parameterExpressionSelector", selector, expressions.check)
        if "componentInputParameter" in source:
            return ParameterBinding(DagInput(source["componentInputParameter"]), selector)
        if "taskOutputParameter" in source:
            made = source["taskOutputParameter"]
            output = TaskOutput(made.get("producerTask", ""), made.get("outputParameterKey", ""))
            return ParameterBinding(output, selector)
        if "taskFinalStatus" in source:
            return ParameterBinding(FinalStatus(source["taskFinalStatus"].get("producerTask", "")), selector)
        if "constant" in source.get("runtimeValue", {}):
            return ParameterBinding(Constant(with_integers(source["runtimeValue"]["constant"])), selector)
        self._violations.add(path, "has no source: a constant, an input of the DAG or an output of a task")
        return None

    def _readable(self, path: str, source: str, check: Callable[[str], None]) -> None:
        try:
            check(source)
        except expressions.ExpressionError as error:
            self._violations.add(path, str(error))

    def _artifact(self, path: str, source: Mapping[str, Any]) -> DagInput | TaskOutput | None:
        if "componentInputArtifact" in source:
            return DagInput(source["componentInputArtifact"])
        if "taskOutputArtifact" in source:
            made = source["taskOutputArtifact"]
            return TaskOutput(made.get("producerTask", ""), made.get("outputArtifactKey", ""))
        self._violations.add(path, "has no source: an input of the DAG or an output of a task")
        return None

    def _retry(self, path: str, policy: Mapping[str, Any] | None) -> RetryPolicy | None:
        if not policy:
            return None
        count = int(policy.get("maxRetryCount", 0))
        if not 0 <= count <= RETRIES_MAX:
            self._violations.add(f"{path}.retryPolicy.maxRetryCount", f"has to be from 0 to {RETRIES_MAX}")
        factor = float(policy.get("backoffFactor") or _BACKOFF_FACTOR)
        if not 1 <= factor < math.inf:
            self._violations.add(f"{path}.retryPolicy.backoffFactor", "has to be at least 1")
        return RetryPolicy(
            max_retry_count=count,
            backoff_s=self._seconds(f"{path}.retryPolicy.backoffDuration", policy, 0.0),
            backoff_factor=factor,
            backoff_max_s=self._seconds(f"{path}.retryPolicy.backoffMaxDuration", policy, _BACKOFF_MAX_S),
        )

    def _seconds(self, path: str, policy: Mapping[str, Any], default: float) -> float:
        text = policy.get(path.rpartition(".")[2])
        if text is None:
            return default
        found = _DURATION.match(str(text))
        if found is None:
            self._violations.add(path, 'has to be seconds, such as "60s"')
            return default
        if float(found[1]) > BACKOFF_MAX_S:
            self._violations.add(path, f"has to be at most {BACKOFF_MAX_S}s, a year")
        return float(found[1])


def _producers(
    parameters: Mapping[str, ParameterBinding], artifacts: Mapping[str, DagInput | TaskOutput]
) -> frozenset[str]:
    """The tasks that values come from are waited for, whether or not the document names them."""
    sources = [binding.source for binding in parameters.values()]
    return frozenset(s.producer for s in [*sources, *artifacts.values()] if isinstance(s, TaskOutput | FinalStatus))


def _iterator(task: Mapping[str, Any]) -> Iterator | None:
    parallelism = int(task.get("iteratorPolicy", {}).get("parallelismLimit", 0))
    if "artifactIterator" in task:
        found = task["artifactIterator"]
        source = DagInput(str(found.get("items", {}).get("inputArtifact", "")))
        return Iterator(source, str(found.get("itemInput", "")), True, parallelism)
    if "parameterIterator" in task:
        found = task["parameterIterator"]
        items = found.get("items", {})
        over: DagInput | Constant = (
            Constant(items["raw"]) if "raw" in items else DagInput(str(items.get("inputParameter", "")))
        )
        return Iterator(over, str(found.get("itemInput", "")), False, parallelism)
    return None
