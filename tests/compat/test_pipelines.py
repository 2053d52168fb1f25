"""KFP's pipelines and versions, which are ours."""

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from penstock.v1 import pipeline_pb2, pipeline_service_pb2, spec_pb2
from tests.compat.packages import ir, text
from tests.compat.serving import Answer, KfpSite
from tests.compat.test_uploads import upload

NOWHERE = "00000000-0000-0000-0000-000000000000"


async def make(kfp: KfpSite, **fields: Any) -> Any:
    """A new pipeline without versions, as JSON."""
    answer = await kfp.ask("POST", "/pipelines", fields)
    assert answer.status == 200, answer.body
    return answer.body


async def make_both(kfp: KfpSite, called: str, spec: Any = None, **version: Any) -> Any:
    """A new pipeline and a version, as JSON."""
    body = {"pipeline": {"name": called}, "pipeline_version": {"pipeline_spec": spec or ir(), **version}}
    answer = await kfp.ask("POST", "/pipelines/create", body)
    assert answer.status == 200, answer.body
    return answer.body


async def versions_of(kfp: KfpSite, pipeline: Any) -> list[Any]:
    answer = await kfp.ask("GET", f"/pipelines/{pipeline['pipeline_id']}/versions")
    assert answer.status == 200, answer.body
    return list(answer.body.get("pipeline_versions", []))


async def test_a_pipeline_is_written_as_kfp_writes_it(kfp: KfpSite) -> None:
    made = await make(kfp, display_name="Shown as", description="d", tags={"a": "b"}, namespace="")
    assert {**made, "pipeline_id": "", "created_at": ""} == {
        "pipeline_id": "",
        "created_at": "",
        "name": "Shown as",
        "display_name": "Shown as",
        "description": "d",
        "tags": {"a": "b"},
    }
    assert (await kfp.ask("GET", f"/pipelines/{made['pipeline_id']}")).body == made
    assert await versions_of(kfp, made) == []


@pytest.mark.parametrize("name", ["hello-world", "Hello World", "a+b%20c", "日本語", "  a b  "])
async def test_a_pipeline_is_found_by_its_name(kfp: KfpSite, name: str) -> None:
    made = await make(kfp, name=name, display_name="Something else")
    assert (await kfp.ask("GET", f"/pipelines/names/{quote(name, safe='')}?namespace=")).body == made
    assert (await kfp.ask("GET", "/pipelines/names/other")).status == 404


@pytest.mark.parametrize("name", ["hello-world", "Hello World"])
async def test_a_refusal_tells_a_pipeline_by_its_name(kfp: KfpSite, name: str) -> None:
    pipeline = (await make_both(kfp, name))["pipeline_id"]
    taken = await kfp.ask("POST", "/pipelines", {"name": name})
    assert (taken.status, taken.body["message"]) == (409, f"there is a pipeline named {name}; choose another name")
    held = await kfp.ask("DELETE", f"/pipelines/{pipeline}")
    told = f"pipeline {name} has versions; delete them first, or delete it with cascade=true"
    assert (held.status, held.body["message"]) == (400, told)


@pytest.mark.parametrize("name", ["hello-world", "Hello World"])
async def test_a_name_is_given_once(kfp: KfpSite, name: str) -> None:
    answers = await asyncio.gather(*(kfp.ask("POST", "/pipelines", {"name": name}) for _ in range(6)))
    assert sorted(answer.status for answer in answers) == [200] + [409] * 5
    assert [answer.body["code"] for answer in answers if answer.status == 409] == [6] * 5


async def test_it_is_the_same_on_both_sides(kfp: KfpSite) -> None:
    made = await make_both(kfp, "hello-world", name="v1", description="first")
    get = pipeline_service_pb2.GetPipelineVersionRequest(name="namespaces/default/pipelines/hello-world/versions/v1")
    own = (await kfp.own_pipelines.GetPipelineVersion(get)).pipeline_version
    (version,) = await versions_of(kfp, made)
    assert (own.uid, own.description) == (version["pipeline_version_id"], "first")


