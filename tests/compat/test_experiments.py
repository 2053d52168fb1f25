"""KFP's experiments, which are ours."""

import asyncio
import re
from typing import Any

import grpc
import pytest

from penstock.kfp.v2beta1 import experiment_pb2 as pb
from penstock.v1 import (
    experiment_pb2,
    experiment_service_pb2,
    job_pb2,
    job_service_pb2,
    run_pb2,
    run_service_pb2,
    spec_pb2,
)
from penstock_server.engine.experiments import WholeExperiments
from penstock_server.engine.graphs import Graphs
from penstock_server.engine.job_turns import JobTurns, TurnSettings
from penstock_server.engine.jobs import Jobs
from penstock_server.engine.new_runs import NewRuns
from tests.compat.packages import text
from tests.compat.serving import KfpSite
from tests.compat.test_recurring_runs import HOURLY, body
from tests.compat.test_runs import predicate
from tests.pipelines import chain


async def make(kfp: KfpSite, name: str, description: str = "") -> Any:
    """A new experiment, as JSON."""
    body = {"display_name": name, "description": description, "namespace": ""}
    answer = await kfp.ask("POST", "/experiments", body)
    assert answer.status == 200, answer.body
    return answer.body


async def names(kfp: KfpSite, **query: Any) -> list[str]:
    answer = await kfp.ask("GET", "/experiments", query=query)
    assert answer.status == 200, answer.body
    return [item["display_name"] for item in answer.body.get("experiments", [])]


@pytest.mark.parametrize("type", ["application/x-www-form-urlencoded", "text/plain", ""])
async def test_a_body_is_json_whatever_type_curl_says_it_is_of(kfp: KfpSite, type: str) -> None:
    answer = await kfp.ask("POST", "/experiments", {"display_name": "by curl"}, headers={"content-type": type})
    assert (answer.status, answer.body["display_name"]) == (200, "by curl")


async def test_an_experiment_is_written_as_kfp_writes_it(kfp: KfpSite) -> None:
    made = await make(kfp, "My first Experiment", "of many")
    assert sorted(made) == ["created_at", "description", "display_name", "experiment_id", "storage_state"]
    assert (made["display_name"], made["storage_state"]) == ("My first Experiment", "AVAILABLE")
    assert re.fullmatch(r"[-0-9]+T[0-9:]+Z", made["created_at"])
    assert (await kfp.ask("GET", f"/experiments/{made['experiment_id']}")).body == made


async def test_it_is_the_same_on_both_sides(kfp: KfpSite) -> None:
    made = await make(kfp, "training")
    get = experiment_service_pb2.GetExperimentRequest(name="namespaces/default/experiments/training")
    assert (await kfp.own_experiments.GetExperiment(get)).experiment.uid == made["experiment_id"]
    given = experiment_pb2.Experiment(display_name="Made by us")
    create = experiment_service_pb2.CreateExperimentRequest(parent="namespaces/default", experiment=given)
    own = (await kfp.own_experiments.CreateExperiment(create)).experiment
    assert (await kfp.ask("GET", f"/experiments/{own.uid}")).body["display_name"] == "Made by us"


async def test_the_default_experiment_is_there_from_the_start(kfp: KfpSite) -> None:
    assert await names(kfp) == ["Default"]
    same = await kfp.ask("POST", "/experiments", {"display_name": "Default"})
    assert (same.status, same.body["code"]) == (409, 6)


@pytest.mark.parametrize("name", ["training", "Two words", "日本語", "a:b/c%d+e"])
async def test_a_name_is_given_once(kfp: KfpSite, name: str) -> None:
    answers = await asyncio.gather(*(kfp.ask("POST", "/experiments", {"display_name": name}) for _ in range(6)))
    assert sorted(answer.status for answer in answers) == [200] + [409] * 5
    assert (await names(kfp)).count(name) == 1


async def test_space_around_a_name_belongs_to_it(kfp: KfpSite) -> None:
    name = "  a b  "
    made = await make(kfp, name)
    assert made["display_name"] == name
    query = {"filter": predicate("display_name", "EQUALS", name)}
    (found,) = (await kfp.ask("GET", "/experiments", query=query)).body["experiments"]
    assert found == made
    assert (await kfp.ask("POST", "/experiments", {"display_name": name})).status == 409
    assert (await make(kfp, "a b"))["experiment_id"] != made["experiment_id"]


