"""RunService: runs themselves."""

import asyncio
import json
import uuid
from collections.abc import Awaitable
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from penstock.v1 import experiment_pb2, experiment_service_pb2, pipeline_pb2, pipeline_service_pb2, run_pb2
from penstock.v1 import run_service_pb2 as pb
from tests import factories, pipelines
from tests.api.calls import reason, refusal
from tests.api.conftest import Api
from tests.api.moving import mover

PARENT = "namespaces/default"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def document() -> pipelines.Ir:
    made = pipelines.chain(1, "true")
    made["root"]["inputDefinitions"] = {
        "parameters": {
            "lr": {"parameterType": "NUMBER_DOUBLE"},
            "epochs": {"parameterType": "NUMBER_INTEGER", "defaultValue": 3},
        }
    }
    return made


def inline(**fields: Any) -> run_pb2.Run:
    run = run_pb2.Run(**fields)
    run.inline_spec.text = json.dumps(document())
    run.parameters["lr"].number_value = 0.5
    return run


def request(run: run_pb2.Run | None = None, **fields: Any) -> pb.CreateRunRequest:
    return pb.CreateRunRequest(parent=PARENT, run=run or inline(), **fields)


async def create(api: Api, run: run_pb2.Run | None = None, **fields: Any) -> run_pb2.Run:
    return (await api.runs.CreateRun(request(run, **fields))).run


async def get(api: Api, name: str, *, full: bool = False) -> run_pb2.Run:
    view = run_pb2.Run.VIEW_FULL if full else run_pb2.Run.VIEW_BASIC
    return (await api.runs.GetRun(pb.GetRunRequest(name=name, view=view))).run


async def publish(api: Api, **version_fields: Any) -> None:
    """`pipelines/train` with one version."""
    pipeline = pipeline_service_pb2.CreatePipelineRequest(
        parent=PARENT, pipeline_id="train", pipeline=pipeline_pb2.Pipeline()
    )
    await api.pipelines.CreatePipeline(pipeline)
    version = pipeline_pb2.PipelineVersion(alias="rc", **version_fields)
    version.spec.text = json.dumps(document())
    await api.pipelines.CreatePipelineVersion(
        pipeline_service_pb2.CreatePipelineVersionRequest(parent=f"{PARENT}/pipelines/train", pipeline_version=version)
    )


async def test_an_inline_run_is_accepted_pending(api: Api) -> None:
    made = await create(api, inline(display_name="First try", labels={"a": "b"}), run_id="one")
    assert made.name == f"{PARENT}/runs/one"
    assert (made.state, made.experiment) == (run_pb2.Run.STATE_PENDING, f"{PARENT}/experiments/default")
    assert made.WhichOneof("source") is None
    got = await get(api, made.name)
    assert (got.task_counts.pending, got.event_sequence) == (1, 2)
    assert got.parameters["lr"].number_value == 0.5
    got.ClearField("task_counts")
    made.ClearField("task_counts")
    assert got == made


async def test_everything_that_was_asked_for_is_kept(api: Api) -> None:
    asked = inline(description="why", artifact_root="file:///artifacts/mine", cache_policy="CACHE_POLICY_REFRESH")
    asked.deadline.FromMilliseconds(90_500)
    made = await create(api, asked)
    for field in ("description", "artifact_root", "cache_policy", "deadline"):
        assert getattr(made, field) == getattr(asked, field)
    full = await get(api, made.name, full=True)
    assert json.loads(full.spec.text) == document()
    assert full.spec_digest == made.spec_digest


async def test_the_callers_trace_becomes_the_runs(api: Api) -> None:
    call = api.runs.CreateRun(request(run_id="traced"), metadata=[("traceparent", TRACE)])
    await call
    call = api.runs.CreateRun(request(run_id="untraced"), metadata=[("traceparent", "nonsense")])
    await call
    async with api.database.connection() as connection:
        rows = await (await connection.execute("SELECT traceparent FROM run ORDER BY id")).fetchall()
    assert [row[0] for row in rows] == [TRACE, None]


@pytest.mark.parametrize("version", ["1", "rc", "latest"])
async def test_a_run_of_a_version_is_pinned_to_its_number(api: Api, version: str) -> None:
    await publish(api)
    run = run_pb2.Run(pipeline_version=f"{PARENT}/pipelines/train/versions/{version}")
    run.parameters["lr"].number_value = 1
    made = await create(api, run)
    assert made.pipeline_version == f"{PARENT}/pipelines/train/versions/1"
    assert made.name.startswith(f"{PARENT}/runs/train-")


async def test_an_id_is_made_of_what_the_run_is_called(api: Api) -> None:
    made = await create(api, inline(display_name="Grid Search #2"))
    assert made.name.startswith(f"{PARENT}/runs/grid-search-2-")
    assert (await create(api)).name.startswith(f"{PARENT}/runs/synthetic-")