async def test_what_we_make_goes_by_id_alias_and_number(kfp: KfpSite) -> None:
    parent = "namespaces/default/pipelines/own"
    given = pipeline_pb2.Pipeline(display_name="Our own")
    await kfp.own_pipelines.CreatePipeline(
        pipeline_service_pb2.CreatePipelineRequest(parent="namespaces/default", pipeline_id="own", pipeline=given)
    )
    for alias in ("", "second"):
        version = pipeline_pb2.PipelineVersion(alias=alias, spec=spec_pb2.Spec(text=text().decode()))
        await kfp.own_pipelines.CreatePipelineVersion(
            pipeline_service_pb2.CreatePipelineVersionRequest(parent=parent, pipeline_version=version)
        )
    found = (await kfp.ask("GET", "/pipelines/names/own")).body
    assert (found["name"], found["display_name"]) == ("own", "Our own")
    assert [(v["name"], v["display_name"]) for v in await versions_of(kfp, found)] == [("1", "1"), ("second", "second")]


async def test_a_spec_comes_back_as_it_was_given(kfp: KfpSite) -> None:
    spec = ir()
    spec["root"]["inputDefinitions"] = {
        "parameters": {"n": {"parameterType": "NUMBER_INTEGER", "defaultValue": 3, "isOptional": True}}
    }
    made = await make_both(kfp, "hello-world", spec)
    (version,) = await versions_of(kfp, made)
    assert version["pipeline_spec"] == spec
    default = version["pipeline_spec"]["root"]["inputDefinitions"]["parameters"]["n"]["defaultValue"]
    assert isinstance(default, int)


async def test_a_bad_version_leaves_no_pipeline_behind(kfp: KfpSite) -> None:
    versions: list[Any] = [{}, {"pipeline_spec": {}}, {"pipeline_spec": ir(), "name": "x" * 128}]
    for version in versions:
        answer = await kfp.ask("POST", "/pipelines/create", {"pipeline": {"name": "p"}, "pipeline_version": version})
        assert answer.status == 400
    assert (await kfp.ask("GET", "/pipelines")).body == {}


async def patched(kfp: KfpSite, path: str, body: Any) -> Any:
    answer = await kfp.ask("PATCH", path, body)
    assert answer.status == 200, answer.body
    return answer.body


async def test_a_patch_changes_display_name_and_tags_alone(kfp: KfpSite) -> None:
    made = await make(kfp, name="p", description="kept", tags={"a": "b"})
    path = f"/pipelines/{made['pipeline_id']}"
    assert await patched(kfp, path, {"display_name": "P", "name": "q", "description": ""}) == made | {
        "display_name": "P"
    }
    assert (await patched(kfp, path, {"tags": {"c": "d"}}))["tags"] == {"c": "d"}
    assert (await patched(kfp, path, {"displayName": "Q"}))["tags"] == {"c": "d"}
    cleared = await patched(kfp, path, {"tags": {}})
    assert "tags" not in cleared
    assert cleared["display_name"] == "Q"
    assert (await patched(kfp, path, {"display_name": ""}))["display_name"] == "p"


async def test_a_patch_of_a_version_does_the_same(kfp: KfpSite) -> None:
    made = await make_both(kfp, "p", name="v1", tags={"a": "b"}, code_source_url="https://example.com/x")
    (version,) = await versions_of(kfp, made)
    path = f"/pipelines/{made['pipeline_id']}/versions/{version['pipeline_version_id']}"
    assert await patched(kfp, path, {"display_name": "V"}) == version | {"display_name": "V"}
    assert "tags" not in await patched(kfp, path, {"tags": {}})
    assert (await kfp.ask("PATCH", path, {"tags": {"a.b": "c"}})).status == 400


