"""What platform documents say of attempts and runs: time limits, ages, the workspace.

`platforms.kubernetes` is KFP's own; `platforms.penstock` is ours and says what KFP has no place for, for each executor:
`timeoutSeconds`, `queueTimeoutSeconds`, `cacheMaxAgeSeconds`, and `resources` by any name. Of limits that two of them
set the shortest holds.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from penstock_server.model.json import Json
from penstock_server.spec.document import Document
from penstock_server.spec.graph import Component, Constant, Container, Dag, Importer, PipelineGraph
from penstock_server.spec.pod_entries import SettingError
from penstock_server.spec.pod_reader import KUBERNETES, PENSTOCK, problems
from penstock_server.spec.violations import Violations

SECONDS_MAX = 31_536_000
"""A year."""
WORKSPACE_PLACEHOLDER = "{{$.workspace_path}}"
_DEADLINE = "activeDeadlineSeconds"
_TIMEOUT = "timeoutSeconds"
_QUEUE_TIMEOUT = "queueTimeoutSeconds"
_CACHE_MAX_AGE = "cacheMaxAgeSeconds"
_RESOURCES = "resources"
_SECONDS = (_TIMEOUT, _QUEUE_TIMEOUT, _CACHE_MAX_AGE)
_OWN_KEYS = (*_SECONDS, _RESOURCES)
_QUANTITY = re.compile(r"\+?(\d+(\.\d*)?|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?\Z", re.ASCII)


def attempt_timeout_s(container: Container | None) -> float | None:
    """Seconds after which each attempt of the step is stopped; None: no limit."""
    return shortest(_setting(container, KUBERNETES, _DEADLINE), _setting(container, PENSTOCK, _TIMEOUT))


def queue_timeout_s(container: Container | None) -> float | None:
    """Seconds that the step may wait for a slot; None: no limit."""
    return _setting(container, PENSTOCK, _QUEUE_TIMEOUT)


def cache_max_age_s(container: Container | None) -> float | None:
    """Seconds after which a result is no longer reused for the step; None: no limit."""
    return _setting(container, PENSTOCK, _CACHE_MAX_AGE)


def run_deadline_s(graph: PipelineGraph) -> float | None:
    """Seconds after which a run of the pipeline fails; None: no limit."""
    return shortest(*(_seconds(config.get(_DEADLINE)) for config in graph.pipeline_config.values()))


def shortest(*limits: float | None) -> float | None:
    """The shortest of the limits that there are."""
    return min((limit for limit in limits if limit is not None), default=None)


def workspace(graph: PipelineGraph) -> Mapping[str, Any]:
    """What the pipeline says of its workspace: `size`, and for a cluster `kubernetes.pvcSpecPatch`; empty without
    one."""
    for config in graph.pipeline_config.values():
        if isinstance(found := config.get("workspace"), dict):
            return found
    return {}


def has_workspace(graph: PipelineGraph) -> bool:
    """The steps of a run share a folder."""
    return any("workspace" in config for config in graph.pipeline_config.values())


def check_settings(document: Document, graph: PipelineGraph, violations: Violations) -> None:
    """Note what is wrong with the settings of a document whose graph this is, and uses of a workspace without one."""
    platforms: Any = (document.platform or {}).get("platforms", {})
    for name, platform in platforms.items():
        if name == PENSTOCK:
            _check_own(platform, document, violations)
        for label, settings in platform.get("deploymentSpec", {}).get("executors", {}).items():
            where = f"platforms.{name}.deploymentSpec.executors.{label}"
            _check_executor(where, name, settings, violations)
        _check_pipeline(f"platforms.{name}.pipelineConfig", platform.get("pipelineConfig", {}), violations)
    _check_pods(graph, violations)
    if not has_workspace(graph):
        for path in _uses_of_workspace(graph):
            description = (
                "uses the workspace, and the pipeline has none: give it one by"
                " dsl.PipelineConfig(workspace=dsl.WorkspaceConfig(size=...))"
            )
            violations.add(path, description)


def _check_pods(graph: PipelineGraph, violations: Violations) -> None:
    checked: set[str] = set()
    for component in graph.components.values():
        body = component.body
        if isinstance(body, Container) and body.label not in checked:
            checked.add(body.label)
            for problem in problems(body):
                violations.add(_where(body, problem), problem.description)


def _where(container: Container, problem: SettingError) -> str:
    """The path of what is wrong: in the container itself, or in a platform's settings for it."""
    executor = f"deploymentSpec.executors.{container.label}.{problem.path}"
    if problem.path.startswith("container."):
        return executor
    platform = PENSTOCK if problem.path.startswith(f"{_RESOURCES}.") else KUBERNETES
    return f"platforms.{platform}.{executor}"