async def test_validating_makes_nothing(api: Api) -> None:
    made = await create(api, run_id="one", validate_only=True)
    assert made.name == f"{PARENT}/runs/one"
    assert await reason(get(api, made.name)) == "RUN_NOT_FOUND"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"parent": "namespaces/nowhere"}, "NAMESPACE_NOT_FOUND"),
        ({"parent": "nowhere"}, "INVALID_REQUEST"),
        ({"run_id": "No!"}, "INVALID_REQUEST"),
        ({"request_id": "no-uuid"}, "INVALID_REQUEST"),
        ({"run": {"experiment": f"{PARENT}/experiments/nothing"}}, "EXPERIMENT_NOT_FOUND"),
        ({"run": {"experiment": "namespaces/other/experiments/x"}}, "INVALID_REQUEST"),
        ({"run": {"pipelineVersion": f"{PARENT}/pipelines/none/versions/1"}}, "PIPELINE_NOT_FOUND"),
        ({"run": {"pipelineVersion": "namespaces/other/pipelines/p/versions/1"}}, "INVALID_REQUEST"),
        ({"run": {"componentVersion": f"{PARENT}/components/c/versions/1"}}, "COMPONENT_SOURCE_UNAVAILABLE"),
        ({"run": {"inlineSpec": {"text": "a: ["}}}, "INVALID_SPEC"),
        ({"run": {"inlineSpec": {}}}, "INVALID_REQUEST"),
        ({"run": {"deadline": "-1s"}}, "INVALID_REQUEST"),
        ({"run": {"parameters": {"lr": "fast"}}}, "PARAMETER_TYPE_MISMATCH"),
        ({"run": {"parameters": {"lr": 1, "speed": 1}}}, "UNKNOWN_PARAMETER"),
        ({"run": {"parameters": {"epochs": 1}}}, "MISSING_PARAMETER"),
    ],
)
async def test_what_is_wrong_with_a_run_is_told(api: Api, change: dict[str, Any], expected: str) -> None:
    asked = request()
    given = change.pop("run", {})
    if "parameters" in given:
        asked.run.ClearField("parameters")
    if "inlineSpec" in given:
        asked.run.ClearField("inline_spec")
    json_format.ParseDict({**change, "run": given}, asked)
    assert await reason(api.runs.CreateRun(asked)) == expected


@pytest.mark.parametrize("root", ["file:///etc", "s3://bucket/runs", "/artifacts", "team-a"])
async def test_artifacts_cannot_be_sent_where_the_store_does_not_reach(api: Api, root: str) -> None:
    assert await reason(create(api, inline(artifact_root=root))) == "INVALID_REQUEST"
    assert (await create(api, inline(artifact_root="file:///artifacts/mine/"))).artifact_root


async def test_a_run_without_a_source_is_refused(api: Api) -> None:
    refused = await refusal(create(api, run_pb2.Run(display_name="x")))
    assert (refused.reason, refused.fields) == ("INVALID_REQUEST", ["run"])


async def test_a_parameter_that_is_no_json_is_refused_with_its_path(api: Api) -> None:
    run = inline()
    run.parameters["lr"].number_value = float("nan")
    refused = await refusal(create(api, run))
    assert refused.fields == ["run.parameters.lr"]


async def test_an_archived_experiment_takes_no_runs(api: Api) -> None:
    name = f"{PARENT}/experiments/old"
    made = experiment_service_pb2.CreateExperimentRequest(
        parent=PARENT, experiment_id="old", experiment=experiment_pb2.Experiment(description="x")
    )
    await api.experiments.CreateExperiment(made)
    await api.experiments.ArchiveExperiment(experiment_service_pb2.ArchiveExperimentRequest(name=name))
    assert await reason(create(api, inline(experiment=name))) == "EXPERIMENT_ARCHIVED"


async def test_a_taken_id_is_refused(api: Api) -> None:
    await create(api, run_id="one")
    assert await reason(create(api, run_id="one")) == "RUN_EXISTS"


async def test_replays_at_once_make_one_run(api: Api) -> None:
    id = str(uuid.uuid4())
    made = await asyncio.gather(*(create(api, request_id=id) for _ in range(10)))
    assert len({run.uid for run in made}) == 1
    listed = await api.runs.ListRuns(pb.ListRunsRequest(parent=PARENT))
    assert len(listed.runs) == 1
    assert await reason(create(api, inline(display_name="other"), request_id=id)) == "REQUEST_ID_REUSED"


async def test_a_missing_run_is_not_found_by_any_method(api: Api) -> None:
    name = f"{PARENT}/runs/nothing"
    calls: list[Awaitable[object]] = [
        api.runs.GetRun(pb.GetRunRequest(name=name)),
        api.runs.UpdateRun(pb.UpdateRunRequest(run=run_pb2.Run(name=name, description="x"))),
        api.runs.DeleteRun(pb.DeleteRunRequest(name=name)),
        api.runs.ArchiveRun(pb.ArchiveRunRequest(name=name)),
        api.runs.UnarchiveRun(pb.UnarchiveRunRequest(name=name)),
        api.runs.CancelRun(pb.CancelRunRequest(name=name)),
        api.runs.RetryRun(pb.RetryRunRequest(name=name)),
        api.runs.ListTasks(pb.ListTasksRequest(parent=name)),
        api.runs.GetTask(pb.GetTaskRequest(name=f"{name}/tasks/root")),
        api.runs.ListEvents(pb.ListEventsRequest(parent=name)),
    ]
    for call in calls:
        assert await reason(call) == "RUN_NOT_FOUND"


