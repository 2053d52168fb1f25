"""KFP's runs, which are ours."""

import asyncio
import json
import re
import uuid
from typing import Any

import pytest

from penstock.v1 import pipeline_pb2, pipeline_service_pb2, run_pb2
from penstock.v1 import run_service_pb2 as own
from penstock_server.model.changes import AttemptCreate, AttemptMove, RunMove, TaskMove
from penstock_server.model.ids import RunUid
from penstock_server.model.resources import ArtifactValue, TaskValues
from penstock_server.model.states import AttemptState, RunState, TaskState
from penstock_server.store import kfp_histories, runs
from tests import pipelines
from tests.api.moving import ROOT, STEP, Mover, mover
from tests.compat.serving import Answer, KfpSite

NOBODY = str(uuid.UUID(int=5))


def pipeline() -> pipelines.Ir:
    made = pipelines.chain(1, "true")
    made["root"]["inputDefinitions"] = {
        "parameters": {
            "text": {"parameterType": "STRING", "isOptional": True},
            "count": {"parameterType": "NUMBER_INTEGER", "defaultValue": 3},
            "rest": {"parameterType": "STRUCT", "isOptional": True},
        }
    }
    return made


def body(name: str = "first", **fields: Any) -> dict[str, Any]:
    return {"display_name": name, "pipeline_spec": pipeline(), **fields}


async def make(kfp: KfpSite, name: str = "first", **fields: Any) -> Any:
    """A new run, as JSON."""
    answer = await kfp.ask("POST", "/runs", body(name, **fields))
    assert answer.status == 200, answer.body
    return answer.body


async def get(kfp: KfpSite, run_id: str) -> Any:
    answer = await kfp.ask("GET", f"/runs/{run_id}")
    assert answer.status == 200, answer.body
    return answer.body


async def owner(kfp: KfpSite, run_id: str) -> Mover:
    """Who moves the run, which has begun."""
    async with kfp.database.connection() as connection:
        run = await runs.find_by_uid(connection, RunUid(uuid.UUID(run_id)))
    assert run is not None
    moving = await mover(kfp.database, run)
    await moving.start()
    return moving


async def publish(kfp: KfpSite, id: str = "train", document: pipelines.Ir | None = None) -> tuple[str, str]:
    """The uids of a pipeline and of its new version."""
    made = pipeline_service_pb2.CreatePipelineRequest(
        parent="namespaces/default", pipeline_id=id, pipeline=pipeline_pb2.Pipeline()
    )
    uid = (await kfp.own_pipelines.CreatePipeline(made)).pipeline.uid
    return uid, await publish_version(kfp, id, document)


async def publish_version(kfp: KfpSite, id: str = "train", document: pipelines.Ir | None = None) -> str:
    version = pipeline_pb2.PipelineVersion()
    version.spec.text = json.dumps(document or pipeline())
    request = pipeline_service_pb2.CreatePipelineVersionRequest(
        parent=f"namespaces/default/pipelines/{id}", pipeline_version=version
    )
    return (await kfp.own_pipelines.CreatePipelineVersion(request)).pipeline_version.uid


async def names(kfp: KfpSite, **query: Any) -> list[str]:
    answer = await kfp.ask("GET", "/runs", query=query)
    assert answer.status == 200, answer.body
    return [item["display_name"] for item in answer.body.get("runs", [])]


def predicate(key: str, operation: str, value: Any, kind: str = "string_value") -> str:
    return json.dumps({"predicates": [{"key": key, "operation": operation, kind: value}]})


