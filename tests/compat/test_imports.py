"""KfpImportService: what KFP's REST API tells becomes resources of ours, once."""

import asyncio
import uuid
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import Struct

from penstock.v1 import (
    job_pb2,
    job_service_pb2,
    kfp_import_service_pb2_grpc,
    namespace_pb2,
    namespace_service_pb2,
    namespace_service_pb2_grpc,
    run_pb2,
)
from penstock.v1 import kfp_import_service_pb2 as pb
from penstock.v1 import run_service_pb2 as own
from penstock_server.engine.history import check
from penstock_server.store import events
from tests.api.calls import refusal
from tests.compat import packages
from tests.compat.serving import KfpSite

SPACE = "namespaces/default"
ORIGIN = "https://kfp.example"
DAY = "2025-04-01T"
METHODS = list(pb.DESCRIPTOR.services_by_name["KfpImportService"].methods)


def uid(number: int) -> str:
    return str(uuid.UUID(int=number))


def struct(value: dict[str, Any]) -> Struct:
    made = Struct()
    made.update(value)
    return made


def experiment(number: int = 1, name: str = "Vision", **more: Any) -> dict[str, Any]:
    told = {"experiment_id": uid(number), "display_name": name, "created_at": DAY + "08:00:00Z"}
    return told | {"storage_state": "AVAILABLE", "description": "eyes"} | more


def pipeline(number: int = 2, name: str = "Train it", **more: Any) -> dict[str, Any]:
    told = {"pipeline_id": uid(number), "name": name, "display_name": name, "created_at": DAY + "08:00:00Z"}
    return told | {"description": "trains", "tags": {"team": "a"}} | more


def version(number: int = 3, name: str = "first try", **more: Any) -> dict[str, Any]:
    told = {"pipeline_version_id": uid(number), "name": name, "display_name": name, "created_at": DAY + "08:30:00Z"}
    return told | {"pipeline_id": uid(2), "pipeline_spec": packages.ir()} | more


def task(id: str, name: str, state: str = "SUCCEEDED", start: str = "09:00:10Z", **more: Any) -> dict[str, Any]:
    told = {"run_id": uid(9), "task_id": id, "display_name": name, "state": state, "create_time": DAY + start}
    return told | {"start_time": DAY + start, "end_time": DAY + "09:00:50Z"} | more


def past(number: int = 9, **more: Any) -> dict[str, Any]:
    """A run as KFP's own server tells it."""
    told = {
        "run_id": uid(number),
        "experiment_id": uid(1),
        "display_name": "A night's run",
        "description": "by hand",
        "storage_state": "AVAILABLE",
        "pipeline_version_reference": {"pipeline_id": uid(2), "pipeline_version_id": uid(3)},
        "runtime_config": {"parameters": {"slope": 3, "text": "${x}"}, "pipeline_root": "minio://bucket/v2"},
        "service_account": "robot",
        "created_at": DAY + "09:00:00Z",
        "scheduled_at": DAY + "09:00:00Z",
        "finished_at": DAY + "09:01:00Z",
        "state": "SUCCEEDED",
        "run_details": {
            "pipeline_context_id": "7",
            "task_details": [
                task("wf", "train-x2k4"),
                task("wf-1", "root-driver", child_tasks=[{"pod_name": "wf-2"}]),
                task("wf-2", "root"),
                task("wf-3", "fit", child_tasks=[{"pod_name": "wf-4"}]),
                task("wf-4", "executor"),
            ],
        },
        "state_history": [
            {"update_time": DAY + "09:00:00Z", "state": "PENDING"},
            {"update_time": DAY + "09:00:05Z", "state": "RUNNING"},
            {"update_time": DAY + "09:01:00Z", "state": "SUCCEEDED"},
        ],
        "a_field_of_the_future": [1],
    }
    return told | more


def recurring(number: int = 11, **more: Any) -> dict[str, Any]:
    told = {
        "recurring_run_id": uid(number),
        "experiment_id": uid(1),
        "display_name": "nightly",
        "pipeline_spec": packages.ir(),
        "runtime_config": {"parameters": {}},
        "max_concurrency": "2",
        "trigger": {"cron_schedule": {"cron": "0 30 2 * * *", "start_time": "2025-01-01T00:00:00Z"}},
        "mode": "ENABLE",
        "status": "ENABLED",
        "no_catchup": True,
        "created_at": DAY + "08:00:00Z",
    }
    return told | more


