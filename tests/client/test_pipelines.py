"""Pipelines and their versions through the client."""

import grpc
import pytest

from penstock import Client, InvalidArgumentError
from penstock.v1.pipeline_pb2 import Pipeline, PipelineVersion
from penstock.v1.pipeline_service_pb2 import (
    CreatePipelineRequest,
    CreatePipelineResponse,
    CreatePipelineVersionRequest,
    CreatePipelineVersionResponse,
    GetPipelineResponse,
    GetPipelineVersionResponse,
)
from tests.client.scripted import ScriptedServer, fail

SPEC = "pipelineInfo:\n  name: line-fit\nroot: {}\n"
NAME = "namespaces/default/pipelines/line-fit"
VERSION = PipelineVersion(name=f"{NAME}/versions/1", number=1)


@pytest.fixture
def without_pipeline(server: ScriptedServer) -> ScriptedServer:
    code = grpc.StatusCode.NOT_FOUND
    server.on("GetPipeline", lambda request, context: fail(context, code, "PIPELINE_NOT_FOUND"))
    server.on("CreatePipeline", CreatePipelineResponse(pipeline=Pipeline(name=NAME)))
    server.on("CreatePipelineVersion", CreatePipelineVersionResponse(pipeline_version=VERSION))
    return server


def test_uploading_makes_the_pipeline_that_the_spec_names(without_pipeline: ScriptedServer, client: Client) -> None:
    assert client.upload_pipeline(SPEC, alias="first") == VERSION
    (made,) = without_pipeline.requests_of(CreatePipelineRequest)
    (added,) = without_pipeline.requests_of(CreatePipelineVersionRequest)
    assert (made.parent, made.pipeline_id) == ("namespaces/default", "line-fit")
    assert (added.parent, added.pipeline_version.alias) == (NAME, "first")
    assert added.pipeline_version.spec.text == SPEC


def test_uploading_adds_to_a_pipeline_that_exists(server: ScriptedServer, client: Client) -> None:
    server.on("GetPipeline", GetPipelineResponse(pipeline=Pipeline(name=NAME)))
    server.on("CreatePipelineVersion", CreatePipelineVersionResponse(pipeline_version=VERSION))
    client.upload_pipeline({"root": {}}, "line-fit")
    assert server.requests_of(CreatePipelineRequest) == []


def test_uploading_lets_somebody_else_make_the_pipeline(without_pipeline: ScriptedServer, client: Client) -> None:
    code = grpc.StatusCode.ALREADY_EXISTS
    without_pipeline.on("CreatePipeline", lambda request, context: fail(context, code, "PIPELINE_EXISTS"))
    assert client.upload_pipeline(SPEC) == VERSION


def test_a_spec_without_a_name_needs_one(client: Client) -> None:
    with pytest.raises(ValueError, match="which pipeline"):
        client.upload_pipeline({"root": {}})


def test_what_is_wrong_with_a_spec_is_named(without_pipeline: ScriptedServer, client: Client) -> None:
    code, wrong = grpc.StatusCode.INVALID_ARGUMENT, {"root.dag.tasks.fit": "no such component"}
    without_pipeline.on(
        "CreatePipelineVersion",
        lambda request, context: fail(context, code, "INVALID_SPEC", violations=wrong),
    )
    with pytest.raises(InvalidArgumentError) as raised:
        client.upload_pipeline(SPEC)
    assert [violation.field for violation in raised.value.violations] == ["root.dag.tasks.fit"]


@pytest.mark.parametrize(
    ("pipeline", "version", "name"),
    [
        ("line-fit", None, f"{NAME}/versions/latest"),
        ("line-fit", 2, f"{NAME}/versions/2"),
        ("line-fit@v2", None, f"{NAME}/versions/v2"),
        (Pipeline(name=NAME), "v2", f"{NAME}/versions/v2"),
        (VERSION, None, VERSION.name),
    ],
)
def test_versions_are_found_by_number_alias_or_as_the_latest(
    server: ScriptedServer,
    client: Client,
    pipeline: str | Pipeline,
    version: str | int | None,
    name: str,
) -> None:
    server.on("GetPipelineVersion", GetPipelineVersionResponse(pipeline_version=VERSION))
    client.pipelines.get_version(pipeline, version, with_spec=True)
    assert (server.requests[0].name, server.requests[0].view) == (name, PipelineVersion.VIEW_FULL)
