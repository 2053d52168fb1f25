"""KFP's recurring runs, which are our jobs."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penstock.v1 import job_pb2
from penstock.v1 import job_service_pb2 as own
from penstock_server.engine.graphs import Graphs
from penstock_server.engine.job_turns import JobTurns, TurnSettings
from penstock_server.engine.new_runs import NewRuns
from penstock_server.store import jobs
from tests.compat.serving import KfpSite
from tests.compat.test_runs import NOBODY, pipeline, predicate, publish, publish_version, violated

HOURLY = {"periodic_schedule": {"interval_second": "3600"}}
PLAIN = {"display_name": "hourly", "mode": "ENABLE", "max_concurrency": 1, "trigger": HOURLY}


def body(name: str = "hourly", **fields: Any) -> dict[str, Any]:
    """As KFP's SDK writes it."""
    return PLAIN | {"display_name": name, "pipeline_spec": pipeline()} | fields


async def make(kfp: KfpSite, name: str = "hourly", **fields: Any) -> Any:
    """A new recurring run, as JSON."""
    answer = await kfp.ask("POST", "/recurringruns", body(name, **fields))
    assert answer.status == 200, answer.body
    return answer.body


async def get(kfp: KfpSite, id: str) -> Any:
    answer = await kfp.ask("GET", f"/recurringruns/{id}")
    assert answer.status == 200, answer.body
    return answer.body


async def names(kfp: KfpSite, **query: Any) -> list[str]:
    answer = await kfp.ask("GET", "/recurringruns", query=query)
    assert answer.status == 200, answer.body
    return [item["display_name"] for item in answer.body.get("recurringRuns", [])]


async def turn(kfp: KfpSite, id: str) -> list[Any]:
    """The runs of a recurring run once its turn was taken."""
    turns = JobTurns(kfp.database, NewRuns(kfp.database, Graphs()), TurnSettings())
    await turns.take(uuid.UUID(id))
    query = {"filter": predicate("recurring_run_id", "EQUALS", id), "sort_by": "scheduled_at asc"}
    return (await kfp.ask("GET", "/runs", query=query)).body.get("runs", [])  # type: ignore[no-any-return]  # JSON


def ago(**span: int) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


async def test_a_new_recurring_run_is_told_as_kfp_tells_it(kfp: KfpSite) -> None:
    made = await make(kfp, description="of many", runtime_config={"parameters": {"count": 5, "text": "[[Index]] ${x}"}})
    told = ("display_name", "description", "max_concurrency", "trigger", "mode", "status")
    assert {name: made[name] for name in told} == {
        "display_name": "hourly",
        "description": "of many",
        "max_concurrency": "1",
        "trigger": HOURLY,
        "mode": "ENABLE",
        "status": "ENABLED",
    }
    assert made["runtime_config"] == {"parameters": {"count": 5, "text": "[[Index]] ${x}"}}
    assert made["pipeline_spec"]["pipelineInfo"] == pipeline()["pipelineInfo"]
    assert made["created_at"] == made["updated_at"]
    assert not made.keys() & {"error", "no_catchup", "namespace", "pipeline_version_reference"}
    assert await get(kfp, made["recurring_run_id"]) == made


@pytest.mark.parametrize("of", ["version", "pipeline"])
async def test_what_it_runs_is_deleted_and_it_says_so(kfp: KfpSite, of: str) -> None:
    pipeline_id, version_id = await publish(kfp)
    reference = {"pipeline_id": pipeline_id, "pipeline_version_id": version_id}
    made = (await kfp.ask("POST", "/recurringruns", PLAIN | {"pipeline_version_reference": reference})).body
    path = f"/pipelines/{pipeline_id}/versions/{version_id}" if of == "version" else f"/pipelines/{pipeline_id}"
    query = {} if of == "version" else {"cascade": "true"}
    assert (await kfp.ask("DELETE", path, query=query)).status == 200
    left = await get(kfp, made["recurring_run_id"])
    assert (left["mode"], left["status"]) == ("DISABLE", "DISABLED")
    assert left["error"]["code"] == 9
    assert left["error"]["message"].startswith("what it runs was deleted: ")
    refused = await kfp.ask("POST", f"/recurringruns/{made['recurring_run_id']}:enable")
    assert refused.status == 404
    what = {"version": "pipeline version", "pipeline": "pipeline"}[of]
    told = f"the {what} that recurring run hourly executes was deleted; make another recurring run"
    assert refused.body["message"] == told


async def test_space_around_a_name_belongs_to_it(kfp: KfpSite) -> None:
    made = await make(kfp, " nightly ")
    assert made["display_name"] == " nightly "
    assert await names(kfp, filter=predicate("display_name", "EQUALS", " nightly ")) == [" nightly "]