class Importer:
    """Calls, with the defaults of these tests."""

    def __init__(self, kfp: KfpSite) -> None:
        self.kfp = kfp
        self.stub: kfp_import_service_pb2_grpc.KfpImportServiceAsyncStub
        self.stub = kfp_import_service_pb2_grpc.KfpImportServiceStub(kfp.channel)

    async def experiment(self, given: dict[str, Any], **more: Any) -> pb.ImportExperimentResponse:
        values: dict[str, Any] = {"parent": SPACE, "experiment": struct(given)} | more
        return await self.stub.ImportExperiment(pb.ImportExperimentRequest(**values))

    async def pipeline(self, given: dict[str, Any], **more: Any) -> pb.ImportPipelineResponse:
        values: dict[str, Any] = {"parent": SPACE, "pipeline": struct(given)} | more
        return await self.stub.ImportPipeline(pb.ImportPipelineRequest(**values))

    async def version(self, parent: str, given: dict[str, Any], **more: Any) -> pb.ImportPipelineVersionResponse:
        values: dict[str, Any] = {"parent": parent, "pipeline_version": struct(given)} | more
        return await self.stub.ImportPipelineVersion(pb.ImportPipelineVersionRequest(**values))

    async def run(self, given: dict[str, Any], **more: Any) -> pb.ImportRunResponse:
        values: dict[str, Any] = {"parent": SPACE, "run": struct(given), "origin": ORIGIN} | more
        return await self.stub.ImportRun(pb.ImportRunRequest(**values))

    async def recurring(self, given: dict[str, Any], **more: Any) -> pb.ImportRecurringRunResponse:
        values: dict[str, Any] = {"parent": SPACE, "recurring_run": struct(given)} | more
        return await self.stub.ImportRecurringRun(pb.ImportRecurringRunRequest(**values))

    async def find(self, *numbers: int, **more: Any) -> pb.FindImportedResponse:
        values: dict[str, Any] = {"parent": SPACE, "ids": [uid(number) for number in numbers]} | more
        return await self.stub.FindImported(pb.FindImportedRequest(**values))

    async def get_run(self, name: str) -> run_pb2.Run:
        asked = own.GetRunRequest(name=name, view=run_pb2.Run.VIEW_FULL)
        return (await self.kfp.own_runs.GetRun(asked)).run

    async def get_job(self, name: str) -> job_pb2.Job:
        return (await self.kfp.own_jobs.GetJob(job_service_pb2.GetJobRequest(name=name))).job

    async def make_namespace(self, name: str) -> None:
        stub: namespace_service_pb2_grpc.NamespaceServiceAsyncStub
        stub = namespace_service_pb2_grpc.NamespaceServiceStub(self.kfp.channel)
        request = namespace_service_pb2.CreateNamespaceRequest(
            namespace_id=name, namespace=namespace_pb2.Namespace(display_name=name)
        )
        await stub.CreateNamespace(request)

    async def told(self, path: str) -> Any:
        """What KFP's API answers here."""
        answer = await self.kfp.ask("GET", path)
        assert answer.status == 200, answer.body
        return answer.body


@pytest.fixture
async def importer(kfp: KfpSite) -> Importer:
    return Importer(kfp)


async def test_an_experiment_keeps_its_id_its_time_and_its_place_in_the_archive(importer: Importer) -> None:
    made = await importer.experiment(experiment(storage_state="ARCHIVED"))
    again = await importer.experiment(experiment(storage_state="ARCHIVED"))
    assert (made.is_new, again.is_new, again.name) == (True, False, made.name)
    told = await importer.told(f"/experiments/{uid(1)}")
    assert {name: told[name] for name in ("display_name", "created_at", "storage_state", "description")} == {
        "display_name": "Vision",
        "created_at": DAY + "08:00:00Z",
        "storage_state": "ARCHIVED",
        "description": "eyes",
    }


