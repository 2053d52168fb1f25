"""Jobs on a real server: the command line, the client, REST and Connect, up to runs that have ended."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest

from penstock import Client
from penstock.v1.backfill_pb2 import Backfill
from penstock.v1.job_slot_pb2 import JobSlot
from penstock.v1.run_pb2 import Run
from penstock.values import from_values
from tests import pipelines
from tests.e2e.test_cli import penstock, run_json
from tests.servers import Server

pytestmark = pytest.mark.slow

PATIENCE_S = 120


def document(*command: str) -> dict[str, Any]:
    made = pipelines.chain(1, *(command or ("true",)))
    made["root"]["inputDefinitions"] = {
        "parameters": {
            "day": {"parameterType": "STRING", "defaultValue": ""},
            "number": {"parameterType": "NUMBER_INTEGER", "defaultValue": 0},
        }
    }
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "pipeline.json"
    path.write_text(json.dumps(document()))
    return path


@pytest.fixture
def job(client: Client, request: pytest.FixtureRequest) -> Iterator[str]:
    """An id, of whose job nothing is left afterwards."""
    id = f"job-{request.node.name.replace('_', '-').removeprefix('test-')[:40].rstrip('-')}"
    yield id
    for made in client.jobs.list(filter=f'name = "namespaces/default/jobs/{id}"'):
        client.jobs.delete(made)


def ask(server: Server, method: str, path: str, body: Any = None) -> Any:
    """The JSON that the server answers with over HTTP."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"http://{server.http}{path}", data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        return json.load(error)


def test_slots_fire_and_their_runs_succeed(client: Client, job: str) -> None:
    made = client.create_job(
        document(), {"day": "${slot.time:%Y-%m-%d}", "number": "${slot.index}"}, job_id=job, every=1, overlap="allow"
    )
    fired = []
    for response in client.watch_job(made):
        if response.slot.state == JobSlot.STATE_FIRED:
            fired.append(response.slot)
        if len(fired) == 3:
            break
    client.jobs.disable(made)
    times = [slot.slot_time.ToDatetime(tzinfo=UTC) for slot in fired]
    assert [later - earlier for earlier, later in pairwise(times)] == [timedelta(seconds=1)] * 2
    for number, slot in enumerate(fired, 1):
        run = client.wait(slot.run, PATIENCE_S)
        assert run.state == Run.STATE_SUCCEEDED
        assert from_values(run.parameters) == {"day": f"{times[number - 1]:%Y-%m-%d}", "number": number}
        assert (run.job, run.slot_time, slot.index) == (made.name, slot.slot_time, number)


def test_the_command_line_works_a_job_from_its_making_to_its_end(server: Server, job: str, file: Path) -> None:
    arguments = ("--cron", "0 2 * * *", "--time-zone", "Europe/Berlin", "-p", "number=${slot.index}")
    made = run_json(server, "jobs", "create", job, file, *arguments)
    assert made["state"] == "STATE_ENABLED"
    assert job in penstock(server, "jobs", "list", "--filter", "state = ENABLED").stdout
    assert len(run_json(server, "jobs", "preview", job, "--count", 3)["slotTimes"]) == 3
    slot = run_json(server, "jobs", "trigger", job)
    run = slot["run"].rpartition("/")[2]
    assert penstock(server, "runs", "watch", run).returncode == 0
    assert f"{made['name']}, slot of" in penstock(server, "runs", "get", run).stdout
    changed = run_json(server, "jobs", "update", job, "-p", "number=5", "--every", "1h30m", "--deadline", "10m")
    assert (changed["interval"], changed["run"]["parameters"]) == ({"every": "5400s"}, {"number": 5})
    assert penstock(server, "jobs", "disable", job).returncode == 0
    shown = penstock(server, "jobs", "get", job).stdout
    assert "DISABLED_BY_USER" in shown
    assert "every 1h30m" in shown
    assert run in shown
    assert penstock(server, "jobs", "delete", job).returncode == 0
    gone = penstock(server, "jobs", "get", job)
    assert (gone.returncode, "JOB_NOT_FOUND" in gone.stderr) == (2, True)