async def test_an_id_that_is_taken_does_not_take_the_name(kfp: KfpSite) -> None:
    given = experiment_pb2.Experiment(display_name="Something else")
    create = experiment_service_pb2.CreateExperimentRequest(
        parent="namespaces/default", experiment_id="training", experiment=given
    )
    await kfp.own_experiments.CreateExperiment(create)
    assert (await make(kfp, "training"))["display_name"] == "training"


@pytest.mark.parametrize("name", ["", "   ", "x" * 129])
async def test_a_wrong_name_is_refused(kfp: KfpSite, name: str) -> None:
    answer = await kfp.ask("POST", "/experiments", {"display_name": name})
    assert answer.status == 400
    assert answer.body["code"] == 3
    detail = answer.body["details"][0]
    assert detail["@type"] == "type.googleapis.com/google.rpc.Status"
    assert detail["message"] == "experiment.display_name has to have 1 to 128 characters"


@pytest.mark.parametrize("id", ["00000000-0000-0000-0000-000000000000", "no-uid", "x" * 300, "%00"])
@pytest.mark.parametrize("request_line", ["GET ", "DELETE ", "POST :archive", "POST :unarchive"])
async def test_one_that_is_missing_is_not_found(kfp: KfpSite, request_line: str, id: str) -> None:
    method, _, verb = request_line.partition(" ")
    answer = await kfp.ask(method, f"/experiments/{id}{verb}")
    assert (answer.status, answer.body["code"]) in ((404, 5), (400, 3))
    assert (answer.status == 400) == (id == "%00")


async def test_the_archive_takes_and_gives_back(kfp: KfpSite) -> None:
    made = await make(kfp, "old")
    path = f"/experiments/{made['experiment_id']}"
    for verb, state in (("archive", "ARCHIVED"), ("archive", "ARCHIVED"), ("unarchive", "AVAILABLE")):
        answer = await kfp.ask("POST", f"{path}:{verb}")
        assert (answer.status, answer.body) == (200, {})
        assert (await kfp.ask("GET", path)).body["storage_state"] == state


async def test_an_archived_one_takes_nothing_new_and_is_told_by_its_name(kfp: KfpSite) -> None:
    id = (await make(kfp, "Früh ☃"))["experiment_id"]
    given = body("hourly", experiment_id=id)
    recurring = (await kfp.ask("POST", "/recurringruns", given)).body["recurring_run_id"]
    await kfp.ask("POST", f"/experiments/{id}:archive")
    run = {name: given[name] for name in ("display_name", "experiment_id", "pipeline_spec")}
    for path, asked in (("/runs", run), ("/recurringruns", given)):
        refused = await kfp.ask("POST", path, asked)
        assert refused.status == 400
        assert refused.body["message"] == "experiment Früh ☃ is archived; unarchive it, or name another one"
    refused = await kfp.ask("POST", f"/recurringruns/{recurring}:enable")
    told = "the experiment of recurring run hourly is archived; unarchive it first"
    assert (refused.status, refused.body["message"]) == (400, told)


async def test_a_deleted_experiment_is_gone(kfp: KfpSite) -> None:
    made = await make(kfp, "old")
    path = f"/experiments/{made['experiment_id']}"
    assert (await kfp.ask("DELETE", path)).body == {}
    assert (await kfp.ask("GET", path)).status == 404
    assert (await make(kfp, "old"))["experiment_id"] != made["experiment_id"]


async def inhabited(kfp: KfpSite) -> Any:
    """An experiment with a run and a job."""
    made = await make(kfp, "busy")
    spec, home = spec_pb2.Spec(text=text().decode()), "namespaces/default/experiments/busy"
    run = run_pb2.Run(inline_spec=spec, experiment=home)
    await kfp.own_runs.CreateRun(run_service_pb2.CreateRunRequest(parent="namespaces/default", run_id="one", run=run))
    job = job_pb2.Job(cron=job_pb2.Job.Cron(expression="0 3 * * *"), run=run)
    await kfp.own_jobs.CreateJob(
        job_service_pb2.CreateJobRequest(parent="namespaces/default", job_id="nightly", job=job)
    )
    return made


async def run_and_job(kfp: KfpSite) -> tuple[run_pb2.Run, job_pb2.Job]:
    run = await kfp.own_runs.GetRun(run_service_pb2.GetRunRequest(name="namespaces/default/runs/one"))
    job = await kfp.own_jobs.GetJob(job_service_pb2.GetJobRequest(name="namespaces/default/jobs/nightly"))
    return run.run, job.job