@pytest.mark.parametrize(("name", "notes"), [("Default", 0), ("Vision", 1)])
async def test_an_experiment_of_a_name_that_is_there_is_that_one(importer: Importer, name: str, notes: int) -> None:
    if name != "Default":
        await importer.experiment(experiment(5, name))
    made = await importer.experiment(experiment(6, name))
    assert (made.is_new, len(made.notes)) == (False, notes)
    assert (await importer.kfp.ask("GET", f"/experiments/{uid(6)}")).status == 404


async def test_a_pipeline_and_its_versions_keep_their_ids_names_and_times(importer: Importer) -> None:
    made = await importer.pipeline(pipeline())
    first = await importer.version(made.name, version())
    second = await importer.version(made.name, version(4, "v2"))
    again = await importer.version(made.name, version(4, "v2"))
    assert (first.name, second.name) == (f"{made.name}/versions/1", f"{made.name}/versions/2")
    assert (again.name, again.is_new) == (second.name, False)
    assert not (await importer.pipeline(pipeline())).is_new
    assert (await importer.told("/pipelines/names/Train%20it"))["pipeline_id"] == uid(2)
    told = await importer.told(f"/pipelines/{uid(2)}/versions/{uid(3)}")
    assert (told["name"], told["created_at"]) == ("first try", DAY + "08:30:00Z")
    assert told["pipeline_spec"]["pipelineInfo"]["name"] == "hello-world"


async def test_a_pipeline_of_a_name_that_is_there_takes_the_versions(importer: Importer) -> None:
    here = await importer.pipeline(pipeline(20))
    await importer.version(here.name, version(21))
    made = await importer.pipeline(pipeline())
    assert (made.name, made.is_new, len(made.notes)) == (here.name, False, 1)
    same = await importer.version(made.name, version())
    assert (same.name, same.is_new) == (f"{here.name}/versions/1", False)
    assert [note.endswith("is not known here") for note in (*made.notes, *same.notes)] == [True, True]
    other = version(22, pipeline_spec=packages.ir("another"))
    refused = await refusal(importer.version(made.name, other))
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "ALIAS_EXISTS")


async def test_ids_are_kept_where_they_are_free(importer: Importer) -> None:
    await importer.make_namespace("team")
    first = await importer.pipeline(pipeline())
    other = await importer.pipeline(pipeline(), parent="namespaces/team")
    again = await importer.pipeline(pipeline(), parent="namespaces/team")
    assert first.name != other.name
    assert (other.is_new, again.is_new, again.name) == (True, False, other.name)
    assert "another id" in other.notes[0]


async def test_a_run_is_history_with_its_id_its_times_and_what_it_executed(importer: Importer) -> None:
    group = await importer.experiment(experiment(storage_state="ARCHIVED"))
    trained = await importer.pipeline(pipeline())
    executed = await importer.version(trained.name, version())
    made = await importer.run(past(), experiment=group.name, pipeline_version=executed.name)
    again = await importer.run(past(), experiment=group.name, pipeline_version=executed.name)
    assert (made.is_new, list(made.notes), again.is_new, again.name) == (True, [], False, made.name)
    run = await importer.get_run(made.name)
    assert (run.uid, run.origin, run.reason) == (uid(9), ORIGIN, "IMPORTED")
    assert (run.state, run.experiment) == (run_pb2.Run.STATE_SUCCEEDED, group.name)
    assert run.pipeline_version == executed.name
    assert "hello-world" in run.spec.text
    assert dict(run.labels) == {"pipelines.kubeflow.org/service-account": "robot"}
    told = await importer.told(f"/runs/{uid(9)}")
    for name in ("display_name", "description", "created_at", "finished_at", "state", "service_account"):
        assert told[name] == past()[name], name
    assert told["pipeline_version_reference"] == past()["pipeline_version_reference"]
    assert told["runtime_config"]["parameters"] == {"slope": 3, "text": "${x}"}
    assert told["state_history"] == past()["state_history"]


async def test_the_nodes_of_kfp_become_tasks(importer: Importer) -> None:
    made = await importer.run(past())
    tasks = (await importer.kfp.own_runs.ListTasks(own.ListTasksRequest(parent=made.name))).tasks
    ids = [item.name.rpartition("/")[2] for item in tasks]
    assert ids == ["root", "train-x2k4", "root-driver", "root.root", "fit", "fit.executor"]
    assert {item.reason for item in tasks} == {"IMPORTED"}
    told = (await importer.told(f"/runs/{uid(9)}"))["run_details"]["task_details"]
    assert [item.get("parent_task_id", "") for item in told] == ["", "root", "root", "root", "root", "fit"]
    assert told[-1]["start_time"] == DAY + "09:00:10Z"


