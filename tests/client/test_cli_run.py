"""`penstock run`, `runs` and `logs` against a scripted server."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from rich.console import Console

from penstock.cli.drawing import draw
from penstock.cli.tree import RunTree
from penstock.v1.parameter_pb2 import ParameterDefinition
from penstock.v1.pipeline_pb2 import PipelineVersion
from penstock.v1.pipeline_service_pb2 import GetPipelineVersionResponse
from penstock.v1.run_pb2 import Run
from penstock.v1.run_service_pb2 import (
    CancelRunResponse,
    CreateRunRequest,
    CreateRunResponse,
    DeleteRunResponse,
    GetTaskResponse,
    ListEventsResponse,
    ListRunsResponse,
    ListTasksResponse,
    ReadLogsRequest,
    ReadLogsResponse,
    RetryRunResponse,
    WatchRunRequest,
)
from penstock.v1.task_pb2 import Attempt, Pod, Task
from penstock.values import from_values
from tests.client.conftest import Command
from tests.client.scripted import ScriptedServer, fail
from tests.client.stories import RUN, Story

SPEC = """
root:
  inputDefinitions:
    parameters:
      slope: {parameterType: NUMBER_DOUBLE}
      epochs: {parameterType: NUMBER_INTEGER}
      title: {parameterType: STRING}
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "pipeline.yaml"
    path.write_text(SPEC)
    return str(path)


@pytest.fixture
def story(server: ScriptedServer) -> Story:
    told = Story()
    told.script(server)
    server.on("CreateRun", CreateRunResponse(run=told.run(at=1)))
    return told


@pytest.fixture
def failing(server: ScriptedServer) -> Story:
    told = Story(fails=True)
    told.script(server)
    server.on("CreateRun", CreateRunResponse(run=told.run(at=1)))
    return told


@pytest.mark.usefixtures("story")
def test_run_prints_the_name_and_says_what_next(command: Command, server: ScriptedServer, file: str) -> None:
    given = ("-p", "slope=3", "-p", "epochs=5", "-p", "title=5")
    outcome = command("run", file, *given, "--experiment", "tuning")
    assert (outcome.exit_code, outcome.stdout) == (0, f"{RUN}\n")
    assert "penstock runs watch line-fit-1" in outcome.stderr
    (request,) = server.requests_of(CreateRunRequest)
    assert from_values(request.run.parameters) == {"slope": 3, "epochs": 5, "title": "5"}
    assert request.run.inline_spec.text == SPEC
    assert request.run.experiment == "namespaces/default/experiments/tuning"


@pytest.mark.usefixtures("story")
def test_run_of_a_pipeline_pins_the_version_whose_types_it_read(command: Command, server: ScriptedServer) -> None:
    number = ParameterDefinition(name="epochs", type=ParameterDefinition.TYPE_NUMBER_INTEGER)
    name = "namespaces/default/pipelines/line-fit/versions/7"
    version = PipelineVersion(name=name, parameters=[number])
    server.on("GetPipelineVersion", GetPipelineVersionResponse(pipeline_version=version))
    assert command("run", "line-fit", "-p", "epochs=5").exit_code == 0
    (request,) = server.requests_of(CreateRunRequest)
    assert (request.run.pipeline_version, from_values(request.run.parameters)) == (name, {"epochs": 5})


@pytest.mark.usefixtures("story")
def test_json_is_all_there_is_on_stdout(command: Command, file: str) -> None:
    accepted = json.loads(command("run", file, "-o", "json").stdout)
    assert (accepted["name"], accepted["state"]) == (RUN, "STATE_PENDING")
    ended = json.loads(command("run", file, "-o", "json", "--watch").stdout)
    assert ended["outputs"] == {"epochs": 5, "message": "fine"}


@pytest.mark.usefixtures("story")
def test_a_watch_without_a_terminal_prints_lines_and_outputs(command: Command, file: str) -> None:
    outcome = command("run", file, "--watch")
    assert outcome.exit_code == 0
    words = [line.split()[1:3] for line in outcome.stdout.splitlines()[:5]]
    assert words == [
        ["PENDING", "line-fit-1"],
        ["RUNNING", "line-fit-1"],
        ["RUNNING", "make"],
        ["note", "line-fit-1"],
        ["SUCCEEDED", "make"],
    ]
    assert outcome.stdout.endswith("run line-fit-1 SUCCEEDED in 12.0s\n  epochs: 5\n  message: fine\n")


@pytest.mark.usefixtures("failing")
def test_a_run_that_fails_tells_the_task_the_exit_code_and_the_log(command: Command, file: str) -> None:
    outcome = command("run", file, "--watch")
    assert outcome.exit_code == 1
    for told in (
        "task fit: EXIT_CODE",
        "exit code 3",
        "    cannot open /data",
        "penstock logs line-fit-1 fit",
    ):
        assert told in outcome.stdout


