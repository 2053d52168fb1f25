"""Platform documents set limits and give a workspace; what is wrong with them is told with its path."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from penstock_server.model.errors import InvalidArgument
from penstock_server.spec import settings
from penstock_server.spec.compile import compile_pipeline
from penstock_server.spec.document import Document
from penstock_server.spec.graph import Container, PipelineGraph
from tests import pipelines

Ir = dict[str, Any]
SIZE: Ir = {"size": "10Gi"}


def platform(name: str, executor: Ir | None = None, pipeline: Ir | None = None) -> Ir:
    single: Ir = {}
    if executor is not None:
        single["deploymentSpec"] = {"executors": {"exec-step": executor}}
    if pipeline is not None:
        single["pipelineConfig"] = pipeline
    return {name: single}


def compiled(*platforms: Mapping[str, Any], spec: Ir | None = None) -> PipelineGraph:
    merged = {name: single for one in platforms for name, single in one.items()}
    pipeline = spec or pipelines.dag({"a": []}, "true")
    return compile_pipeline(Document(json.loads(json.dumps(pipeline)), {"platforms": merged} if merged else None))


def step(*platforms: Mapping[str, Any]) -> Container:
    body = compiled(*platforms).components["comp-step"].body
    assert isinstance(body, Container)
    return body


def test_the_shortest_timeout_holds() -> None:
    kubernetes, own = (
        platform("kubernetes", {"activeDeadlineSeconds": "20"}),
        platform("penstock", {"timeoutSeconds": 2.5}),
    )
    assert settings.attempt_timeout_s(step()) is None
    assert settings.attempt_timeout_s(step(kubernetes)) == 20
    assert settings.attempt_timeout_s(step(kubernetes, own)) == 2.5
    assert settings.queue_timeout_s(step(kubernetes)) is None


def test_our_own_settings_are_read() -> None:
    found = step(platform("penstock", {"queueTimeoutSeconds": 60, "cacheMaxAgeSeconds": "3600"}))
    assert settings.queue_timeout_s(found) == 60
    assert settings.cache_max_age_s(found) == 3600
    assert settings.attempt_timeout_s(found) is None


def test_the_pipeline_has_a_deadline_and_a_workspace() -> None:
    assert settings.run_deadline_s(compiled()) is None
    assert not settings.has_workspace(compiled())
    deadlines = [
        platform(name, None, {"activeDeadlineSeconds": s}) for name, s in (("kubernetes", "90"), ("penstock", 30))
    ]
    assert settings.run_deadline_s(compiled(*deadlines)) == 30
    assert settings.has_workspace(compiled(platform("kubernetes", None, {"workspace": SIZE})))


EXECUTOR = "deploymentSpec.executors.exec-step"
WRONG_SECONDS: list[Any] = [0, -1, "0", "x", "", True, None, [], {}, 31_536_001, "9" * 20, "1e3", "-5", 1e400]
WRONG: list[tuple[Ir, str]] = [
    *(
        (platform("kubernetes", {"activeDeadlineSeconds": wrong}), f"kubernetes.{EXECUTOR}.activeDeadlineSeconds")
        for wrong in WRONG_SECONDS
    ),
    (platform("penstock", {"timeoutSeconds": 0}), f"penstock.{EXECUTOR}.timeoutSeconds"),
    (platform("penstock", {"queueTimeoutSeconds": "soon"}), f"penstock.{EXECUTOR}.queueTimeoutSeconds"),
    (platform("penstock", {"cacheMaxAgeSeconds": -1}), f"penstock.{EXECUTOR}.cacheMaxAgeSeconds"),
    (platform("penstock", {"timeout": 5}), f"penstock.{EXECUTOR}.timeout"),
    ({"penstock": {"deploymentSpec": {"executors": {"exec-none": {}}}}}, "penstock.deploymentSpec.executors.exec-none"),
    ({"penstock": {"config": {}}}, "penstock.config"),
    (platform("kubernetes", None, {"activeDeadlineSeconds": "0"}), "kubernetes.pipelineConfig.activeDeadlineSeconds"),
    *(
        (platform("kubernetes", None, {"workspace": workspace}), "kubernetes.pipelineConfig.workspace.size")
        for workspace in ({}, {"size": ""}, {"size": "big"}, {"size": "-1Gi"}, {"size": "0"}, {"size": "1 Gi"})
    ),
]


@pytest.mark.parametrize(("platforms", "path"), WRONG, ids=str)
def test_a_wrong_setting_is_refused_with_its_path(platforms: Ir, path: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        compiled(platforms)
    assert [violation.field for violation in refused.value.violations] == [f"platforms.{path}"]


@pytest.mark.parametrize("size", ["1", "10Gi", "1.5G", "500Mi", "1e9", "+1Ki", ".5Ti"])
def test_a_workspace_may_have_any_quantity_as_its_size(size: str) -> None:
    assert settings.has_workspace(compiled(platform("kubernetes", None, {"workspace": {"size": size}})))


def using_the_workspace() -> dict[str, Ir]:
    by_command = pipelines.dag({"a": []}, "cat", "{{$.workspace_path}}/x")
    by_constant = pipelines.dag({"a": []}, "true")
    constant = {"runtimeValue": {"constant": {"at": ["{{$.workspace_path}}/x"]}}}
    by_constant["root"]["dag"]["tasks"]["a"]["inputs"] = {"parameters": {"path": constant}}
    declared = {"parameters": {"path": {"parameterType": "STRUCT"}}}
    by_constant["components"]["comp-step"]["inputDefinitions"] = declared
    by_importer = pipelines.dag({"a": []}, "true")
    importer = {"artifactUri": {"constant": "file:///x"}, "downloadToWorkspace": True}
    by_importer["deploymentSpec"]["executors"]["exec-step"] = {"importer": importer}
    output = {"artifactType": {"schemaTitle": "system.Dataset"}}
    by_importer["components"]["comp-step"]["outputDefinitions"] = {"artifacts": {"artifact": output}}
    return {
        "deploymentSpec.executors.exec-step.container.command": by_command,
        "root.dag.tasks.a.inputs.parameters.path": by_constant,
        "deploymentSpec.executors.exec-step.importer.downloadToWorkspace": by_importer,
    }


@pytest.mark.parametrize(("path", "spec"), using_the_workspace().items())
def test_a_pipeline_that_uses_a_workspace_has_to_have_one(path: str, spec: Ir) -> None:
    with pytest.raises(InvalidArgument, match="workspace") as refused:
        compiled(spec=spec)
    assert [violation.field for violation in refused.value.violations] == [path]
    assert settings.has_workspace(compiled(platform("kubernetes", None, {"workspace": SIZE}), spec=spec))


def test_a_setting_that_compiled_long_ago_and_is_wrong_is_no_limit() -> None:
    assert settings.attempt_timeout_s(replace(step(), platforms={"kubernetes": {"activeDeadlineSeconds": "?"}})) is None