@pytest.mark.parametrize(
    "given",
    [
        past(),
        past(state="FAILED", error={"code": 13, "message": "no", "details": [{"@type": "x.y/Unknown", "a": 1}]}),
        past(state="FAILED", state_history=[{"update_time": DAY + "09:00:30Z", "state": "CANCELED"}]),
        past(run_details={"task_details": []}, state_history=[], finished_at=None),
        past(
            run_details={
                "task_details": [
                    task("a", "one", parent_task_id="b"),
                    task("b", "two", parent_task_id="a", start="08:00:00Z"),
                    task("c", "two", "RUNNING", parent_task_id="c"),
                    task("d", "three", "SKIPPED", "23:59:59Z"),
                    {"task_id": "e", "display_name": "omitted"},
                    {},
                ]
            }
        ),
    ],
    ids=["succeeded", "failed", "cancelled", "bare", "disordered"],
)
async def test_its_events_are_such_as_an_engine_would_have_written(importer: Importer, given: dict[str, Any]) -> None:
    made = await importer.run({name: value for name, value in given.items() if value is not None})
    run = await importer.get_run(made.name)
    async with importer.kfp.database.connection() as connection:
        cursor = await connection.execute("SELECT uid FROM run")
        [(run_uid,)] = await cursor.fetchall()
        history = await events.list_run(connection, run_uid, 0, 1000)
    assert check(history) == []
    assert len(history) == run.event_sequence
    times = [event.time for event in history]
    assert times == sorted(times)
    watched = [item async for item in importer.kfp.own_runs.WatchRun(own.WatchRunRequest(name=made.name))]
    assert watched[-1].event.sequence == run.event_sequence


@pytest.mark.parametrize(
    ("given", "state", "message"),
    [
        (past(state="FAILED", error={"code": 2, "message": "broken"}), "FAILED", "broken"),
        (past(state="CANCELED"), "CANCELLED", ""),
        (past(state="FAILED", state_history=[{"state": "CANCELING"}, {"state": "FAILED"}]), "CANCELLED", ""),
        (
            past(state="FAILED", run_details={"task_details": [task("a", "fit", "FAILED", error={"message": "oh"})]}),
            "FAILED",
            "fit: oh",
        ),
    ],
    ids=["failed", "cancelled", "told as failed", "by a task"],
)
async def test_a_run_that_did_not_succeed_says_why(
    importer: Importer, given: dict[str, Any], state: str, message: str
) -> None:
    run = await importer.get_run((await importer.run(given)).name)
    assert (run_pb2.Run.State.Name(run.state), run.message) == (f"STATE_{state}", message)


async def test_a_run_that_is_under_way_is_left_for_later(importer: Importer) -> None:
    for state in ("PENDING", "RUNNING", "CANCELING", "PAUSED"):
        refused = await refusal(importer.run(past(state=state)))
        assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "IMPORT_NOT_ENDED")
    assert (await importer.run(past())).is_new


async def test_an_imported_run_is_not_retried_but_can_be_run_again(importer: Importer) -> None:
    given = past(state="FAILED", pipeline_spec=packages.ir(), runtime_config={})
    del given["pipeline_version_reference"]
    made = await importer.run(given)
    refused = await refusal(importer.kfp.own_runs.RetryRun(own.RetryRunRequest(name=made.name)))
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RUN_IMPORTED")
    assert (await importer.kfp.ask("POST", f"/runs/{uid(9)}:retry")).status == 400
    again = (await importer.kfp.own_runs.RerunRun(own.RerunRunRequest(name=made.name))).run
    assert (again.state, again.origin) == (run_pb2.Run.STATE_PENDING, "")


async def test_imported_runs_are_found_by_their_origin(importer: Importer) -> None:
    await importer.run(past())
    for condition, count in ((f'origin = "{ORIGIN}"', 1), ('origin = ""', 0)):
        asked = own.ListRunsRequest(parent=SPACE, filter=condition)
        assert len((await importer.kfp.own_runs.ListRuns(asked)).runs) == count