async def test_the_time_of_the_newest_run_is_told(kfp: KfpSite) -> None:
    made = await inhabited(kfp)
    found = (await kfp.ask("GET", f"/experiments/{made['experiment_id']}")).body
    run, _job = await run_and_job(kfp)
    assert found["last_run_created_at"] == run.create_time.ToJsonString()[:19] + "Z"
    page = (await kfp.ask("GET", "/experiments", query={"sort_by": "last_run_created_at"})).body["experiments"]
    assert [item["display_name"] for item in page] == ["busy", "Default"]


async def test_the_archive_takes_the_runs_and_stops_the_jobs(kfp: KfpSite) -> None:
    path = f"/experiments/{(await inhabited(kfp))['experiment_id']}"
    assert (await kfp.ask("POST", f"{path}:archive")).status == 200
    run, job = await run_and_job(kfp)
    assert run.HasField("archive_time")
    assert job.state == job_pb2.Job.STATE_DISABLED
    assert (await kfp.ask("POST", f"{path}:unarchive")).status == 200
    assert await run_and_job(kfp) == (run, job)


async def test_what_was_in_a_deleted_experiment_is_in_the_default_one(kfp: KfpSite) -> None:
    made = await inhabited(kfp)
    assert (await kfp.ask("DELETE", f"/experiments/{made['experiment_id']}")).status == 200
    run, job = await run_and_job(kfp)
    default = "namespaces/default/experiments/default"
    assert (run.experiment, job.run.experiment) == (default, default)


@pytest.mark.parametrize("verb", ["archive", "dissolve"])
async def test_all_runs_go_with_their_experiment_however_many_there_are(kfp: KfpSite, verb: str) -> None:
    made = await inhabited(kfp)
    for number in range(4):
        given = {"display_name": f"run {number}", "pipeline_spec": chain(1, "true")}
        await kfp.ask("POST", "/runs", given | {"experiment_id": made["experiment_id"]})
    elsewhere = await kfp.ask("POST", "/runs", {"display_name": "elsewhere", "pipeline_spec": chain(1, "true")})
    new_runs = NewRuns(kfp.database, Graphs())
    jobs = Jobs(kfp.database, new_runs, JobTurns(kfp.database, new_runs, TurnSettings()))
    whole = WholeExperiments(kfp.database, jobs, runs_at_a_time=2)
    await getattr(whole, verb)("default", "busy")
    listed = (await kfp.ask("GET", "/runs")).body["runs"]
    others = [run for run in listed if run["run_id"] != elsewhere.body["run_id"]]
    assert len(others) == 5
    if verb == "archive":
        assert {run["storage_state"] for run in others} == {"ARCHIVED"}
        assert (await kfp.ask("GET", f"/runs/{elsewhere.body['run_id']}")).body["storage_state"] == "AVAILABLE"
    else:
        assert {run["experiment_id"] for run in others} == {elsewhere.body["experiment_id"]}


async def test_the_default_experiment_stays_with_all_that_is_in_it(kfp: KfpSite) -> None:
    given = {"display_name": "j", "pipeline_spec": chain(1, "true"), "max_concurrency": 1, "mode": "ENABLE"}
    job = (await kfp.ask("POST", "/recurringruns", given | {"trigger": HOURLY})).body
    (default,) = (await kfp.ask("GET", "/experiments")).body["experiments"]
    assert (await kfp.ask("POST", f"/experiments/{default['experiment_id']}:archive")).status == 400
    assert (await kfp.ask("GET", f"/recurringruns/{job['recurring_run_id']}")).body["status"] == "ENABLED"
    answer = await kfp.ask("DELETE", f"/experiments/{default['experiment_id']}")
    assert (answer.status, answer.body["code"]) == (409, 10)


async def test_grpc_serves_the_same(kfp: KfpSite) -> None:
    made = await kfp.experiments.CreateExperiment(
        pb.CreateExperimentRequest(experiment=pb.Experiment(display_name="over gRPC"))
    )
    page = await kfp.experiments.ListExperiments(pb.ListExperimentsRequest(sort_by="created_at desc", page_size=1))
    assert (list(page.experiments), page.total_size) == ([made], 2)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await kfp.experiments.GetExperiment(pb.GetExperimentRequest(experiment_id="nothing"))
    assert error.value.code() is grpc.StatusCode.NOT_FOUND