async def test_it_is_the_same_on_both_sides(kfp: KfpSite) -> None:
    made = await make(kfp)
    (job,) = (await kfp.own_jobs.ListJobs(own.ListJobsRequest(parent="namespaces/default"))).jobs
    assert (job.uid, job.interval.every.ToSeconds()) == (made["recurring_run_id"], 3600)
    own_job = job_pb2.Job(display_name="Made by us")
    own_job.cron.expression = "0 9 * * *"
    own_job.run.inline_spec.text = json.dumps(pipeline())
    request = own.CreateJobRequest(parent="namespaces/default", job=own_job, disabled=True)
    told = await get(kfp, (await kfp.own_jobs.CreateJob(request)).job.uid)
    assert told["trigger"] == {"cron_schedule": {"cron": "0 0 9 * * *"}}
    assert (told["status"], told["mode"], told["no_catchup"]) == ("DISABLED", "DISABLE", True)


async def test_without_a_mode_it_makes_no_runs(kfp: KfpSite) -> None:
    given = body()
    del given["mode"]
    assert (await kfp.ask("POST", "/recurringruns", given)).body["status"] == "DISABLED"


async def test_its_runs_are_named_counted_and_given_what_it_was_given(kfp: KfpSite) -> None:
    made = await make(
        kfp,
        "Two [words]",
        trigger={"periodic_schedule": {"interval_second": 3600, "start_time": ago(hours=2, minutes=5)}},
        max_concurrency=10,
        service_account="trainer",
        runtime_config={"parameters": {"text": "[[Index]] of [[ScheduledTime.2006]], ${x} $${y}"}},
    )
    first, second = await turn(kfp, made["recurring_run_id"])
    assert [run["display_name"] for run in (first, second)] == ["Two [words]-1", "Two [words]-2"]
    year = first["scheduled_at"][:4]
    assert first["runtime_config"]["parameters"] == {"text": f"1 of {year}, ${{x}} $${{y}}"}
    assert {first["service_account"], second["service_account"]} == {"trainer"}
    assert {first["recurring_run_id"], second["recurring_run_id"]} == {made["recurring_run_id"]}
    assert first["experiment_id"] == made["experiment_id"]


async def test_with_no_catchup_only_the_newest_missed_time_makes_a_run(kfp: KfpSite) -> None:
    trigger = {"periodic_schedule": {"interval_second": 3600, "start_time": ago(hours=5, minutes=5)}}
    made = await make(kfp, trigger=trigger, no_catchup=True, max_concurrency=10)
    assert made["no_catchup"] is True
    assert len(await turn(kfp, made["recurring_run_id"])) == 1


async def test_missed_times_wait_for_their_turn(kfp: KfpSite) -> None:
    trigger = {"periodic_schedule": {"interval_second": 3600, "start_time": ago(hours=5)}}
    made = await make(kfp, trigger=trigger, max_concurrency=2)
    assert len(await turn(kfp, made["recurring_run_id"])) == 2


async def test_a_pipeline_without_a_version_is_taken_as_it_is_each_time(kfp: KfpSite) -> None:
    pipeline_id, _ = await publish(kfp)
    given = body(trigger={"periodic_schedule": {"interval_second": 3600, "start_time": ago(hours=1, minutes=5)}})
    del given["pipeline_spec"]
    given["pipeline_version_reference"] = {"pipeline_id": pipeline_id}
    made = (await kfp.ask("POST", "/recurringruns", given)).body
    assert made["pipeline_version_reference"] == {"pipeline_id": pipeline_id}
    newest = await publish_version(kfp)
    (run,) = await turn(kfp, made["recurring_run_id"])
    assert run["pipeline_version_reference"]["pipeline_version_id"] == newest


async def test_a_pinned_version_is_told(kfp: KfpSite) -> None:
    pipeline_id, version_id = await publish(kfp)
    given = body()
    del given["pipeline_spec"]
    given["pipeline_version_reference"] = reference = {"pipeline_id": pipeline_id, "pipeline_version_id": version_id}
    assert (await kfp.ask("POST", "/recurringruns", given)).body["pipeline_version_reference"] == reference


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    (body(""), 400, "recurring_run.display_name"),
    (body(max_concurrency=0), 400, "recurring_run.max_concurrency"),
    (body(max_concurrency=11), 400, "recurring_run.max_concurrency"),
    (body(trigger={"periodic_schedule": {}}), 400, "recurring_run.trigger.periodic_schedule.interval_second"),
    (body(trigger={"cron_schedule": {"cron": "* * * * MON"}}), 400, "recurring_run.trigger.cron_schedule.cron"),
    (body(runtime_config={"parameters": {"count": "5"}}), 400, "recurring_run.runtime_config.parameters.count"),
    (body(runtime_config={"parameters": {"other": "5"}}), 400, "recurring_run.runtime_config.parameters.other"),
    (body(experiment_id=NOBODY), 404, ""),
    (body(pipeline_spec={"what": "ever"}), 400, ""),
]