@pytest.mark.parametrize("spec", [None, {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow"}, {"what": 1}])
async def test_a_run_whose_spec_is_no_pipeline_is_kept_without_it(
    importer: Importer, spec: dict[str, Any] | None
) -> None:
    more = {} if spec is None else {"pipeline_spec": struct(spec)}
    made = await importer.run(past(), **more)
    assert "cannot be run again" in made.notes[0]
    assert (await importer.told(f"/runs/{uid(9)}"))["state"] == "SUCCEEDED"
    refused = await refusal(importer.kfp.own_runs.RerunRun(own.RerunRunRequest(name=made.name)))
    assert refused.reason == "INVALID_SPEC"


async def test_a_spec_that_cannot_be_run_here_is_kept_with_its_run(importer: Importer) -> None:
    broken = packages.ir()
    broken["root"]["dag"]["tasks"]["hello"]["componentRef"]["name"] = "missing"
    refused = await refusal(importer.version(f"{SPACE}/pipelines/p", version(pipeline_spec=broken)))
    assert refused.reason == "INVALID_SPEC"
    made = await importer.run(past(), pipeline_spec=struct(broken))
    assert list(made.notes) == []
    assert "missing" in (await importer.get_run(made.name)).spec.text


async def test_many_ids_are_looked_up_at_once(importer: Importer) -> None:
    await importer.make_namespace("team")
    group, trained = await importer.experiment(experiment()), await importer.pipeline(pipeline())
    first, job = await importer.version(trained.name, version()), await importer.recurring(recurring())
    run, other = await importer.run(past()), await importer.run(past(10), parent="namespaces/team")
    found = await importer.find(1, 2, 3, 9, 10, 11, 77)
    here = {1: group.name, 2: trained.name, 3: first.name, 9: run.name, 11: job.name}
    assert dict(found.names) == {uid(number): name for number, name in here.items()}
    assert dict(found.elsewhere) == {uid(10): other.name}
    found = await importer.find(9, 10, parent="namespaces/team")
    assert (dict(found.names), dict(found.elsewhere)) == ({uid(10): other.name}, {uid(9): run.name})


@pytest.mark.parametrize("ids", [[], ["no"], [uid(1)] * 1001], ids=["none", "no UUID", "too many"])
async def test_ids_that_cannot_be_looked_up_are_refused(importer: Importer, ids: list[str]) -> None:
    refused = await refusal(importer.find(ids=ids))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert refused.fields[0].startswith("ids")


async def test_ids_are_not_looked_up_in_a_namespace_that_is_not_there(importer: Importer) -> None:
    assert (await refusal(importer.find(1, parent="namespaces/nowhere"))).reason == "NAMESPACE_NOT_FOUND"


async def test_a_run_is_in_one_namespace_only(importer: Importer) -> None:
    await importer.make_namespace("team")
    await importer.run(past())
    refused = await refusal(importer.run(past(), parent="namespaces/team"))
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "IMPORT_ID_TAKEN")


async def test_a_job_keeps_its_id_and_fires_from_the_present_on_once_somebody_enables_it(importer: Importer) -> None:
    group = await importer.experiment(experiment())
    made = await importer.recurring(recurring(), experiment=group.name)
    job = await importer.get_job(made.name)
    assert (job.uid, job.state, job.reason) == (uid(11), job_pb2.Job.STATE_DISABLED, "IMPORTED")
    assert not (await importer.recurring(recurring(), experiment=group.name)).is_new
    told = await importer.told(f"/recurringruns/{uid(11)}")
    assert told["trigger"] == recurring()["trigger"]
    assert (told["status"], told["experiment_id"], told["created_at"]) == ("DISABLED", uid(1), DAY + "08:00:00Z")
    assert "error" not in told
    disabled_there = recurring(mode="DISABLE", status="DISABLED")
    await importer.recurring(disabled_there, experiment=group.name, enable=True)
    job = await importer.get_job(made.name)
    assert (job.state, job.HasField("last_slot_time")) == (job_pb2.Job.STATE_ENABLED, False)
    assert job.next_slot_time.ToDatetime() > job.update_time.ToDatetime()


async def test_an_import_tells_which_jobs_it_lets_fire(importer: Importer) -> None:
    off = recurring(12, mode="DISABLE", status="DISABLED")
    for trial in (True, False):
        answers = [await importer.recurring(one, enable=True, validate_only=trial) for one in (recurring(10), off)]
        assert [answer.is_enabled for answer in answers] == [True, False]
    made = await importer.recurring(recurring())
    assert not made.is_enabled
    for trial in (True, False):
        assert (await importer.recurring(recurring(), enable=True, validate_only=trial)).is_enabled
    assert not (await importer.recurring(recurring(), enable=True)).is_enabled
    assert (await importer.get_job(made.name)).state == job_pb2.Job.STATE_ENABLED


async def test_a_client_of_kfp_that_enables_it_makes_up_for_nothing(importer: Importer) -> None:
    every = {"periodic_schedule": {"interval_second": "1"}}
    made = await importer.recurring(recurring(trigger=every, no_catchup=False))
    async with importer.kfp.database.connection() as connection:
        await connection.execute("UPDATE job SET cursor_time = now() - interval '1 hour'")
    assert (await importer.kfp.ask("POST", f"/recurringruns/{uid(11)}:enable", {})).status == 200
    job = await importer.get_job(made.name)
    assert job.next_slot_time.ToSeconds() >= job.update_time.ToSeconds()


async def test_a_job_that_somebody_has_disabled_stays_so(importer: Importer) -> None:
    made = await importer.recurring(recurring(), enable=True)
    assert (await importer.get_job(made.name)).state == job_pb2.Job.STATE_ENABLED
    await importer.kfp.own_jobs.DisableJob(job_service_pb2.DisableJobRequest(name=made.name))
    await importer.recurring(recurring(), enable=True)
    assert (await importer.get_job(made.name)).state == job_pb2.Job.STATE_DISABLED
    there = await importer.recurring(recurring(12, mode="DISABLE", status="DISABLED"), enable=True)
    assert (await importer.get_job(there.name)).reason == "DISABLED_BY_USER"


@pytest.mark.parametrize(
    ("given", "cron"),
    [
        ("0 30 2 * *", "0 30 2 * * *"),
        ("TZ=Europe/Berlin 0 30 2 * *", "TZ=Europe/Berlin 0 30 2 * * *"),
        ("0 30 2 * * 1-5", "0 30 2 * * 1-5"),
        ("@daily", "@daily"),
    ],
)
async def test_a_cron_expression_means_what_it_meant_in_kfp(importer: Importer, given: str, cron: str) -> None:
    await importer.recurring(recurring(trigger={"cron_schedule": {"cron": given}}))
    assert (await importer.told(f"/recurringruns/{uid(11)}"))["trigger"]["cron_schedule"]["cron"] == cron


async def test_an_interval_keeps_its_beat(importer: Importer) -> None:
    made = await importer.recurring(
        recurring(trigger={"periodic_schedule": {"interval_second": "3600"}}, no_catchup=False), enable=True
    )
    job = await importer.get_job(made.name)
    assert (job.HasField("last_slot_time"), job.next_slot_time.ToDatetime().minute) == (False, 0)


async def test_what_is_not_there_for_a_job_is_left_out_and_told(importer: Importer) -> None:
    config = {"parameters": {}, "pipeline_root": "minio://bucket/v2"}
    made = await importer.recurring(recurring(runtime_config=config, plugins_input={"p": {"a": 1}}))
    assert [note.split()[0] for note in made.notes] == ["its", "artifacts"]


async def test_runs_of_a_schedule_name_their_job_and_take_none_of_its_slots(importer: Importer) -> None:
    made = await importer.recurring(recurring())
    ones = [past(number, recurring_run_id=uid(11)) for number in (30, 31)]
    runs = [await importer.get_run((await importer.run(one)).name) for one in ones]
    assert [run.job for run in runs] == [made.name, made.name]
    assert len({run.slot_time.ToDatetime() for run in runs}) == 1
    listed = await importer.told("/runs")
    assert {item["recurring_run_id"] for item in listed["runs"]} == {uid(11)}


async def test_a_trial_answers_as_the_import_does_and_makes_nothing(importer: Importer) -> None:
    made = await importer.pipeline(pipeline(), validate_only=True)
    assert made.is_new
    assert (await importer.version(made.name, version(), validate_only=True)).is_new
    assert (await importer.experiment(experiment(), validate_only=True)).is_new
    missing = {"experiment": f"{SPACE}/experiments/not-yet", "validate_only": True}
    assert (await importer.run(past(), pipeline_version=f"{made.name}/versions/1", **missing)).is_new
    assert (await importer.recurring(recurring(), **missing)).is_new
    async with importer.kfp.database.connection() as connection:
        for table in ("pipeline", "pipeline_version", "run", "job", "task", "event", "spec"):
            assert await (await connection.execute(f"SELECT count(*) FROM {table}")).fetchone() == (0,), table


@pytest.mark.parametrize(
    ("kind", "given", "field"),
    [
        ("run", past() | {"run_id": "no"}, "run.run_id"),
        ("run", past(state="WHAT"), ""),
        ("run", past(created_at="yesterday"), "run"),
        ("experiment", experiment(name=" "), "experiment.display_name"),
        ("experiment", experiment(created_at="yesterday"), "experiment"),
        ("pipeline", pipeline(name="x" * 200), "pipeline.name"),
        ("recurring", recurring(max_concurrency="0"), "recurring_run.max_concurrency"),
        ("recurring", recurring(trigger={"cron_schedule": {"cron": "x"}}), "recurring_run.trigger.cron_schedule.cron"),
    ],
)
async def test_what_cannot_be_read_is_refused_by_its_field(
    importer: Importer, kind: str, given: dict[str, Any], field: str
) -> None:
    refused = await refusal(getattr(importer, kind)(given))
    assert refused.code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION)
    assert refused.fields == ([field] if field else [])


@pytest.mark.parametrize("method", METHODS, ids=[method.name for method in METHODS])
async def test_a_bad_parent_is_refused_by_every_method(importer: Importer, method: MethodDescriptor) -> None:
    request = GetMessageClass(method.input_type)(parent="namespaces/../x")
    refused = await refusal(getattr(importer.stub, method.name)(request))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert "parent" in refused.fields


async def test_a_namespace_that_is_not_there_is_told(importer: Importer) -> None:
    refused = await refusal(importer.run(past(), parent="namespaces/nowhere"))
    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "NAMESPACE_NOT_FOUND")