@pytest.mark.usefixtures("failing")
def test_watching_ends_with_the_run_and_its_exit_status(command: Command) -> None:
    assert command("runs", "watch", "line-fit-1").exit_code == 1
    assert command("runs", "watch", RUN, "-o", "json").exit_code == 1


def test_a_watch_survives_cuts(command: Command, server: ScriptedServer, story: Story) -> None:
    story.script(server, cuts=(2, 3))
    assert command("runs", "watch", "line-fit-1").exit_code == 0
    assert len(server.requests_of(WatchRunRequest)) == 3


def test_ctrl_c_leaves_the_run_alone(command: Command, server: ScriptedServer, story: Story) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("penstock.cli.watching._show_progress", interrupt)
        outcome = command("runs", "watch", "line-fit-1")
    assert outcome.exit_code == 130
    assert "it goes on" in outcome.stderr
    assert "penstock runs cancel line-fit-1" in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("-p", "slope"), "NAME=VALUE"),
        (("-p", "slope=steep"), "NUMBER_DOUBLE"),
        (("-p", "slpoe=1"), "did you mean slope"),
        (("--deadline", "soon"), "90s, 30m or 1h30m"),
        (("--label", "team"), "KEY=VALUE"),
        (("-o", "xml"), "xml"),
    ],
)
def test_wrong_use_is_told_and_nothing_is_sent(
    command: Command, server: ScriptedServer, file: str, arguments: tuple[str, ...], told: str
) -> None:
    outcome = command("run", file, *arguments)
    assert (outcome.exit_code, outcome.stdout, server.requests) == (2, "", [])
    assert told in outcome.stderr


def test_what_the_server_refuses_is_told_with_its_paths(command: Command, server: ScriptedServer, file: str) -> None:
    code, wrong = grpc.StatusCode.INVALID_ARGUMENT, {"root.dag": "has no tasks"}
    server.on("CreateRun", lambda request, context: fail(context, code, "INVALID_SPEC", violations=wrong))
    outcome = command("run", file)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert "error: INVALID_SPEC: it went wrong\n  root.dag: has no tasks\n" in outcome.stderr


def test_a_server_that_fails_is_no_fault_of_the_user(command: Command, server: ScriptedServer, file: str) -> None:
    code = grpc.StatusCode.INTERNAL
    server.on("CreateRun", lambda request, context: fail(context, code, "INTERNAL"))
    assert command("run", file).exit_code == 3


def test_control_characters_of_others_do_not_reach_the_terminal(command: Command, server: ScriptedServer) -> None:
    run = Run(name=RUN, state=Run.STATE_FAILED, reason="\x1b[2J", message="\x1b]0;x\x07")
    server.on("ListRuns", ListRunsResponse(runs=[run]))
    assert "\x1b" not in command("runs", "list").stdout


def test_runs_are_listed(command: Command, server: ScriptedServer, story: Story) -> None:
    run = story.run()
    run.pipeline_version, run.display_name = "namespaces/default/pipelines/line-fit/versions/3", "Friday"
    server.on("ListRuns", ListRunsResponse(runs=[run]))
    outcome = command("runs", "list", "--filter", "state = SUCCEEDED", "--limit", "10")
    heading, row = outcome.stdout.splitlines()
    assert heading.split() == ["RUN", "DISPLAY", "NAME", "STATE", "PIPELINE", "CREATED", "TOOK", "REASON"]
    assert row.split() == ["line-fit-1", "Friday", "SUCCEEDED", "line-fit@3", "12.0s"]
    assert (server.requests[0].filter, server.requests[0].page_size) == ("state = SUCCEEDED", 10)
    listed = json.loads(command("runs", "list", "-o", "json").stdout)
    assert [item["name"] for item in listed["runs"]] == [RUN]


def test_an_empty_list_says_so(command: Command, server: ScriptedServer) -> None:
    server.on("ListRuns", ListRunsResponse())
    outcome = command("runs", "list")
    assert (outcome.stdout, outcome.stderr) == ("", "none\n")


def test_a_run_is_shown_with_its_tasks(command: Command, server: ScriptedServer, failing: Story) -> None:
    failing.script(server, at=10)
    outcome = command("runs", "get", "line-fit-1")
    assert outcome.exit_code == 0
    assert "├─ ✔ make" in outcome.stdout
    assert "└─ ✖ fit" in outcome.stdout
    assert "exit code 3" in outcome.stdout


UNSCHEDULABLE = "0/3 nodes are available"
NOT_FOUND = f"ErrImagePull: failed to resolve reference {'registry.example/of/long/names/' * 12}fit:2: not found"


def waiting(reason: str, message: str) -> list[Task]:
    """The tasks of a run whose first step waits."""
    root = Task(name=f"{RUN}/tasks/root", key="root", state=Task.STATE_RUNNING)
    step = Task(
        name=f"{RUN}/tasks/make",
        parent_task=root.name,
        key="make",
        state=Task.STATE_RUNNING,
        attempt_count=1,
        reason=reason,
        message=message,
    )
    return [root, step]