@pytest.mark.parametrize(("given", "status", "field"), REFUSED)
async def test_what_is_wrong_with_it_is_named(kfp: KfpSite, given: dict[str, Any], status: int, field: str) -> None:
    answer = await kfp.ask("POST", "/recurringruns", given)
    assert answer.status == status, answer.body
    assert not field or field in violated(answer)
    assert await names(kfp) == []


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("DELETE", ""), ("POST", ":enable"), ("POST", ":disable")])
async def test_one_that_is_not_there_is_not_found(kfp: KfpSite, method: str, path: str) -> None:
    assert (await kfp.ask(method, f"/recurringruns/{NOBODY}{path}")).status == 404


async def test_it_is_disabled_and_enabled_again(kfp: KfpSite) -> None:
    id = (await make(kfp))["recurring_run_id"]
    for verb, status, mode in [("disable", "DISABLED", "DISABLE"), ("enable", "ENABLED", "ENABLE")]:
        for _ in range(2):
            assert (await kfp.ask("POST", f"/recurringruns/{id}:{verb}")).body == {}
            told = await get(kfp, id)
            assert (told["status"], told["mode"]) == (status, mode)


async def test_what_it_missed_while_disabled_is_made_up_for(kfp: KfpSite) -> None:
    trigger = {"periodic_schedule": {"interval_second": 3600, "start_time": ago(hours=3, minutes=5)}}
    id = (await make(kfp, trigger=trigger, max_concurrency=10, mode="DISABLE"))["recurring_run_id"]
    assert await turn(kfp, id) == []
    await kfp.ask("POST", f"/recurringruns/{id}:enable")
    assert len(await turn(kfp, id)) == 3


async def test_one_without_a_trigger_makes_one_run_at_once(kfp: KfpSite) -> None:
    given = body()
    del given["trigger"]
    made = (await kfp.ask("POST", "/recurringruns", given)).body
    assert "trigger" not in made
    async with kfp.database.connection() as connection:
        job = await jobs.find_by_uid(connection, uuid.UUID(made["recurring_run_id"]))
    assert job is not None
    assert job.next_slot_time is not None
    assert job.next_slot_time <= job.create_time
    (run,) = await turn(kfp, made["recurring_run_id"])
    assert await turn(kfp, made["recurring_run_id"]) == [run]


@pytest.mark.parametrize(
    ("policy", "cancelled"), [("", True), ("BACKGROUND", True), ("FOREGROUND", True), ("ORPHAN", False)]
)
async def test_its_runs_stay_and_those_under_way_end_unless_they_are_orphans(
    kfp: KfpSite, policy: str, *, cancelled: bool
) -> None:
    trigger = {"periodic_schedule": {"interval_second": 3600, "start_time": ago(hours=1, minutes=5)}}
    id = (await make(kfp, trigger=trigger))["recurring_run_id"]
    (run,) = await turn(kfp, id)
    query = {"propagation_policy": policy} if policy else {}
    assert (await kfp.ask("DELETE", f"/recurringruns/{id}", query=query)).body == {}
    assert (await kfp.ask("GET", f"/recurringruns/{id}")).status == 404
    left = (await kfp.ask("GET", f"/runs/{run['run_id']}")).body
    assert left["recurring_run_id"] == id
    async with kfp.database.connection() as connection:
        row = await (
            await connection.execute("SELECT cancel_request_time IS NOT NULL FROM run WHERE uid = %s", [run["run_id"]])
        ).fetchone()
    assert row == (cancelled,)


async def test_they_are_listed_by_experiment_in_pages(kfp: KfpSite) -> None:
    experiment = (await kfp.ask("POST", "/experiments", {"display_name": "training"})).body["experiment_id"]
    for number in range(3):
        await make(kfp, f"job {number}", experiment_id=experiment)
    await make(kfp, "elsewhere")
    query = {"experiment_id": experiment, "page_token": "", "page_size": 2, "sort_by": ""}
    first = (await kfp.ask("GET", "/recurringruns", query=query)).body
    assert ([job["display_name"] for job in first["recurringRuns"]], first["total_size"]) == (["job 0", "job 1"], 3)
    second = (await kfp.ask("GET", "/recurringruns", query=query | {"page_token": first["next_page_token"]})).body
    assert [job["display_name"] for job in second["recurringRuns"]] == ["job 2"]
    assert "next_page_token" not in second


@pytest.mark.parametrize(
    "field", ["id", "recurring_run_id", "name", "display_name", "created_at", "updated_at", "description"]
)
async def test_they_are_sorted_and_found_by_what_they_are_told_to_be(kfp: KfpSite, field: str) -> None:
    made = [await make(kfp, f"job {number}", description=f"of {number}") for number in range(3)]
    key = {"id": "recurring_run_id", "name": "display_name"}.get(field, field)
    ascending = [job["display_name"] for job in sorted(made, key=lambda job: job[key])]
    assert await names(kfp, sort_by=f"{field} asc") == ascending
    assert await names(kfp, sort_by=f"{field} desc") == ascending[::-1]
    found = await names(kfp, filter=predicate(field, "EQUALS", made[1][key]))
    # Those of one second are told to be as old as each other.
    assert found == [job["display_name"] for job in made if job[key] == made[1][key]]