async def test_a_stale_etag_stops_every_change(api: Api) -> None:
    name = (await create(api, run_id="one")).name
    calls: list[Awaitable[object]] = [
        api.runs.UpdateRun(pb.UpdateRunRequest(run=run_pb2.Run(name=name, description="x", etag="old"))),
        api.runs.DeleteRun(pb.DeleteRunRequest(name=name, etag="old", force=True)),
        api.runs.ArchiveRun(pb.ArchiveRunRequest(name=name, etag="old")),
        api.runs.UnarchiveRun(pb.UnarchiveRunRequest(name=name, etag="old")),
        api.runs.CancelRun(pb.CancelRunRequest(name=name, etag="old")),
        api.runs.RetryRun(pb.RetryRunRequest(name=name, etag="old")),
    ]
    for call in calls:
        refused = await refusal(call)
        assert (refused.code, refused.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")


async def test_a_run_is_edited_and_archived(api: Api) -> None:
    made = await create(api, run_id="one")
    asked = run_pb2.Run(name=made.name, display_name="One", labels={"a": "b"}, etag=made.etag)
    updated = (await api.runs.UpdateRun(pb.UpdateRunRequest(run=asked))).run
    assert (updated.display_name, dict(updated.labels)) == ("One", {"a": "b"})
    archived = await api.runs.ArchiveRun(pb.ArchiveRunRequest(name=made.name, etag=updated.etag))
    assert archived.run.HasField("archive_time")
    back = await api.runs.UnarchiveRun(pb.UnarchiveRunRequest(name=made.name))
    assert not back.run.HasField("archive_time")


async def test_limits_can_be_edited(api: Api) -> None:
    made = await create(api, inline(priority=3, max_parallel_tasks=4))
    assert (made.priority, made.max_parallel_tasks) == (3, 4)
    asked = pb.UpdateRunRequest(run=run_pb2.Run(name=made.name, priority=-7), update_mask=FieldMask(paths=["priority"]))
    once = (await api.runs.UpdateRun(asked)).run
    assert (once.priority, once.max_parallel_tasks) == (-7, 4)
    asked = pb.UpdateRunRequest(run=run_pb2.Run(name=made.name), update_mask=FieldMask(paths=["max_parallel_tasks"]))
    twice = (await api.runs.UpdateRun(asked)).run
    assert (twice.priority, twice.max_parallel_tasks) == (-7, 0)
    assert (await api.runs.UpdateRun(asked)).run.etag == twice.etag, "an edit that changes nothing writes nothing"


@pytest.mark.parametrize(
    ("field", "value"),
    [("priority", 1001), ("priority", -1001), ("max_parallel_tasks", -1), ("task_timeout", Duration(seconds=0))],
)
async def test_limits_have_limits(api: Api, field: str, value: object) -> None:
    error = await refusal(create(api, inline(**{field: value})))
    assert error.fields == [f"run.{field}"]


async def test_limits_are_kept_as_they_were_asked_for(api: Api) -> None:
    spans = {"task_timeout": 1.5, "queue_timeout": 2, "cache_max_age": 90, "deadline": 3600}
    asked = {name: Duration(seconds=int(s), nanos=int(s % 1 * 10**9)) for name, s in spans.items()}
    made = await get(api, (await create(api, inline(**asked))).name)
    assert {name: getattr(made, name).ToTimedelta().total_seconds() for name in spans} == spans


async def test_edits_without_an_etag_at_once_all_succeed(api: Api) -> None:
    name = (await create(api)).name
    updates = [
        pb.UpdateRunRequest(run=run_pb2.Run(name=name, display_name="n")),
        pb.UpdateRunRequest(run=run_pb2.Run(name=name, description="d")),
        pb.UpdateRunRequest(run=run_pb2.Run(name=name, labels={"l": "1"})),
    ]
    await asyncio.gather(*(api.runs.UpdateRun(update) for update in updates))
    run = await get(api, name)
    assert (run.display_name, run.description, dict(run.labels)) == ("n", "d", {"l": "1"})


async def test_only_a_finished_run_is_deleted_at_once(api: Api) -> None:
    run = await factories.insert_run(api.database, id="one")
    name = f"{PARENT}/runs/one"
    assert await reason(api.runs.DeleteRun(pb.DeleteRunRequest(name=name))) == "RUN_NOT_FINISHED"
    await api.runs.DeleteRun(pb.DeleteRunRequest(name=name, force=True))
    assert (await get(api, name)).state == run_pb2.Run.STATE_PENDING
    owner = await mover(api.database, run)
    await owner.start()
    await owner.end()
    await api.runs.DeleteRun(pb.DeleteRunRequest(name=name))
    assert await reason(get(api, name)) == "RUN_NOT_FOUND"
