"""PipelineService."""

import asyncio
import json
import uuid

import pytest
from google.protobuf import json_format

from penstock.v1 import pipeline_pb2, spec_pb2
from penstock.v1 import pipeline_service_pb2 as pb
from tests import pipelines
from tests.api.calls import reason, refusal
from tests.api.conftest import Api

PARENT = "namespaces/default"
NAME = "namespaces/default/pipelines/train"


def with_parameter() -> pipelines.Ir:
    document = pipelines.chain(1, "true")
    document["root"]["inputDefinitions"] = {
        "parameters": {"lr": {"parameterType": "NUMBER_DOUBLE", "defaultValue": 0.5, "description": "rate"}}
    }
    return document


def text_of(document: pipelines.Ir) -> spec_pb2.Spec:
    return spec_pb2.Spec(text=json.dumps(document))


async def create(api: Api, id: str = "train", request_id: str = "") -> pipeline_pb2.Pipeline:
    request = pb.CreatePipelineRequest(
        parent=PARENT,
        pipeline_id=id,
        pipeline=pipeline_pb2.Pipeline(labels={"a": "b"}),
        request_id=request_id,
    )
    return (await api.pipelines.CreatePipeline(request)).pipeline


async def add(
    api: Api, spec: spec_pb2.Spec | None = None, request_id: str = "", **fields: object
) -> pipeline_pb2.PipelineVersion:
    version = pipeline_pb2.PipelineVersion(**fields)  # type: ignore[arg-type]  # any fields
    version.spec.CopyFrom(spec or text_of(with_parameter()))
    request = pb.CreatePipelineVersionRequest(parent=NAME, pipeline_version=version, request_id=request_id)
    return (await api.pipelines.CreatePipelineVersion(request)).pipeline_version


async def get(api: Api, version: str, *, full: bool = False) -> pipeline_pb2.PipelineVersion:
    view = pipeline_pb2.PipelineVersion.VIEW_FULL if full else pipeline_pb2.PipelineVersion.VIEW_BASIC
    request = pb.GetPipelineVersionRequest(name=f"{NAME}/versions/{version}", view=view)
    return (await api.pipelines.GetPipelineVersion(request)).pipeline_version


async def test_a_pipeline_is_made_read_and_listed(api: Api) -> None:
    made = await create(api)
    assert (made.name, made.display_name, made.version_count, made.latest_version) == (NAME, "train", 0, "")
    got = await api.pipelines.GetPipeline(pb.GetPipelineRequest(name=NAME))
    listed = await api.pipelines.ListPipelines(pb.ListPipelinesRequest(parent=PARENT, filter="labels:a"))
    assert [got.pipeline] == list(listed.pipelines) == [made]


async def test_what_is_taken_or_missing_is_told(api: Api) -> None:
    await create(api)
    assert await reason(create(api)) == "PIPELINE_EXISTS"
    request = pb.GetPipelineRequest(name=f"{PARENT}/pipelines/nothing")
    assert await reason(api.pipelines.GetPipeline(request)) == "PIPELINE_NOT_FOUND"
    elsewhere = pb.ListPipelinesRequest(parent="namespaces/nowhere")
    assert await reason(api.pipelines.ListPipelines(elsewhere)) == "NAMESPACE_NOT_FOUND"
    created = pb.CreatePipelineRequest(parent="namespaces/nowhere", pipeline=pipeline_pb2.Pipeline())
    assert await reason(api.pipelines.CreatePipeline(created)) == "NAMESPACE_NOT_FOUND"


async def test_the_same_request_makes_one_pipeline(api: Api) -> None:
    id = str(uuid.uuid4())
    made = await asyncio.gather(*(create(api, "", id) for _ in range(4)))
    assert len({pipeline.uid for pipeline in made}) == 1


async def test_a_pipeline_is_edited_archived_and_deleted(api: Api) -> None:
    made = await create(api)
    changed = pipeline_pb2.Pipeline(name=NAME, display_name="Train", etag=made.etag)
    update = pb.UpdatePipelineRequest(pipeline=changed)
    assert (await api.pipelines.UpdatePipeline(update)).pipeline.display_name == "Train"
    assert await reason(api.pipelines.UpdatePipeline(update)) == "ETAG_MISMATCH"
    archived = await api.pipelines.ArchivePipeline(pb.ArchivePipelineRequest(name=NAME))
    assert archived.pipeline.HasField("archive_time")
    assert await reason(add(api)) == "PIPELINE_ARCHIVED"
    back = await api.pipelines.UnarchivePipeline(pb.UnarchivePipelineRequest(name=NAME))
    assert not back.pipeline.HasField("archive_time")
    await api.pipelines.DeletePipeline(pb.DeletePipelineRequest(name=NAME, etag=back.pipeline.etag))
    assert await reason(add(api)) == "PIPELINE_NOT_FOUND"


async def test_a_pipeline_with_versions_is_deleted_only_by_force(api: Api) -> None:
    await create(api)
    await add(api)
    delete = pb.DeletePipelineRequest(name=NAME)
    assert await reason(api.pipelines.DeletePipeline(delete)) == "PIPELINE_HAS_VERSIONS"
    delete.force = True
    await api.pipelines.DeletePipeline(delete)