async def test_a_new_run_is_told_as_it_is_read_afterwards(kfp: KfpSite) -> None:
    pipeline_id, version_id = await publish(kfp)
    given = {"description": "why", "service_account": "me", "runtime_config": {"parameters": {"count": 7}}}
    sources: list[dict[str, Any]] = [
        {"pipeline_spec": pipeline()},
        {"pipeline_spec": {"pipeline_spec": pipeline(), "platform_spec": {"platforms": {"kubernetes": {}}}}},
        {"pipeline_version_id": version_id},
        {"pipeline_version_reference": {"pipeline_id": pipeline_id}},
        {"pipeline_version_reference": {"pipeline_id": pipeline_id, "pipeline_version_id": version_id}},
    ]
    for source in sources:
        answer = await kfp.ask("POST", "/runs", {"display_name": "new", **given, **source})
        assert answer.status == 200, answer.body
        assert answer.body == await get(kfp, answer.body["run_id"])


async def test_a_new_run_is_told_as_kfp_tells_it(kfp: KfpSite) -> None:
    made = await make(kfp, description="of many", runtime_config={"parameters": {"count": 5, "rest": {"a": [1, 2.5]}}})
    assert {name: made[name] for name in ("display_name", "description", "state", "storage_state")} == {
        "display_name": "first",
        "description": "of many",
        "state": "PENDING",
        "storage_state": "AVAILABLE",
    }
    assert made["runtime_config"] == {"parameters": {"count": 5, "rest": {"a": [1, 2.5]}}}
    assert made["service_account"] == "pipeline-runner"
    assert made["scheduled_at"] == made["created_at"]
    assert [entry["state"] for entry in made["state_history"]] == ["PENDING"]
    assert [task["task_id"] for task in made["run_details"]["task_details"]] == ["root"]
    assert not made.keys() & {"finished_at", "error", "recurring_run_id", "pipeline_version_reference"}
    assert await get(kfp, made["run_id"]) == made


async def test_integers_of_specs_and_parameters_have_no_fraction(kfp: KfpSite) -> None:
    made = await make(kfp, runtime_config={"parameters": {"count": 5}})
    answer = await kfp.client.get(f"{kfp.url}/apis/v2beta1/runs/{made['run_id']}")
    text = bytes(answer.content).decode()
    assert '"count":5' in text.replace(" ", "")
    assert re.search(r"[0-9]\.0[,}\]]", text) is None


async def test_a_run_is_the_same_on_both_sides(kfp: KfpSite) -> None:
    made = await make(kfp)
    listed = await kfp.own_runs.ListRuns(own.ListRunsRequest(parent="namespaces/default"))
    assert [run.uid for run in listed.runs] == [made["run_id"]]
    given = run_pb2.Run(display_name="Made by us")
    given.inline_spec.text = json.dumps(pipeline())
    own_run = (await kfp.own_runs.CreateRun(own.CreateRunRequest(parent="namespaces/default", run=given))).run
    assert (await get(kfp, own_run.uid))["display_name"] == "Made by us"


async def test_a_run_of_a_version_names_it_and_shows_no_spec(kfp: KfpSite) -> None:
    pipeline_id, version_id = await publish(kfp)
    reference = {"pipeline_id": pipeline_id, "pipeline_version_id": version_id}
    for given in (
        {"pipeline_version_reference": reference},
        {"pipeline_version_reference": {"pipeline_id": pipeline_id}},
        {"pipeline_version_id": version_id},
    ):
        answer = await kfp.ask("POST", "/runs", {"display_name": "second", **given})
        assert answer.body["pipeline_version_reference"] == reference
        assert "pipeline_spec" not in answer.body


async def test_a_pipeline_alone_means_its_newest_version(kfp: KfpSite) -> None:
    pipeline_id, _ = await publish(kfp)
    newest = await publish_version(kfp, document=pipelines.chain(2, "true"))
    given = {"display_name": "second", "pipeline_version_reference": {"pipeline_id": pipeline_id}}
    made = (await kfp.ask("POST", "/runs", given)).body
    assert made["pipeline_version_reference"]["pipeline_version_id"] == newest


async def test_space_around_a_name_belongs_to_it(kfp: KfpSite) -> None:
    made = await make(kfp, " first ")
    assert made["display_name"] == " first "
    assert await names(kfp, filter=predicate("display_name", "EQUALS", " first ")) == [" first "]


