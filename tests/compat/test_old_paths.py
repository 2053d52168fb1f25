"""Paths of KFP's v1beta1: those that its user interface still reads, and the answer to all others."""

import json
from typing import Any

import pytest

from tests.compat.packages import ir
from tests.compat.serving import KfpSite
from tests.compat.test_pipelines import make, make_both, versions_of

OLD = "/apis/v1beta1"


def with_parameters() -> Any:
    spec = ir()
    spec["root"]["inputDefinitions"] = {
        "parameters": {
            "n": {"parameterType": "NUMBER_INTEGER", "defaultValue": 3, "isOptional": True},
            "who": {"parameterType": "STRING", "defaultValue": "you", "isOptional": True},
            "wanted": {"parameterType": "STRING"},
        }
    }
    return spec


async def test_a_pipeline_is_read_with_its_newest_version(kfp: KfpSite) -> None:
    made = await make_both(kfp, "Hello", with_parameters(), name="v1")
    (version,) = await versions_of(kfp, made)
    found = (await kfp.ask("GET", f"{OLD}/pipelines/{made['pipeline_id']}")).body
    assert (found["id"], found["name"]) == (made["pipeline_id"], "Hello")
    assert found["default_version"]["id"] == version["pipeline_version_id"]
    values = {parameter["name"]: parameter.get("value") for parameter in found["parameters"]}
    assert values == {"n": "3", "who": "you", "wanted": None}
    owner = {"key": {"type": "PIPELINE", "id": made["pipeline_id"]}, "relationship": "OWNER"}
    alone = (await kfp.ask("GET", f"{OLD}/pipeline_versions/{version['pipeline_version_id']}")).body
    assert alone == found["default_version"]
    assert alone["resource_references"] == [owner]
    query = {"resource_key.id": made["pipeline_id"], "resource_key.type": "PIPELINE", "page_size": 5}
    page = (await kfp.ask("GET", f"{OLD}/pipeline_versions", query=query)).body
    assert page == {"versions": [alone], "total_size": 1}


async def test_templates_are_the_spec_as_text(kfp: KfpSite) -> None:
    made = await make_both(kfp, "Hello")
    (version,) = await versions_of(kfp, made)
    for path in (f"pipelines/{made['pipeline_id']}", f"pipeline_versions/{version['pipeline_version_id']}"):
        template = (await kfp.ask("GET", f"{OLD}/{path}/templates")).body["template"]
        assert json.loads(template) == ir()


async def test_a_pipeline_without_versions_has_no_template(kfp: KfpSite) -> None:
    made = await make(kfp, name="p")
    assert (await kfp.ask("GET", f"{OLD}/pipelines/{made['pipeline_id']}")).status == 200
    assert (await kfp.ask("GET", f"{OLD}/pipelines/{made['pipeline_id']}/templates")).status == 404


async def test_the_user_interface_deletes_a_pipeline_by_its_old_path(kfp: KfpSite) -> None:
    made = await make(kfp, name="p")
    assert (await kfp.ask("DELETE", f"{OLD}/pipelines/{made['pipeline_id']}")).body == {}
    assert (await kfp.ask("GET", f"/pipelines/{made['pipeline_id']}")).status == 404


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/apis/v1beta1/experiments", 501),
        ("POST", "/apis/v1beta1/runs", 501),
        ("GET", "/apis/v1beta1/jobs/x", 501),
        ("POST", "/apis/v1alpha1/tasks", 501),
        ("GET", "/apis/v2beta1/made/up", 404),
        ("GET", "/apis/v3", 404),
        ("PUT", "/apis/v2beta1/pipelines", 501),
        ("GET", "/apis/v2beta1/pipelines/upload", 404),
    ],
)
async def test_what_is_not_served_says_so_as_kfp_says_it(kfp: KfpSite, method: str, path: str, status: int) -> None:
    answer = await kfp.ask(method, path)
    assert answer.status == status
    assert answer.body["details"][0]["message"] == answer.body["message"]


@pytest.mark.parametrize(
    ("path", "instead"),
    [
        ("pipelines/upload", "/apis/v2beta1/pipelines/upload"),
        ("pipelines/upload_version", "/apis/v2beta1/pipelines/upload_version"),
        ("pipeline_versions", "/apis/v2beta1"),
        ("pipelines", "/apis/v2beta1"),
    ],
)
async def test_what_is_made_by_an_old_path_is_told_the_new_one(kfp: KfpSite, path: str, instead: str) -> None:
    answer = await kfp.ask("POST", f"{OLD}/{path}", {})
    assert (answer.status, answer.body["message"].endswith(f"use {instead}")) == (501, True), answer.body["message"]
    assert answer.body["details"][1]["reason"] == "API_VERSION_UNSUPPORTED"


@pytest.mark.parametrize("version", ["v1beta1", "v2beta1"])
async def test_healthz_writes_all_its_fields(kfp: KfpSite, version: str) -> None:
    expected = {"commit_sha": "unknown", "tag_name": "unknown", "multi_user": False, "pipeline_store": "database"}
    assert (await kfp.ask("GET", f"/apis/{version}/healthz")).body == expected


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"resources": "VIEWERS", "verb": "CREATE", "namespace": "x"}, 200),
        ({"resources": "1", "verb": "2"}, 200),
        ({"resources": "VIEWERS"}, 400),
        ({"verb": "GET"}, 400),
        ({"resources": "ALL", "verb": "GET"}, 400),
    ],
)
async def test_a_single_user_may_do_all_that_there_is(kfp: KfpSite, query: dict[str, str], status: int) -> None:
    assert (await kfp.ask("GET", "/auth", query=query)).status == status
    assert (await kfp.ask("GET", f"{OLD}/auth", query=query)).status == status


async def test_visualizations_are_refused(kfp: KfpSite) -> None:
    answer = await kfp.ask("POST", "/visualizations/default", {"type": "ROC_CURVE", "source": "x"})
    assert (answer.status, answer.body["code"]) == (501, 12)