async def test_versions_are_numbered_and_found_by_number_alias_and_latest(api: Api) -> None:
    await create(api)
    first = await add(api, alias="v1-rc", display_name="First")
    second = await add(api)
    assert [first.number, second.number] == [1, 2]
    assert (first.display_name, second.display_name) == ("First", "2")
    assert [first, second] == [await get(api, "v1-rc"), await get(api, "latest")]
    assert await get(api, "1") == first
    pipeline = (await api.pipelines.GetPipeline(pb.GetPipelineRequest(name=NAME))).pipeline
    assert (pipeline.latest_version, pipeline.version_count) == (second.name, 2)


@pytest.mark.parametrize("version", ["3", "0", "99999999999999999999", "nothing"])
async def test_a_version_that_is_not_there_is_not_found(api: Api, version: str) -> None:
    await create(api)
    await add(api)
    assert await reason(get(api, version)) == "PIPELINE_VERSION_NOT_FOUND"


async def test_the_latest_of_nothing_is_not_found(api: Api) -> None:
    assert await reason(get(api, "latest")) == "PIPELINE_NOT_FOUND"
    await create(api)
    assert await reason(get(api, "latest")) == "PIPELINE_VERSION_NOT_FOUND"


async def test_text_and_struct_of_one_spec_are_one_spec(api: Api) -> None:
    await create(api)
    struct = spec_pb2.Spec()
    json_format.ParseDict(with_parameter(), struct.struct)
    first, second = await add(api), await add(api, struct)
    assert first.spec_digest == second.spec_digest
    assert not first.HasField("spec")
    full = await get(api, "1", full=True)
    assert (await add(api, full.spec)).spec_digest == first.spec_digest
    assert first.sdk_version == "kfp-2.17.0"


async def test_the_interface_tells_the_typed_parameters(api: Api) -> None:
    await create(api)
    made = await add(api)
    request = pb.GetPipelineVersionInterfaceRequest(name=f"{NAME}/versions/latest")
    interface = await api.pipelines.GetPipelineVersionInterface(request)
    assert interface.pipeline_version == made.name
    (parameter,) = interface.parameters
    assert (parameter.name, parameter.type, parameter.optional) == ("lr", parameter.TYPE_NUMBER_DOUBLE, True)
    assert parameter.default_value.number_value == 0.5
    assert list(made.parameters) == list(interface.parameters)


async def test_a_wrong_spec_is_refused_with_its_path(api: Api) -> None:
    await create(api)
    refused = await refusal(add(api, spec_pb2.Spec(text="a: [")))
    assert refused.reason == "INVALID_SPEC"
    document = pipelines.dag({"a": ["b"], "b": ["a"]}, "true")
    refused = await refusal(add(api, text_of(document)))
    assert refused.reason == "INVALID_SPEC"
    assert refused.fields


async def test_a_version_needs_a_spec(api: Api) -> None:
    await create(api)
    request = pb.CreatePipelineVersionRequest(parent=NAME, pipeline_version=pipeline_pb2.PipelineVersion())
    assert await reason(api.pipelines.CreatePipelineVersion(request)) == "INVALID_REQUEST"


async def test_an_alias_is_taken_once_and_requests_are_repeatable(api: Api) -> None:
    await create(api)
    id = str(uuid.uuid4())
    made = await add(api, alias="rc", request_id=id)
    assert await add(api, alias="rc", request_id=id) == made
    assert await reason(add(api, alias="rc")) == "ALIAS_EXISTS"
    assert await reason(add(api, request_id=id)) == "REQUEST_ID_REUSED"
    for alias in ("latest", "12", "a b"):
        assert await reason(add(api, alias=alias)) == "INVALID_REQUEST"


async def test_versions_are_listed_edited_and_deleted(api: Api) -> None:
    await create(api)
    first, second = await add(api, labels={"a": "b"}), await add(api)
    listed = await api.pipelines.ListPipelineVersions(pb.ListPipelineVersionsRequest(parent=NAME))
    assert list(listed.pipeline_versions) == [second, first]
    some = pb.ListPipelineVersionsRequest(parent=NAME, filter="number <= 1 labels.a = b", order_by="number")
    assert list((await api.pipelines.ListPipelineVersions(some)).pipeline_versions) == [first]
    nowhere = pb.ListPipelineVersionsRequest(parent=f"{PARENT}/pipelines/nothing")
    assert await reason(api.pipelines.ListPipelineVersions(nowhere)) == "PIPELINE_NOT_FOUND"
    changed = pipeline_pb2.PipelineVersion(name=first.name, display_name="First", etag=first.etag)
    update = pb.UpdatePipelineVersionRequest(pipeline_version=changed)
    updated = (await api.pipelines.UpdatePipelineVersion(update)).pipeline_version
    assert (updated.display_name, dict(updated.labels)) == ("First", {"a": "b"})
    assert await reason(api.pipelines.UpdatePipelineVersion(update)) == "ETAG_MISMATCH"
    delete = pb.DeletePipelineVersionRequest(name=first.name, etag=first.etag)
    assert await reason(api.pipelines.DeletePipelineVersion(delete)) == "ETAG_MISMATCH"
    delete.etag = updated.etag
    await api.pipelines.DeletePipelineVersion(delete)
    assert await reason(api.pipelines.DeletePipelineVersion(delete)) == "PIPELINE_VERSION_NOT_FOUND"
    assert (await add(api)).number == 3