async def test_a_run_whose_version_is_gone_shows_what_it_runs(kfp: KfpSite) -> None:
    pipeline_id, _ = await publish(kfp)
    given = {"display_name": "second", "pipeline_version_reference": {"pipeline_id": pipeline_id}}
    made = (await kfp.ask("POST", "/runs", given)).body
    name = "namespaces/default/pipelines/train/versions/1"
    await kfp.own_pipelines.DeletePipelineVersion(pipeline_service_pb2.DeletePipelineVersionRequest(name=name))
    left = await get(kfp, made["run_id"])
    assert "pipeline_version_reference" not in left
    assert left["pipeline_spec"]["pipelineInfo"] == pipeline()["pipelineInfo"]


async def test_a_platform_spec_comes_back_beside_the_pipeline_spec(kfp: KfpSite) -> None:
    both = {"pipeline_spec": pipeline(), "platform_spec": {"platforms": {"kubernetes": {"deploymentSpec": {}}}}}
    made = await make(kfp, pipeline_spec=both)
    assert made["pipeline_spec"] == both


async def test_macros_of_kfp_are_written_out_and_ours_are_none(kfp: KfpSite) -> None:
    text = "[[RunUUID]] [[Index]] [[ScheduledTime]] $${x} ${run.uid}"
    made = await make(kfp, runtime_config={"parameters": {"text": text}})
    expected = f"{made['run_id']} [[Index]] [[ScheduledTime]] $${{x}} ${{run.uid}}"
    assert made["runtime_config"]["parameters"] == {"text": expected}
    due = await make(
        kfp, scheduled_at="2026-03-01T09:30:00Z", runtime_config={"parameters": {"text": "[[ScheduledTime]]"}}
    )
    assert due["runtime_config"]["parameters"] == {"text": "20260301093000"}


async def test_what_was_asked_of_a_run_is_told(kfp: KfpSite) -> None:
    experiment = (await kfp.ask("POST", "/experiments", {"display_name": "training"})).body["experiment_id"]
    made = await make(
        kfp,
        experiment_id=experiment,
        service_account="trainer",
        runtime_config={"pipeline_root": "file:///artifacts/here"},
    )
    assert (made["experiment_id"], made["service_account"]) == (experiment, "trainer")
    assert made["runtime_config"] == {"pipeline_root": "file:///artifacts/here"}


REFUSED: list[tuple[dict[str, Any], int, int, str]] = [
    (body(""), 400, 3, "run.display_name"),
    (body("x" * 257), 400, 3, "run.display_name"),
    (body("a\0b"), 400, 3, "run.display_name"),
    (body(description="a\0b"), 400, 3, "run.description"),
    (body(service_account="a\0b"), 400, 3, "run.service_account"),
    (body(description="x" * 10_001), 400, 3, "run.description"),
    ({"display_name": "no source"}, 400, 3, "run"),
    (body(experiment_id=NOBODY), 404, 5, ""),
    (body(experiment_id="nonsense"), 404, 5, ""),
    ({"display_name": "x", "pipeline_version_reference": {}}, 400, 3, "run.pipeline_version_reference"),
    ({"display_name": "x", "pipeline_version_reference": {"pipeline_id": NOBODY}}, 404, 5, ""),
    ({"display_name": "x", "pipeline_version_id": NOBODY}, 404, 5, ""),
    (body(pipeline_spec={"what": "ever"}), 400, 3, ""),
    (body(runtime_config={"parameters": {"count": "5"}}), 400, 3, "run.runtime_config.parameters.count"),
    (body(runtime_config={"parameters": {"count": None}}), 400, 3, "run.runtime_config.parameters.count"),
    (body(runtime_config={"parameters": {"other": 1}}), 400, 3, "run.runtime_config.parameters.other"),
    (body(runtime_config={"pipeline_root": "gs://elsewhere"}), 400, 3, "run.runtime_config.pipeline_root"),
    (body(plugins_input={"mlflow": {}}), 400, 3, "run.plugins_input"),
    (body(plugins_output={"mlflow": {}}), 409, 10, ""),
    (body(scheduled_at="0000-01-01T00:00:00Z"), 400, 3, ""),
]