@pytest.mark.parametrize(
    ("reason", "message"), [("UNSCHEDULABLE", UNSCHEDULABLE), ("ERR_IMAGE_PULL", NOT_FOUND)], ids=["short", "long"]
)
def test_a_step_that_waits_says_for_what_to_the_last_word(
    command: Command, server: ScriptedServer, story: Story, reason: str, message: str
) -> None:
    story.script(server, at=4)
    server.on("ListTasks", ListTasksResponse(tasks=waiting(reason, message)))
    assert f"{reason}: {message}\n" in command("runs", "get", "line-fit-1").stdout


def test_a_terminal_that_is_too_narrow_cuts_lines(story: Story) -> None:
    screen = io.StringIO()
    tree = RunTree(story.run(at=4), waiting("ERR_IMAGE_PULL", NOT_FOUND))
    draw(Console(file=screen, force_terminal=True, width=60), tree)
    assert "ERR_IMAGE_PULL" in screen.getvalue()
    assert "not found" not in screen.getvalue()


def test_a_run_that_fails_tells_the_pod_and_what_can_be_done(
    command: Command, server: ScriptedServer, failing: Story
) -> None:
    failing.script(server, at=10)
    attempt = Attempt(number=1, hint="Raise its memory limit.")
    pod = Pod(name="line-fit-1-fit-1-ab", namespace="steps")
    failed = Task(name=f"{RUN}/tasks/fit", key="fit", state=Task.STATE_FAILED, pod=pod, attempts=[attempt])
    server.on("GetTask", GetTaskResponse(task=failed))
    said = command("runs", "get", "line-fit-1").stdout
    assert "pod line-fit-1-fit-1-ab in steps, node unknown" in said
    assert "what to do: Raise its memory limit." in said


def test_runs_are_acted_on(command: Command, server: ScriptedServer, story: Story) -> None:
    server.on("CancelRun", CancelRunResponse(run=story.run(at=2)))
    server.on("RetryRun", RetryRunResponse(run=story.run(at=1)))
    server.on("DeleteRun", DeleteRunResponse())
    assert "RUNNING" in command("runs", "cancel", "line-fit-1", "-m", "wrong").stdout
    assert "PENDING" in command("runs", "retry", "line-fit-1").stdout
    assert command("runs", "retry", "line-fit-1", "--watch").exit_code == 0
    assert server.requests_of(WatchRunRequest)[-1].after_sequence == 1, "what was before the retry is not told again"
    assert command("runs", "delete", "line-fit-1", "--force").exit_code == 0
    assert server.requests[-1].force


def test_tasks_and_events_are_listed(command: Command, server: ScriptedServer, story: Story) -> None:
    story.script(server, at=10)
    server.on("ListEvents", ListEventsResponse(events=[response.event for response in story.responses]))
    assert command("runs", "tasks", "line-fit-1").stdout.count("SUCCEEDED") == 2
    assert "SETTINGS_IGNORED" in command("runs", "events", "line-fit-1").stdout
    events = json.loads(command("runs", "events", "line-fit-1", "-o", "json").stdout)["events"]
    assert len(events) == 10


def test_logs_are_printed_byte_for_byte(command: Command, server: ScriptedServer) -> None:
    piece = ReadLogsResponse(content=b"one\ntwo", next_offset=7, attempt=1)
    server.on("ReadLogs", lambda request, context: iter([piece]))
    outcome = command("logs", "line-fit-1", "fit", "-f")
    assert (outcome.exit_code, outcome.stdout) == (0, "one\ntwo")
    assert server.requests[0].follow


def logs_of_known(request: ReadLogsRequest, context: grpc.ServicerContext) -> Iterator[ReadLogsResponse]:
    if "." not in request.name:
        fail(context, grpc.StatusCode.NOT_FOUND, "TASK_NOT_FOUND", "no such task")
    yield ReadLogsResponse(content=b"found", attempt=1)


def test_logs_are_found_by_the_end_of_an_id_that_is_the_only_such(command: Command, server: ScriptedServer) -> None:
    ids = ("outer", "outer.fit", "outer.test", "other.test")
    tasks = [Task(name=f"namespaces/default/runs/line-fit-1/tasks/{id}") for id in ids]
    server.on("ListTasks", lambda request, context: ListTasksResponse(tasks=tasks))
    server.on("ReadLogs", logs_of_known)
    assert command("logs", "line-fit-1", "fit").stdout == "found"
    assert server.requests[-1].name.endswith("/tasks/outer.fit")
    several = command("logs", "line-fit-1", "test")
    assert (several.exit_code, several.stdout) == (2, "")
    assert "outer.test, other.test" in several.stderr


def test_hints_help_on(command: Command, server: ScriptedServer) -> None:
    code = grpc.StatusCode.NOT_FOUND
    server.on("GetRun", lambda request, context: fail(context, code, "RUN_NOT_FOUND", "no run x"))
    outcome = command("runs", "get", "x")
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert "penstock runs list" in outcome.stderr