async def test_changes_at_the_same_time_all_come_through(kfp: KfpSite) -> None:
    made = await make(kfp, name="p")
    path = f"/pipelines/{made['pipeline_id']}"
    await asyncio.gather(patched(kfp, path, {"display_name": "P"}), patched(kfp, path, {"tags": {"a": "b"}}))
    found = (await kfp.ask("GET", path)).body
    assert (found["display_name"], found["tags"]) == ("P", {"a": "b"})


async def test_a_pipeline_goes_after_its_versions_or_with_them(kfp: KfpSite) -> None:
    one, other = await make_both(kfp, "one"), await make_both(kfp, "other")
    refused = await kfp.ask("DELETE", f"/pipelines/{one['pipeline_id']}")
    assert (refused.status, refused.body["code"]) == (400, 9)
    (version,) = await versions_of(kfp, one)
    # Another pipeline's id beside the version's does no harm.
    path = f"/pipelines/{other['pipeline_id']}/versions/{version['pipeline_version_id']}"
    assert (await kfp.ask("GET", path)).body == version
    assert (await kfp.ask("DELETE", path)).body == {}
    assert (await kfp.ask("GET", path)).status == 404
    assert (await kfp.ask("DELETE", f"/pipelines/{one['pipeline_id']}")).body == {}
    for said in ("True", "1"):
        pipeline = await make_both(kfp, "more")
        assert (await kfp.ask("DELETE", f"/pipelines/{pipeline['pipeline_id']}?cascade={said}")).body == {}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"pipeline_id": NOWHERE}, 400),
        ({"pipeline_id": NOWHERE, "pipeline_spec": ir()}, 400),
        ({"pipeline_id": NOWHERE, "package_url": {"pipeline_url": "http://127.0.0.1/x.yaml"}}, 400),
        ({"pipeline_id": NOWHERE, "unknown": 1}, 400),
    ],
)
async def test_a_version_needs_an_address(kfp: KfpSite, body: Any, status: int) -> None:
    pipeline = await make(kfp, name="p")
    answer = await kfp.ask("POST", f"/pipelines/{pipeline['pipeline_id']}/versions", body)
    assert answer.status == status


@pytest.mark.parametrize("id", [NOWHERE, "nothing", "x" * 2_000])
@pytest.mark.parametrize(
    "request_line",
    [
        "GET /pipelines/{}",
        "PATCH /pipelines/{}",
        "DELETE /pipelines/{}",
        "GET /pipelines/{}/versions",
        "GET /pipelines/p/versions/{}",
        "PATCH /pipelines/p/versions/{}",
        "DELETE /pipelines/p/versions/{}",
    ],
)
async def test_one_that_is_missing_is_not_found(kfp: KfpSite, request_line: str, id: str) -> None:
    method, _, path = request_line.partition(" ")
    answer = await kfp.ask(method, path.format(id), {} if method == "PATCH" else None)
    assert (answer.status, answer.body["code"]) == (404, 5)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": " "},
        {"name": "x" * 129},
        {"name": "p", "display_name": "x" * 257},
        {"name": "p", "tags": {"a.b": "c"}},
        {"name": "p", "tags": {"": "c"}},
        {"name": "p", "tags": {"k" * 64: "c"}},
        {"name": "p", "tags": {"k": "c" * 64}},
        {"name": "p", "tags": {str(number): "" for number in range(21)}},
        {"name": "a\0b"},
        {"name": "p", "made_up": True},
    ],
)
async def test_a_wrong_pipeline_is_refused(kfp: KfpSite, body: Any) -> None:
    answer: Answer = await kfp.ask("POST", "/pipelines", body)
    assert (answer.status, answer.body["code"]) == (400, 3)


async def test_the_longest_names_are_taken(kfp: KfpSite) -> None:
    made = (await upload(kfp, text(), name="n" * 128)).body
    assert len(made["name"]) == 128
    assert [len(version["name"]) for version in await versions_of(kfp, made)] == [127]