@pytest.mark.parametrize(("given", "status", "code", "field"), REFUSED)
async def test_what_is_wrong_with_a_run_is_named(
    kfp: KfpSite, given: dict[str, Any], status: int, code: int, field: str
) -> None:
    answer = await kfp.ask("POST", "/runs", given)
    assert (answer.status, answer.body["code"]) == (status, code), answer.body
    if field:
        assert field in violated(answer)
    assert await names(kfp) == []


def violated(answer: Answer) -> list[str]:
    """The fields that an error names."""
    return [each["field"] for detail in answer.body["details"] for each in detail.get("fieldViolations", ())]


async def test_a_version_of_another_pipeline_is_refused(kfp: KfpSite) -> None:
    pipeline_id, _ = await publish(kfp)
    _, other = await publish(kfp, "other")
    reference = {"pipeline_id": pipeline_id, "pipeline_version_id": other}
    answer = await kfp.ask("POST", "/runs", {"display_name": "x", "pipeline_version_reference": reference})
    assert (answer.status, violated(answer)) == (400, ["run.pipeline_version_reference.pipeline_version_id"])


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("DELETE", ""), *(("POST", f":{verb}") for verb in ("archive", "unarchive", "terminate", "retry"))],
)
@pytest.mark.parametrize("run_id", [NOBODY, "nonsense"])
async def test_a_run_that_is_not_there_is_not_found(kfp: KfpSite, method: str, path: str, run_id: str) -> None:
    answer = await kfp.ask(method, f"/runs/{run_id}{path}")
    assert (answer.status, answer.body["code"]) == (404, 5)


async def test_a_failed_run_tells_its_states_its_tasks_and_why(kfp: KfpSite) -> None:
    run_id = (await make(kfp))["run_id"]
    moving = await owner(kfp, run_id)
    await moving.start_step()
    await moving.end_step()
    await moving.end(RunState.FAILED)
    failed = await get(kfp, run_id)
    assert (failed["state"], failed["error"]["message"]) == ("FAILED", "COMPLETED")
    assert [entry["state"] for entry in failed["state_history"]] == ["PENDING", "RUNNING", "FAILED"]
    assert failed["finished_at"] == failed["state_history"][-1]["update_time"]
    root, step = failed["run_details"]["task_details"]
    assert (root["state"], root["child_tasks"]) == ("FAILED", [{"task_id": "train"}])
    assert (step["state"], step["parent_task_id"], step["pod_name"]) == ("SUCCEEDED", "root", "train@1")


async def test_a_step_that_was_tried_again_tells_each_try(kfp: KfpSite) -> None:
    run_id = (await make(kfp))["run_id"]
    moving = await owner(kfp, run_id)
    await moving.start_step()
    await moving.move(
        AttemptMove(STEP, 1, AttemptState.RUNNING, AttemptState.FAILED),
        TaskMove(STEP, TaskState.RUNNING, TaskState.QUEUED, "WAITING_FOR_RETRY", "exit code 1"),
    )
    await moving.move(
        TaskMove(STEP, TaskState.QUEUED, TaskState.RUNNING, "STARTED"),
        AttemptCreate(STEP, 2, "fake"),
        AttemptMove(STEP, 2, AttemptState.LAUNCHING, AttemptState.RUNNING),
    )
    for told in (await get(kfp, run_id), (await kfp.ask("GET", "/runs")).body["runs"][0]):
        root, step = told["run_details"]["task_details"]
        assert [entry["state"] for entry in root["state_history"]] == ["PENDING", "RUNNING"]
        assert [(entry["state"], entry.get("error", {}).get("message")) for entry in step["state_history"]] == [
            ("PENDING", None),
            ("RUNNING", None),
            ("PENDING", "exit code 1"),
            ("RUNNING", None),
        ]