async def test_tasks_that_hold_each_other_very_deep_have_ids_within_their_bounds(importer: Importer) -> None:
    deep = [task(str(n), f"level-{n}", parent_task_id=str(n - 1)) for n in range(1, 2_000)]
    made = await importer.run(past(run_details={"task_details": [task("0", "root"), *deep]}))
    run = await importer.get_run(made.name)
    assert run.task_counts.succeeded == 2_000
    told = (await importer.told(f"/runs/{uid(9)}"))["run_details"]["task_details"]
    assert max(len(item["task_id"]) for item in told) <= 1_000


async def test_two_imports_at_a_time_make_each_thing_once(importer: Importer) -> None:
    calls: list[tuple[Any, dict[str, Any]]] = [
        (importer.run, past()),
        (importer.pipeline, pipeline()),
        (importer.experiment, experiment()),
        (importer.recurring, recurring()),
    ]
    for call, given in calls:
        answers = await asyncio.gather(*(call(given) for _ in range(4)), return_exceptions=True)
        made = [answer for answer in answers if not isinstance(answer, BaseException)]
        assert sum(answer.is_new for answer in made) >= 1
        assert len({answer.name for answer in made}) == 1
        assert not (await call(given)).is_new


async def test_a_shared_pipeline_that_comes_into_many_namespaces_at_once_keeps_its_id_in_one(
    importer: Importer,
) -> None:
    names = [f"team-{number}" for number in range(8)]
    for name in names:
        await importer.make_namespace(name)
    made = await asyncio.gather(*(importer.pipeline(pipeline(), parent=f"namespaces/{name}") for name in names))
    assert [answer.is_new for answer in made] == [True] * len(names)
    assert sorted(len(answer.notes) for answer in made) == [0] + [1] * (len(names) - 1)
    versions = await asyncio.gather(*(importer.version(answer.name, version()) for answer in made))
    assert sorted(len(answer.notes) for answer in versions) == [0] + [1] * (len(names) - 1)
