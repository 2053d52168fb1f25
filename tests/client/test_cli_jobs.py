"""`penstock jobs` against a scripted server."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from penstock.cli.clocks import Clock, named_clock
from penstock.cli.durations import read_duration, span_text
from penstock.cli.failures import UsageError
from penstock.v1 import job_service_pb2 as pb
from penstock.v1.backfill_pb2 import Backfill
from penstock.v1.job_pb2 import Job
from penstock.v1.job_slot_pb2 import JobSlot
from penstock.v1.parameter_pb2 import ParameterDefinition
from penstock.v1.pipeline_pb2 import PipelineVersion
from penstock.v1.pipeline_service_pb2 import GetPipelineVersionRequest, GetPipelineVersionResponse
from penstock.v1.run_pb2 import Run
from penstock.values import from_values
from tests.client.conftest import Command
from tests.client.scripted import ScriptedServer, fail

NAME = "namespaces/default/jobs/nightly"
VERSION = "namespaces/default/pipelines/line-fit/versions/latest"
SPEC = "root:\n  inputDefinitions:\n    parameters:\n      epochs: {parameterType: NUMBER_INTEGER}\n"


def at(text: str) -> Timestamp:
    time = Timestamp()
    time.FromJsonString(text)
    return time


def nightly(**fields: Any) -> Job:
    job = Job(
        name=NAME,
        etag="7",
        state=Job.STATE_ENABLED,
        cron=Job.Cron(expression="0 2 * * *", time_zone="Europe/Berlin"),
        start_time=at("2026-01-01T00:00:00Z"),
        next_slot_time=at("2026-07-02T00:00:00Z"),
        last_run="namespaces/default/runs/nightly-1",
        run=Run(pipeline_version=VERSION),
        overlap=Job.OVERLAP_SKIP,
        max_concurrency=1,
        catch_up=Job.CATCH_UP_NONE,
    )
    job.MergeFrom(Job(**fields))
    return job


FIRED = JobSlot(
    job=NAME,
    slot_time=at("2026-03-29T01:00:00Z"),
    kind=JobSlot.KIND_SCHEDULED,
    state=JobSlot.STATE_FIRED,
    run="namespaces/default/runs/nightly-1",
    sequence=3,
)
FIRED.lateness.FromSeconds(75)
SKIPPED = JobSlot(
    job=NAME,
    slot_time=at("2026-03-27T01:00:00Z"),
    last_slot_time=at("2026-03-28T01:00:00Z"),
    kind=JobSlot.KIND_SCHEDULED,
    state=JobSlot.STATE_SKIPPED,
    reason="CATCH_UP",
    message="no server was there",
    sequence=5,
)


@pytest.fixture(autouse=True)
def version(server: ScriptedServer) -> None:
    """`line-fit` takes a number and a text."""
    kinds = ParameterDefinition
    parameters = [
        kinds(name="epochs", type=kinds.TYPE_NUMBER_INTEGER),
        kinds(name="title", type=kinds.TYPE_STRING),
    ]
    known = PipelineVersion(name=VERSION.replace("latest", "4"), parameters=parameters)
    server.on("GetPipelineVersion", GetPipelineVersionResponse(pipeline_version=known))
    server.on("GetJob", pb.GetJobResponse(job=nightly()))


def test_a_job_is_made_with_what_the_options_say(command: Command, server: ScriptedServer) -> None:
    server.on("CreateJob", pb.CreateJobResponse(job=nightly()))
    outcome = command(
        *("jobs", "create", "nightly", "line-fit", "--cron", "0 2 * * *", "--time-zone", "Europe/Berlin"),
        *("-p", "epochs=${slot.index}", "-p", "title=${slot.time}", "--start", "2026-07-01", "--end", "2026-07-31"),
        *("--catch-up", "all", "--catch-up-limit", "7", "--overlap", "queue-one", "--max-concurrency", "2"),
        *("--jitter", "1m30s", "--max-consecutive-failures", "3", "--label", "team=x", "--deadline", "1h30m"),
        *("--cache", "refresh", "--priority", "5", "--experiment", "tuning", "--disabled"),
        *("--run-name", "of ${slot.time}"),
    )
    assert (outcome.exit_code, outcome.stdout) == (0, f"{NAME}\n")
    assert "fires next at 2026-07-02 02:00:00 (Europe/Berlin)" in outcome.stderr
    (request,) = server.requests_of(pb.CreateJobRequest)
    job = request.job
    assert (request.job_id, request.disabled) == ("nightly", True)
    # Of a pipeline without a number each run takes the newest version, not the one whose types were read.
    assert job.run.pipeline_version == VERSION
    assert from_values(job.run.parameters) == {"epochs": "${slot.index}", "title": "${slot.time}"}
    assert (job.start_time, job.end_time) == (at("2026-06-30T22:00:00Z"), at("2026-07-31T21:59:59.999999Z"))
    assert (job.catch_up, job.catch_up_limit, job.overlap) == (Job.CATCH_UP_ALL, 7, Job.OVERLAP_QUEUE_ONE)
    assert (job.max_concurrency, job.max_consecutive_failures) == (2, 3)
    assert (job.jitter.seconds, job.run.deadline.seconds, job.run.priority) == (90, 5400, 5)
    assert (dict(job.labels), job.run.cache_policy) == ({"team": "x"}, Run.CACHE_POLICY_REFRESH)
    assert job.run.display_name == "of ${slot.time}"


def test_a_job_of_a_file_has_its_spec(command: Command, server: ScriptedServer, tmp_path: Path) -> None:
    server.on("CreateJob", pb.CreateJobResponse(job=nightly()))
    path = tmp_path / "pipeline.yaml"
    path.write_text(SPEC)
    outcome = command("jobs", "create", "x", str(path), "--every", "90s", "-p", "epochs=5", "--validate-only")
    assert (outcome.exit_code, outcome.stdout) == (0, "")
    assert "no job was made" in outcome.stderr
    job = server.requests[0].job
    assert (job.run.inline_spec.text, job.interval.every.seconds) == (SPEC, 90)
    assert from_values(job.run.parameters) == {"epochs": 5}


WRONG = {
    "no trigger": (("create", "x", "line-fit"), "--cron or --every"),
    "two triggers": (("create", "x", "line-fit", "--cron", "@daily", "--every", "1h"), "--cron or --every"),
    "a time that is none": (("create", "x", "line-fit", "--every", "1h", "--end", "soon"), "--end soon"),
    "a duration that is none": (("create", "x", "line-fit", "--every", "1h", "--jitter", "2d"), "at most 1d"),
    "a policy that is none": (("create", "x", "line-fit", "--every", "1h", "--overlap", "wait"), "queue-one"),
    "a value that is none": (("create", "x", "line-fit", "--every", "1h", "-p", "epochs=many"), "NUMBER_INTEGER"),
    "a label that is none": (("create", "x", "line-fit", "--every", "1h", "--label", "x"), "KEY=VALUE"),
    "a preview of nothing": (("preview",), "JOB, or --cron or --every"),
    "a preview of two": (("preview", "nightly", "--cron", "@daily"), "one of the two"),
    "nothing to change": (("update", "nightly"), "nothing to change"),
    "a parameter that is not set": (("update", "nightly", "--unset", "epochs"), "does not set"),
    "a backfill without an end": (("backfill", "nightly", "--from", "2026-01-01"), "--to"),
    "a backfill without a beginning": (("backfill", "nightly", "--from", "", "--to", "2026-01-01"), "--from"),
}


@pytest.mark.parametrize(("arguments", "told"), WRONG.values(), ids=list(WRONG))
def test_wrong_use_is_told_and_changes_nothing(
    command: Command, server: ScriptedServer, arguments: tuple[str, ...], told: str
) -> None:
    outcome = command("jobs", *arguments)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert told in outcome.stderr
    assert {type(request) for request in server.requests} <= {pb.GetJobRequest, GetPipelineVersionRequest}


def test_jobs_are_listed(command: Command, server: ScriptedServer) -> None:
    every = Job(name=f"{NAME}-2", display_name="Hourly", state=Job.STATE_DISABLED, reason="TOO_MANY_FAILURES")
    every.interval.every.FromSeconds(5400)
    server.on("ListJobs", pb.ListJobsResponse(jobs=[nightly(), every]))
    outcome = command("jobs", "list", "--filter", "state = ENABLED", "--order-by", "name", "--limit", "7")
    heading, first, second = outcome.stdout.splitlines()
    assert heading.split()[:6] == ["JOB", "DISPLAY", "NAME", "STATE", "FIRES", "NEXT"]
    assert "0 2 * * * (Europe/Berlin)" in first
    assert first.split()[-2:] == ["nightly-1", "line-fit@latest"]
    assert second.split()[:5] == ["nightly-2", "Hourly", "DISABLED", "every", "1h30m"]
    (request,) = server.requests
    assert (request.filter, request.order_by, request.page_size) == ("state = ENABLED", "name", 7)
    assert len(json.loads(command("jobs", "list", "-o", "json").stdout)["jobs"]) == 2


def test_a_job_is_shown_on_its_own_clock_with_its_newest_slots(command: Command, server: ScriptedServer) -> None:
    server.on("GetJob", pb.GetJobResponse(job=nightly(max_consecutive_failures=3, consecutive_failures=1)))
    server.on("ListJobSlots", pb.ListJobSlotsResponse(slots=[FIRED, SKIPPED]))
    shown = command("jobs", "get", "nightly").stdout
    assert "next slot     2026-07-02 02:00:00" in shown
    assert "1 of 3 in a row, then it is disabled" in shown
    assert "SKIP, at most 1 at a time" in shown
    assert "SLOT (Europe/Berlin)" in shown
    assert json.loads(command("jobs", "get", "nightly", "-o", "json").stdout)["name"] == NAME


def test_slots_tell_when_what_and_why(command: Command, server: ScriptedServer) -> None:
    server.on("ListJobSlots", pb.ListJobSlotsResponse(slots=[FIRED, SKIPPED]))
    heading, fired, skipped = command("jobs", "slots", "nightly").stdout.splitlines()
    assert heading.startswith("SLOT (Europe/Berlin)")
    assert fired.split() == ["2026-03-29", "03:00:00", "FIRED", "SCHEDULED", "nightly-1", "1m15s"]
    assert skipped.startswith("2026-03-27 02:00:00 to 2026-03-28 02:00:00  SKIPPED  SCHEDULED")
    assert skipped.endswith("CATCH_UP  no server was there")
    assert len(json.loads(command("jobs", "slots", "nightly", "-o", "json").stdout)["slots"]) == 2


def test_no_slot_of_a_backfill_is_late(command: Command, server: ScriptedServer) -> None:
    filled = JobSlot(kind=JobSlot.KIND_BACKFILL, state=JobSlot.STATE_FIRED, slot_time=FIRED.slot_time)
    filled.lateness.FromSeconds(10**6)
    server.on("ListJobSlots", pb.ListJobSlotsResponse(slots=[filled]))
    assert command("jobs", "slots", "nightly").stdout.splitlines()[1].split()[2:] == ["FIRED", "BACKFILL"]


def test_a_preview_shows_both_clocks(command: Command, server: ScriptedServer) -> None:
    server.on("PreviewJobSlots", pb.PreviewJobSlotsResponse(slot_times=[at("2026-03-29T01:00:00Z")]))
    arguments = ("--cron", "30 2 * * *", "--time-zone", "Europe/Berlin", "--after", "2026-03-29", "-c", "1")
    shown = command("jobs", "preview", *arguments).stdout.splitlines()
    assert shown[1].split() == ["2026-03-29", "03:00:00", "2026-03-29", "01:00:00"]
    assert server.requests[-1].after_time == at("2026-03-28T23:00:00Z")
    assert "Europe/Berlin" in command("jobs", "preview", "nightly").stdout
    printed = json.loads(command("jobs", "preview", "nightly", "-o", "json").stdout)
    assert printed == {"slotTimes": ["2026-03-29T01:00:00Z"]}
    server.on("PreviewJobSlots", pb.PreviewJobSlotsResponse())
    assert command("jobs", "preview", "nightly").stderr == "none: it has ended\n"


def update(command: Command, server: ScriptedServer, *arguments: str) -> pb.UpdateJobRequest:
    server.on("UpdateJob", pb.UpdateJobResponse(job=nightly()))
    outcome = command("jobs", "update", "nightly", *arguments)
    assert outcome.exit_code == 0, outcome.stderr
    (request,) = server.requests_of(pb.UpdateJobRequest)
    assert isinstance(request, pb.UpdateJobRequest)
    return request


def test_a_text_that_is_given_empty_is_emptied(command: Command, server: ScriptedServer) -> None:
    assert update(command, server, "--description", "").update_mask.paths == ["description"]


def test_a_new_cron_keeps_the_zone_and_a_new_zone_the_cron(command: Command, server: ScriptedServer) -> None:
    assert update(command, server, "--cron", "0 3 * * *").job.cron.time_zone == "Europe/Berlin"
    server.requests.clear()
    request = update(command, server, "--time-zone", "Asia/Tokyo")
    assert (request.job.cron.expression, request.job.cron.time_zone) == ("0 2 * * *", "Asia/Tokyo")
    assert list(request.update_mask.paths) == ["cron"]
    assert request.job.etag == ""


def test_what_is_lifted_takes_its_default(command: Command, server: ScriptedServer) -> None:
    request = update(command, server, "--end", "none", "--jitter", "none", "--start", "2026-02-01", "--label", "a=b")
    assert list(request.update_mask.paths) == ["end_time", "jitter", "labels", "start_time"]
    assert (request.job.HasField("end_time"), request.job.start_time) == (False, at("2026-01-31T23:00:00Z"))


def test_a_part_of_the_run_is_changed_and_the_rest_kept(command: Command, server: ScriptedServer) -> None:
    present = nightly()
    present.run.parameters["title"].string_value = "old"
    present.run.deadline.FromSeconds(60)
    server.on("GetJob", pb.GetJobResponse(job=present))
    arguments = ("-p", "epochs=5", "--unset", "title", "--deadline", "none", "--task-timeout", "10m", "--run-name", "n")
    request = update(command, server, *arguments)
    assert (list(request.update_mask.paths), request.job.etag) == (["run"], "7")
    run = request.job.run
    assert (from_values(run.parameters), run.pipeline_version) == ({"epochs": 5}, VERSION)
    assert (run.HasField("deadline"), run.task_timeout.seconds, run.display_name) == (False, 600, "n")


def test_parameters_of_a_job_with_a_spec_of_its_own_are_read_by_it(command: Command, server: ScriptedServer) -> None:
    present = nightly()
    present.run.CopyFrom(Run(spec_digest="sha256:x"))
    present.run.spec.text = SPEC
    server.on("GetJob", pb.GetJobResponse(job=present))
    run = update(command, server, "-p", "epochs=5").job.run
    assert (from_values(run.parameters), run.WhichOneof("source"), run.HasField("spec")) == ({"epochs": 5}, None, False)
    assert server.requests_of(pb.GetJobRequest)[0].view == Run.VIEW_FULL


def test_a_job_takes_another_source(command: Command, server: ScriptedServer) -> None:
    run = update(command, server, "--source", "line-fit@4", "-p", "title=x").job.run
    assert run.pipeline_version == VERSION.replace("latest", "4")
    assert from_values(run.parameters) == {"title": "x"}


def test_jobs_are_acted_on(command: Command, server: ScriptedServer) -> None:
    for verb in ("enable", "disable", "archive", "unarchive"):
        server.on(f"{verb.capitalize()}Job", getattr(pb, f"{verb.capitalize()}JobResponse")(job=nightly()))
        assert "ENABLED" in command("jobs", verb, "nightly").stdout
        assert json.loads(command("jobs", verb, "nightly", "-o", "json").stdout)["name"] == NAME
    server.on("DeleteJob", pb.DeleteJobResponse())
    assert "its runs stay" in command("jobs", "delete", "nightly").stderr
    server.on("TriggerJob", pb.TriggerJobResponse(slot=FIRED))
    assert "nightly-1" in command("jobs", "trigger", "nightly").stdout
    assert json.loads(command("jobs", "trigger", "nightly", "-o", "json").stdout)["state"] == "STATE_FIRED"


def test_backfills_are_made_listed_and_cancelled(command: Command, server: ScriptedServer) -> None:
    march = Backfill(name=f"{NAME}/backfills/march", state=Backfill.STATE_RUNNING, slot_count=3, fired_before_count=1)
    server.on("CreateBackfill", pb.CreateBackfillResponse(backfill=march))
    server.on("ListBackfills", pb.ListBackfillsResponse(backfills=[march]))
    server.on("CancelBackfill", pb.CancelBackfillResponse(backfill=march))
    arguments = ("backfill", "nightly", "--from", "2026-03-01", "--to", "2026-03-10")
    made = command("jobs", *arguments, "--max-concurrency", "2", "--id", "march")
    assert (made.stdout, "3 slots to fire, 1 have fired before" in made.stderr) == (f"{march.name}\n", True)
    request = server.requests_of(pb.CreateBackfillRequest)[0]
    assert request.backfill.start_time == at("2026-02-28T23:00:00Z")
    assert request.backfill.end_time == at("2026-03-10T22:59:59.999999Z")
    assert (request.backfill.max_concurrency, request.backfill_id) == (2, "march")
    checked = command("jobs", *arguments, "--validate-only")
    assert (checked.stdout, "nothing was made" in checked.stderr) == ("", True)
    assert command("jobs", "backfills", "nightly").stdout.splitlines()[1].split()[:2] == ["march", "RUNNING"]
    assert "march" in command("jobs", "cancel-backfill", "nightly", "march", "--runs").stdout
    assert server.requests_of(pb.CancelBackfillRequest)[0].cancel_runs


def watched(server: ScriptedServer) -> None:
    """Two slots, in between a job that fires no more, and then its end."""
    disabled = nightly(state=Job.STATE_DISABLED, reason="DISABLED_BY_USER", message="somebody disabled it")

    def told(request: pb.WatchJobRequest, context: grpc.ServicerContext) -> Iterator[pb.WatchJobResponse]:
        yield pb.WatchJobResponse(job=nightly(), resume_token="1")
        yield pb.WatchJobResponse(slot=FIRED, resume_token="2")
        yield pb.WatchJobResponse(job=nightly(active_run_count=1), resume_token="3")
        yield pb.WatchJobResponse(job=disabled, resume_token="4")
        yield pb.WatchJobResponse(slot=SKIPPED, resume_token="5")
        fail(context, grpc.StatusCode.NOT_FOUND, "JOB_DELETED", "the job was deleted")

    server.on("ListJobSlots", pb.ListJobSlotsResponse(slots=[SKIPPED, FIRED]))
    server.on("WatchJob", told)


def test_a_watch_is_a_line_for_each_thing_that_people_would_notice(command: Command, server: ScriptedServer) -> None:
    watched(server)
    outcome = command("jobs", "watch", "nightly")
    lines = [line.split(maxsplit=1)[1] for line in outcome.stdout.splitlines()]
    assert lines == [
        "ENABLED   nightly  0 2 * * * (Europe/Berlin)",
        "FIRED     2026-03-29 03:00:00  nightly-1  1m15s late",
        "DISABLED  nightly  0 2 * * * (Europe/Berlin), DISABLED_BY_USER: somebody disabled it",
        "SKIPPED   2026-03-27 02:00:00 to 2026-03-28 02:00:00  CATCH_UP  no server was there",
    ]
    assert (outcome.exit_code, "JOB_DELETED" in outcome.stderr) == (2, True)
    assert server.requests_of(pb.WatchJobRequest)[0].after_sequence == 2


def test_a_watch_as_json_is_a_response_a_line(command: Command, server: ScriptedServer) -> None:
    watched(server)
    lines = command("jobs", "watch", "nightly", "-o", "json").stdout.splitlines()
    assert [next(iter(json.loads(line))) for line in lines] == ["job", "slot", "job", "job", "slot"]


def test_control_characters_of_others_do_not_reach_the_terminal(command: Command, server: ScriptedServer) -> None:
    evil = "\x1b]0;x\x07"
    server.on("GetJob", pb.GetJobResponse(job=nightly(message=evil, reason=evil, description=evil)))
    slot = JobSlot(slot_time=FIRED.slot_time, reason=evil, message=evil, run=evil)
    server.on("ListJobSlots", pb.ListJobSlotsResponse(slots=[slot]))
    server.on("WatchJob", lambda request, context: iter([pb.WatchJobResponse(slot=slot, resume_token="1")]))
    assert "\x1b" not in command("jobs", "get", "nightly").stdout
    assert "\x1b" not in command("jobs", "slots", "nightly").stdout


def test_hints_help_on(command: Command, server: ScriptedServer) -> None:
    server.on("GetJob", lambda request, context: fail(context, grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND"))
    outcome = command("jobs", "get", "x")
    assert (outcome.exit_code, "penstock jobs list" in outcome.stderr) == (2, True)


@pytest.mark.parametrize(
    ("text", "seconds", "written"),
    [("90", 90, "1m30s"), ("90s", 90, "1m30s"), ("1h30m", 5400, "1h30m"), ("2d", 172_800, "2d"), ("0.5s", 0.5, "0.5s"),
     ("1.5h", 5400, "1h30m"), ("1d2h3m4s", 93_784, "1d2h3m4s")],
)  # fmt: skip
def test_durations_are_read_and_written(text: str, seconds: float, written: str) -> None:
    assert read_duration("--x", text) == seconds
    assert span_text(seconds) == written


@pytest.mark.parametrize("text", ["x", "0", "-5s", "1m1h", "5 m", "1e3", "366d", "nan", "h", "٣s"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--x"):
        read_duration("--x", text)


BERLIN = named_clock("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026-03-29", "2026-03-28T23:00:00", "2026-03-29T21:59:59.999999"),
        ("2026-03-29T02:00", "2026-03-29T01:00:00", "2026-03-29T01:00:00"),
        ("2026-03-29 02:00Z", "2026-03-29T02:00:00", "2026-03-29T02:00:00"),
        ("2026-03-29T02:00+09:00", "2026-03-28T17:00:00", "2026-03-28T17:00:00"),
    ],
)
def test_times_are_read_on_the_clock_of_the_job(text: str, first: str, last: str) -> None:
    assert BERLIN.read("--from", text) == datetime.fromisoformat(first).replace(tzinfo=UTC)
    assert BERLIN.read_end("--to", text) == datetime.fromisoformat(last).replace(tzinfo=UTC)


def test_the_end_of_today_is_the_present() -> None:
    now = datetime(2026, 3, 29, 12, tzinfo=UTC)
    assert BERLIN.read_end("--to", "2026-03-29", now) == now
    assert BERLIN.read_end("--to", "2026-03-28", now) == datetime(2026, 3, 28, 22, 59, 59, 999_999, tzinfo=UTC)
    assert BERLIN.read_end("--to", "2026-03-31", now) == datetime(2026, 3, 31, 21, 59, 59, 999_999, tzinfo=UTC)


def test_a_zone_that_this_machine_does_not_know_leaves_the_clock_of_the_user() -> None:
    assert named_clock("Mars/Olympus") == named_clock("../etc") == named_clock("") == Clock()
    with pytest.raises(UsageError, match="too far away"):
        Clock(BERLIN.zone).read("--from", "0001-01-01")