async def test_lists_tell_a_run_that_has_ended_as_it_is_until_it_is_retried(kfp: KfpSite) -> None:
    run_id = (await make(kfp))["run_id"]
    moving = await owner(kfp, run_id)
    await moving.end(RunState.FAILED)
    ended = await get(kfp, run_id)
    for _ in range(2):
        assert (await kfp.ask("GET", "/runs")).body["runs"] == [ended]
    async with kfp.database.transaction() as connection:
        await connection.execute("UPDATE run SET retry_request_time = now()")
        run = await runs.find_by_uid(connection, RunUid(uuid.UUID(run_id)))
    assert run is not None
    retry = RunMove(RunState.FAILED, RunState.PENDING, "RETRY"), TaskMove(ROOT, TaskState.FAILED, TaskState.PENDING)
    await (await mover(kfp.database, run)).move(*retry)
    retried = await get(kfp, run_id)
    assert retried["run_details"] != ended["run_details"]
    assert (await kfp.ask("GET", "/runs")).body["runs"] == [retried]


async def test_a_run_is_archived_and_goes_on(kfp: KfpSite) -> None:
    run_id = (await make(kfp))["run_id"]
    for _ in range(2):
        assert (await kfp.ask("POST", f"/runs/{run_id}:archive")).body == {}
        archived = await get(kfp, run_id)
        assert (archived["storage_state"], archived["state"]) == ("ARCHIVED", "PENDING")
    assert (await kfp.ask("POST", f"/runs/{run_id}:unarchive")).body == {}
    assert (await get(kfp, run_id))["storage_state"] == "AVAILABLE"


async def test_a_run_stays_in_the_archive_with_its_experiment(kfp: KfpSite) -> None:
    experiment = (await kfp.ask("POST", "/experiments", {"display_name": "training"})).body["experiment_id"]
    run_id = (await make(kfp, experiment_id=experiment))["run_id"]
    await kfp.ask("POST", f"/experiments/{experiment}:archive")
    refused = await kfp.ask("POST", f"/runs/{run_id}:unarchive")
    assert (refused.status, refused.body["code"]) == (400, 9)


async def test_terminating_a_run_waits_until_it_is_under_way(kfp: KfpSite) -> None:
    run_id = (await make(kfp))["run_id"]
    moving = await owner(kfp, run_id)
    asking = asyncio.create_task(kfp.ask("POST", f"/runs/{run_id}:terminate"))
    await moving.move(RunMove(RunState.RUNNING, RunState.CANCELLING, "CANCEL_REQUESTED", "terminated"))
    assert (await asking).body == {}
    assert (await get(kfp, run_id))["state"] == "CANCELING"


async def test_a_run_that_has_ended_is_terminated_without_effect(kfp: KfpSite) -> None:
    run_id = (await make(kfp))["run_id"]
    await (await owner(kfp, run_id)).end()
    assert (await kfp.ask("POST", f"/runs/{run_id}:terminate")).body == {}
    assert (await get(kfp, run_id))["state"] == "SUCCEEDED"


async def test_only_a_run_that_failed_is_retried(kfp: KfpSite) -> None:
    run_id = (await make(kfp))["run_id"]
    refused = await kfp.ask("POST", f"/runs/{run_id}:retry")
    assert (refused.status, refused.body["code"]) == (409, 10)
    assert refused.body["message"] == f"run {run_id} is PENDING; only failed or cancelled runs go on"


async def test_a_deleted_run_is_gone_at_once_even_while_it_runs(kfp: KfpSite) -> None:
    over = (await make(kfp, "over"))["run_id"]
    await (await owner(kfp, over)).end()
    under_way = (await make(kfp, "under way"))["run_id"]
    for run_id in (over, under_way):
        assert (await kfp.ask("DELETE", f"/runs/{run_id}")).body == {}
        assert (await kfp.ask("GET", f"/runs/{run_id}")).status == 404
    assert await names(kfp) == []