def _check_own(platform: Mapping[str, Any], document: Document, violations: Violations) -> None:
    for key in platform:
        if key not in ("deploymentSpec", "pipelineConfig"):
            violations.add(f"platforms.{PENSTOCK}.{key}", "is unknown here; known are deploymentSpec, pipelineConfig")
    deployment: Any = document.pipeline.get("deploymentSpec", {})
    for label in platform.get("deploymentSpec", {}).get("executors", {}):
        if label not in deployment.get("executors", {}):
            where = f"platforms.{PENSTOCK}.deploymentSpec.executors.{label}"
            violations.add(where, "there is no such executor in the pipeline")


def _check_executor(path: str, platform: str, settings: Any, violations: Violations) -> None:
    if not isinstance(settings, dict):
        violations.add(path, "has to be an object")
        return
    keys = {KUBERNETES: (_DEADLINE,), PENSTOCK: _SECONDS}.get(platform, ())
    for key, value in settings.items():
        if key in keys:
            _check_seconds(f"{path}.{key}", value, violations)
        elif platform == PENSTOCK and key not in _OWN_KEYS:
            violations.add(f"{path}.{key}", f"is unknown here; known are {', '.join(_OWN_KEYS)}")


def _check_pipeline(path: str, config: Mapping[str, Any], violations: Violations) -> None:
    if _DEADLINE in config:
        _check_seconds(f"{path}.{_DEADLINE}", config[_DEADLINE], violations)
    if "workspace" not in config:
        return
    size = config["workspace"].get("size", "")
    if not size:
        violations.add(f"{path}.workspace.size", 'is missing: give it a size, such as "10Gi"')
    elif _QUANTITY.match(size) is None or not any(digit in "123456789" for digit in size):
        violations.add(f"{path}.workspace.size", f'has to be a positive quantity, such as "10Gi", and is {size[:40]!r}')


def _check_seconds(path: str, value: Json, violations: Violations) -> None:
    if _seconds(value) is None:
        violations.add(path, f"has to be a number of seconds, more than 0 and at most {SECONDS_MAX}, a year")


def _setting(container: Container | None, platform: str, key: str) -> float | None:
    if container is None:
        return None
    settings = container.platforms.get(platform, {})
    return _seconds(settings[key]) if key in settings else None


def _seconds(value: Json) -> float | None:
    """The number; protobuf's JSON writes 64-bit integers as text. None for what is no such number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value) is None:
        return None
    seconds = float(value)
    return seconds if math.isfinite(seconds) and 0 < seconds <= SECONDS_MAX else None


def _uses_of_workspace(graph: PipelineGraph) -> Iterable[str]:
    """The paths of what asks for the workspace."""
    components = {"root": graph.root} | {f"components.{name}": c for name, c in graph.components.items()}
    for path, component in components.items():
        yield from _uses_in(path, component)


def _uses_in(path: str, component: Component) -> Iterable[str]:
    match component.body:
        case Dag(tasks):
            for key, task in tasks.items():
                for name, binding in task.parameters.items():
                    if isinstance(binding.source, Constant) and _mentions(binding.source.value):
                        yield f"{path}.dag.tasks.{key}.inputs.parameters.{name}"
        case Container() as container:
            env = [value for _, value in container.env]
            for key, texts in (("command", container.command), ("args", container.args), ("env", env)):
                if _mentions(list(texts)):
                    yield f"deploymentSpec.executors.{container.label}.container.{key}"
        case Importer() as importer:
            if importer.download_to_workspace:
                yield f"deploymentSpec.executors.{importer.label}.importer.downloadToWorkspace"


def _mentions(value: Any) -> bool:
    if isinstance(value, str):
        return WORKSPACE_PLACEHOLDER in value
    return isinstance(value, list | dict) and WORKSPACE_PLACEHOLDER in json.dumps(value)