def test_a_backfill_is_followed_to_its_end(server: Server, client: Client, job: str, file: Path) -> None:
    made = client.create_job(file, {"day": "${slot.start:%Y-%m-%d}"}, job_id=job, cron="@daily", disabled=True)
    arguments = ("jobs", "backfill", job, "--from", "2026-03-01", "--to", "2026-03-03", "--id", "march")
    assert run_json(server, *arguments, "--validate-only")["slotCount"] == 3
    assert run_json(server, *arguments, "--max-concurrency", 3)["slotCount"] == 3
    for _ in client.watch_job(made):
        if client.jobs.get_backfill(job, "march").state != Backfill.STATE_RUNNING:
            break
    done = client.jobs.get_backfill(job, "march")
    assert (done.state, done.succeeded_count) == (Backfill.STATE_SUCCEEDED, 3)
    days = [
        from_values(client.runs.get(slot.run).parameters)["day"]
        for slot in client.jobs.slots(job, order_by="slot_time")
    ]
    assert days == ["2026-02-28", "2026-03-01", "2026-03-02"]
    assert "march" in penstock(server, "jobs", "backfills", job).stdout


def test_a_job_is_worked_over_rest(server: Server, job: str) -> None:
    jobs = "/v1/namespaces/default/jobs"
    body = {
        "cron": {"expression": "@hourly"},
        "run": {"inlineSpec": {"struct": document()}, "parameters": {"number": 1}},
    }
    made = ask(server, "POST", f"{jobs}?job_id={job}", body)["job"]
    assert (made["name"], made["run"]["parameters"]) == (f"namespaces/default/jobs/{job}", {"number": 1})
    path = f"/v1/{made['name']}"
    changed = ask(server, "PATCH", f"{path}?update_mask=interval,maxConcurrency", {"interval": {"every": "90s"}})
    assert changed["job"]["interval"] == {"every": "90s"}
    assert ask(server, "POST", f"{path}:disable", {})["job"]["state"] == "STATE_DISABLED"
    slot = ask(server, "POST", f"{path}:trigger")["slot"]
    assert slot["state"] == "STATE_FIRED"
    assert ask(server, "GET", f"{path}/slots?filter=state%3DFIRED")["slots"][0]["run"] == slot["run"]
    preview = {"job": {"cron": {"expression": "@yearly"}}, "afterTime": "2026-06-01T00:00:00Z", "count": 1}
    assert ask(server, "POST", f"{jobs}:previewSlots", preview) == {"slotTimes": ["2027-01-01T00:00:00Z"]}
    filled = {"startTime": "2026-03-01T00:00:00Z", "endTime": "2026-03-01T00:00:00Z"}
    assert ask(server, "POST", f"{path}/backfills?validate_only=true", filled)["backfill"]["maxConcurrency"] == 1
    assert ask(server, "GET", f"{path}/backfills") == {}
    with urllib.request.urlopen(f"http://{server.http}{path}:watch", timeout=PATIENCE_S) as stream:
        first, second = (json.loads(line)["result"] for line in islice(stream, 2))
    assert (first["job"]["name"], second["slot"]["run"]) == (made["name"], slot["run"])
    wrong = ask(server, "POST", f"{jobs}?job_id=x", {"cron": {"expression": "x"}, "run": body["run"]})["error"]
    assert (wrong["code"], "INVALID_CRON" in json.dumps(wrong)) == (400, True)
    assert ask(server, "DELETE", path) == {}
    assert ask(server, "GET", path)["error"]["code"] == 404


def test_a_job_is_worked_over_connect(server: Server, client: Client, job: str, file: Path) -> None:
    made = client.create_job(file, job_id=job, cron="@hourly")
    got = ask(server, "POST", "/penstock.v1.JobService/GetJob", {"name": made.name})
    assert got["job"]["etag"] == made.etag
    again: dict[str, Any] = {"parent": "namespaces/default", "jobId": job}
    again["job"] = {"cron": {"expression": "@daily"}, "run": {}}
    refused = ask(server, "POST", "/penstock.v1.JobService/CreateJob", again)
    assert refused["code"] == "invalid_argument"
    again["job"]["run"] = {"inlineSpec": {"text": file.read_text()}}
    assert ask(server, "POST", "/penstock.v1.JobService/CreateJob", again)["code"] == "already_exists"


def test_a_backfill_in_the_future_is_refused_with_its_field(
    server: Server, client: Client, job: str, file: Path
) -> None:
    client.create_job(file, job_id=job, cron="@hourly", disabled=True)
    tomorrow = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}"
    refused = penstock(server, "jobs", "backfill", job, "--from", "2026-01-01", "--to", tomorrow)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "backfill.end_time" in refused.stderr
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert penstock(server, "jobs", "backfill", job, "--from", today, "--to", today, "--validate-only").returncode == 0