async def test_kfp_s_interface_deletes_runs_by_the_old_path(kfp: KfpSite) -> None:
    run_id = (await make(kfp))["run_id"]
    assert (await kfp.ask("DELETE", f"/apis/v1beta1/runs/{run_id}")).status == 200
    assert (await kfp.ask("GET", f"/runs/{run_id}")).status == 404


async def test_runs_are_listed_by_experiment_in_pages(kfp: KfpSite) -> None:
    experiment = (await kfp.ask("POST", "/experiments", {"display_name": "training"})).body["experiment_id"]
    for number in range(3):
        await make(kfp, f"run {number}", experiment_id=experiment)
    await make(kfp, "elsewhere")
    query = {"experiment_id": experiment, "page_token": "", "page_size": 2, "sort_by": ""}
    first = (await kfp.ask("GET", "/runs", query=query)).body
    assert ([run["display_name"] for run in first["runs"]], first["total_size"]) == (["run 0", "run 1"], 3)
    second = (await kfp.ask("GET", "/runs", query=query | {"page_token": first["next_page_token"]})).body
    assert [run["display_name"] for run in second["runs"]] == ["run 2"]
    assert "next_page_token" not in second
    assert [run["run_details"]["task_details"][0]["task_id"] for run in first["runs"]] == ["root", "root"]
    assert (await kfp.ask("GET", "/runs", query={"experiment_id": "nonsense"})).body == {}


ORDERS = [
    *("", "id", "run_id", "name", "display_name", "created_at", "finished_at", "scheduled_at", "description"),
    *("storage_state", "status", "state", "namespace", "experiment_id", "recurring_run_id", "state_history"),
    *("runtime_details", "metric:loss"),
]


@pytest.mark.parametrize("field", ORDERS)
async def test_pages_of_runs_hold_each_run_once_in_every_order(kfp: KfpSite, field: str) -> None:
    for number in range(3):
        run_id = (await make(kfp, f"run {number % 2}"))["run_id"]
    await (await owner(kfp, run_id)).end()
    for direction in ("asc", "desc"):
        seen: list[str] = []
        query = {"sort_by": f"{field} {direction}" if field else "", "page_size": 1, "page_token": ""}
        while True:
            page = (await kfp.ask("GET", "/runs", query=query)).body
            seen += [run["run_id"] for run in page["runs"]]
            if "next_page_token" not in page:
                break
            query["page_token"] = page["next_page_token"]
        assert len(seen) == len(set(seen)) == 3


async def test_runs_are_found_by_what_they_are_told_to_be(kfp: KfpSite) -> None:
    ids = {"failed": (await make(kfp, "failed"))["run_id"]}
    await (await owner(kfp, ids["failed"])).end(RunState.FAILED)
    ids["cancelled"] = (await make(kfp, "cancelled"))["run_id"]
    moving = await owner(kfp, ids["cancelled"])
    await moving.move(
        RunMove(RunState.RUNNING, RunState.CANCELLING, "CANCEL_REQUESTED"),
        RunMove(RunState.CANCELLING, RunState.CANCELLED, "CANCEL_REQUESTED"),
    )
    ids |= {name: (await make(kfp, name))["run_id"] for name in ("waits", "archived")}
    await kfp.ask("POST", f"/runs/{ids['archived']}:archive")
    found = [
        (predicate("state", "EQUALS", "FAILED"), ["failed", "cancelled"]),
        (predicate("status", "NOT_EQUALS", "FAILED"), ["waits", "archived"]),
        (predicate("state", "EQUALS", "CANCELED"), []),
        (predicate("storage_state", "NOT_EQUALS", "ARCHIVED"), ["failed", "cancelled", "waits"]),
        (predicate("storage_state", "EQUALS", "ARCHIVED"), ["archived"]),
        (predicate("name", "IS_SUBSTRING", "ai"), ["failed", "waits"]),
        (predicate("run_id", "EQUALS", ids["waits"]), ["waits"]),
        (predicate("run_id", "EQUALS", "nonsense"), []),
        (predicate("id", "IN", {"values": [ids["waits"], ids["failed"]]}, "string_values"), ["failed", "waits"]),
        (predicate("recurring_run_id", "EQUALS", NOBODY), []),
        (predicate("created_at", "GREATER_THAN", "0"), list(ids)),
        (predicate("state_history", "IS_SUBSTRING", '"State":"CANCELING"'), ["cancelled"]),
        (predicate("state_history", "IS_SUBSTRING", "RUNNING"), ["failed", "cancelled"]),
        (predicate("runtime_details", "IS_SUBSTRING", "root"), list(ids)),
        (predicate("runtime_details", "EQUALS", "root"), []),
        (predicate("finished_at", "LESS_THAN", "9999999999"), ["failed", "cancelled"]),
    ]
    for given, expected in found:
        assert await names(kfp, filter=given) == expected, given


@pytest.mark.parametrize(
    "query",
    [
        {"sort_by": "metric:"},
        {"sort_by": "metric:a\0b"},
        {"sort_by": "nonsense"},
        {"filter": predicate("nonsense", "EQUALS", "x")},
        {"filter": predicate("metric:loss", "EQUALS", "1")},
        {"filter": predicate("metric:", "EQUALS", "1")},
    ],
)
async def test_unknown_fields_of_lists_are_refused(kfp: KfpSite, query: dict[str, Any]) -> None:
    assert (await kfp.ask("GET", "/runs", query=query)).status == 400


async def test_runs_are_sorted_by_a_metric_that_their_tasks_tell(kfp: KfpSite) -> None:
    for name, metric, value in [("second", "Val.Loss", 0.25), ("first", "Val.Loss", 0.125), ("none", "other", 1)]:
        moving = await owner(kfp, (await make(kfp, name))["run_id"])
        await moving.start_step()
        metrics = ArtifactValue(
            "metrics", "system.Metrics", "file:///artifacts/m", metadata={metric: value, "text": "0.5"}
        )
        values = TaskValues(artifacts={"metrics": (metrics,)})
        await moving.move(TaskMove(STEP, TaskState.RUNNING, TaskState.SUCCEEDED, "COMPLETED", outputs=values))
    await make(kfp, "new")
    for direction, expected in [("asc", ["", "", "first", "second"]), ("desc", ["second", "first", "", ""])]:
        found: list[str] = []
        query: dict[str, Any] = {"sort_by": f"metric:Val.Loss {direction}"}
        while not found or "page_token" in query:
            page = (await kfp.ask("GET", "/runs", query=query | {"page_size": 1})).body
            found += [run["display_name"] for run in page["runs"]]
            query = {"page_token": page["next_page_token"]} if "next_page_token" in page else {}
        # Those without it stand together, in whatever order.
        assert [name if name in ("first", "second") else "" for name in found] == expected
        assert sorted(found) == ["first", "new", "none", "second"]


async def test_a_page_tells_tasks_for_which_there_is_room(kfp: KfpSite) -> None:
    ids = [RunUid(uuid.UUID((await make(kfp))["run_id"])) for _ in range(3)]
    async with kfp.database.connection() as connection:
        for most, told in [(2, [1, 1, 0]), (3, [1, 1, 1]), (None, [1, 1, 1])]:
            found = await kfp_histories.histories(connection, ids, most)
            assert [len(history.tasks) for history in found] == told
            assert [len(history.moves) for history in found] == [1, 1, 1]


async def test_reports_of_workflows_are_refused(kfp: KfpSite) -> None:
    for path in ("/workflows", "/scheduledworkflows"):
        answer = await kfp.ask("POST", path, json.dumps("{}").encode())
        assert (answer.status, answer.body["code"]) == (501, 12)
