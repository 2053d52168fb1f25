"""What users do to runs, and what steps are promised, through the real client, a real server and real processes."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock import Client
from penstock.errors import NotFoundError, UnimplementedError
from penstock.v1.run_pb2 import Run
from penstock.v1.task_pb2 import Attempt, Task
from penstock_server.engine.history import check
from tests import pipelines
from tests.e2e.histories import events_of, tasks_of
from tests.servers import Server

WAIT_S = 30
RUN_S = 60

pytestmark = pytest.mark.slow


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until something is so."""
    give_up = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < give_up, f"{what} did not happen"
        os.sched_yield()


def alive(pid: int) -> bool:
    """True while the process lives; one that only waits to be collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the second when it ends between opening and reading
        return False
    return state != "Z"


def states(client: Client, run: Run) -> dict[str, str]:
    """State of each task by its id."""
    return {t.name.rpartition("/")[2]: Task.State.Name(t.state).removeprefix("STATE_") for t in tasks_of(client, run)}


def test_a_cancel_ends_the_step_with_all_that_it_started(client: Client, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 300 & setsid sleep 300 & echo $$ $! >> {pids}; echo ready >> {pids}; wait"
    run = client.create_run(pipelines.chain(2, "sh", "-c", script))
    until(lambda: pids.exists() and "ready" in pids.read_text(), "the step's start")
    client.runs.cancel(run)
    ended = client.wait(run, RUN_S)
    assert ended.state == Run.STATE_CANCELLED
    for pid in pids.read_text().split()[:2]:
        assert not alive(int(pid))
    assert set(states(client, run).values()) == {"CANCELLED"}
    assert check(events_of(client, run)) == []


def test_a_retry_runs_only_what_failed(client: Client, tmp_path: Path) -> None:
    journal, door = tmp_path / "journal", tmp_path / "door"
    script = f"echo $0 >> {journal}; test $0 != s1 || test -e {door}"
    spec = pipelines.chain(3, "sh", "-c", script)
    spec["deploymentSpec"]["executors"]["exec-step"]["container"]["args"] = ["{{$.pipeline_task_name}}"]
    run = client.wait(client.create_run(spec), RUN_S)
    assert (run.state, run.failed_task.rpartition("/")[2]) == (Run.STATE_FAILED, "s1")
    door.touch()
    assert client.wait(client.runs.retry(run), RUN_S).state == Run.STATE_SUCCEEDED
    assert journal.read_text().split() == ["s0", "s1", "s1", "s2"]


def test_a_deadline_ends_the_run(client: Client) -> None:
    run = client.wait(client.create_run(pipelines.chain(1, "sleep", "300"), deadline=1.0), RUN_S)
    assert (run.state, run.reason) == (Run.STATE_FAILED, "DEADLINE_EXCEEDED")
    assert "1 s" in run.message


def test_a_step_is_tried_again_after_its_back_off_and_knows_how_often(client: Client, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    script = f'echo "$KFP_RETRY_INDEX $(date +%s.%N)" >> {journal}; test "$KFP_RETRY_INDEX" = 2'
    spec = pipelines.chain(1, "sh", "-c", script)
    policy = {"maxRetryCount": 3, "backoffDuration": "0.5s", "backoffFactor": 2.0}
    spec["root"]["dag"]["tasks"]["s0"]["retryPolicy"] = policy
    run = client.wait(client.create_run(spec), RUN_S)
    assert run.state == Run.STATE_SUCCEEDED
    lines = [line.split() for line in journal.read_text().splitlines()]
    assert [line[0] for line in lines] == ["0", "1", "2"]
    times = [float(line[1]) for line in lines]
    assert times[1] - times[0] >= 0.5
    assert times[2] - times[1] >= 1.0


def test_a_task_that_did_the_same_before_is_not_run_again(client: Client, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    spec = pipelines.chain(1, "sh", "-c", f"echo once >> {journal}")
    spec["root"]["dag"]["tasks"]["s0"]["cachingOptions"] = {"enableCache": True}
    first = client.wait(client.create_run(spec), RUN_S)
    second = client.wait(client.create_run(spec), RUN_S)
    task = client.runs.task(second, "s0")
    assert (task.reason, task.cached_from) == ("CACHED", f"{first.name}/tasks/s0")
    assert task.message == f"cached from run {first.name.rpartition('/')[2]} task s0"
    client.wait(client.create_run(spec, cache_policy="DISABLED"), RUN_S)
    assert journal.read_text().split() == ["once", "once"]


def test_a_result_whose_artifact_is_gone_is_made_again(client: Client) -> None:
    spec = pipelines.chain(1, "sh", "-c", 'date +%N > "$0"', "{{$.outputs.artifacts['made'].path}}")
    spec["root"]["dag"]["tasks"]["s0"]["cachingOptions"] = {"enableCache": True}
    made = {"artifactType": {"schemaTitle": "system.Artifact", "schemaVersion": "0.0.1"}}
    spec["components"]["comp-step"]["outputDefinitions"] = {"artifacts": {"made": made}}
    first = client.wait(client.create_run(spec), RUN_S)
    uri = client.runs.task(first, "s0").outputs.artifacts["made"].artifacts[0].uri
    Path(uri.removeprefix("file://")).unlink()
    second = client.wait(client.create_run(spec), RUN_S)
    assert client.runs.task(second, "s0").reason == "COMPLETED"
    assert client.runs.task(client.wait(client.create_run(spec), RUN_S), "s0").reason == "CACHED"


def test_a_result_older_than_the_step_allows_is_made_again(client: Client) -> None:
    spec = pipelines.chain(1, "sh", "-c", "echo made")
    spec["root"]["dag"]["tasks"]["s0"]["cachingOptions"] = {"enableCache": True}
    limits = {"deploymentSpec": {"executors": {"exec-step": {"cacheMaxAgeSeconds": 0.000001}}}}
    text = f"{json.dumps(spec)}\n---\n{json.dumps({'platforms': {'penstock': limits}})}"
    for _ in range(2):
        run = client.wait(client.create_run(text), RUN_S)
        assert client.runs.task(run, "s0").reason == "COMPLETED"


def test_a_step_that_takes_longer_than_its_platform_settings_allow_is_stopped(client: Client) -> None:
    limits = {"deploymentSpec": {"executors": {"exec-step": {"activeDeadlineSeconds": "1"}}}}
    spec = pipelines.chain(1, "sleep", "60")
    text = f"{json.dumps(spec)}\n---\n{json.dumps({'platforms': {'kubernetes': limits}})}"
    run = client.wait(client.create_run(text), RUN_S)
    assert client.runs.task(run, "s0").reason == "TIMED_OUT"


def test_steps_share_the_workspace_of_their_run_until_it_is_deleted(server: Server, client: Client) -> None:
    spec = pipelines.chain(2, "sh", "-c", "echo here >> /kfp-workspace/notes; cat /kfp-workspace/notes")
    config = {"pipelineConfig": {"workspace": {"size": "1Gi"}}}
    text = f"{json.dumps(spec)}\n---\n{json.dumps({'platforms': {'kubernetes': config}})}"
    run = client.wait(client.create_run(text), RUN_S)
    assert b"".join(chunk.content for chunk in client.logs(run, "s1")) == b"here\nhere\n"
    assert list(server.data_dir.rglob(f"workspaces/{run.uid}/notes"))
    client.runs.delete(run)
    until(lambda: not is_below(server.data_dir, run.uid), "the removal of workspace and logs")


def is_below(folder: Path, name: str) -> bool:
    """Whether there is a folder of that name; others may go while it is looked for."""
    return any(name in names for _, names, _ in os.walk(folder))


def test_a_run_under_way_is_deleted_with_force_and_its_step_ends(client: Client, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    run = client.create_run(pipelines.chain(1, "sh", "-c", f"echo $$ > {pid}; exec sleep 300"))
    until(lambda: pid.exists() and pid.read_text().strip() != "", "the step's start")
    client.runs.delete(run, force=True)
    until(lambda: not alive(int(pid.read_text())), "the step's end")

    def gone() -> bool:
        try:
            client.runs.get(run)
        except NotFoundError:
            return True
        return False

    until(gone, "the deletion")


def test_a_step_sees_nothing_of_the_servers_environment(client: Client, tmp_path: Path) -> None:
    seen = tmp_path / "environment"
    script = f"env > {seen}; ls -l /proc/self/fd >> {seen}"
    client.wait(client.create_run(pipelines.chain(1, "sh", "-c", script)), RUN_S)
    text = seen.read_text()
    ours = {line.partition("=")[0] for line in text.splitlines() if line.startswith("PENSTOCK")}
    assert ours == {"PENSTOCK_ATTEMPT"}
    assert "postgres" not in text.lower()
    assert "socket:" not in text


def test_a_log_is_followed_while_it_is_written(client: Client, tmp_path: Path) -> None:
    door = tmp_path / "door"
    script = f"echo first; until test -e {door}; do sleep 0.05; done; echo last"
    run = client.create_run(pipelines.chain(1, "sh", "-c", script))
    until(lambda: states(client, run).get("s0") == "RUNNING", "the step's start")
    seen = b""
    for piece in client.logs(run, "s0", follow=True):
        seen += piece.content
        if seen == b"first\n":
            door.touch()
    assert seen == b"first\nlast\n"


def test_what_is_not_run_is_refused_and_leaves_nothing(client: Client) -> None:
    spec = pipelines.chain(1, "true")
    spec["deploymentSpec"]["executors"]["exec-step"]["container"]["image"] = "argostub/createpvc"
    before = len(list(client.runs.list()))
    with pytest.raises(UnimplementedError, match=r"exec-step\.container\.image"):
        client.create_run(spec)
    assert len(list(client.runs.list())) == before


def with_exit_task(body: str, cleanup: str) -> dict[str, Any]:
    """A step in a scope of its own, and an exit task after it."""
    spec = pipelines.pipeline(
        {
            "exit-handler-1": pipelines.task("comp-scope"),
            "clean": pipelines.task("comp-clean", ["exit-handler-1"])
            | {
                "triggerPolicy": {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"},
                "inputs": {"parameters": {"status": {"taskFinalStatus": {"producerTask": "exit-handler-1"}}}},
            },
        },
        {
            "comp-scope": {"dag": {"tasks": {"work": pipelines.task("comp-work")}}},
            "comp-work": {"executorLabel": "exec-work"},
            "comp-clean": {
                "executorLabel": "exec-clean",
                "inputDefinitions": {"parameters": {"status": {"parameterType": "TASK_FINAL_STATUS"}}},
            },
        },
        {"exec-work": pipelines.container("sh", "-c", body), "exec-clean": pipelines.container("sh", "-c", cleanup)},
    )
    spec["deploymentSpec"]["executors"]["exec-clean"]["container"]["args"] = ["{{$.inputs.parameters['status']}}"]
    return spec


def test_an_exit_task_of_a_cancelled_run_runs_once_though_the_server_is_killed(
    server: Server, client: Client, tmp_path: Path
) -> None:
    begun, told = tmp_path / "begun", tmp_path / "told"
    run = client.create_run(with_exit_task(f"touch {begun}; exec sleep 300", f'sleep 1; echo "$0" >> {told}'))
    until(begun.exists, "the step's start")
    client.runs.cancel(run)
    until(lambda: states(client, run).get("clean") == "RUNNING", "the exit task's start")
    server.kill()
    server.start()
    ended = client.wait(run, RUN_S)
    assert ended.state == Run.STATE_CANCELLED
    assert states(client, run) | {"root": ""} == {
        "root": "",
        "exit-handler-1": "CANCELLED",
        "exit-handler-1.work": "CANCELLED",
        "clean": "SUCCEEDED",
    }
    (status,) = told.read_text().splitlines()
    assert json.loads(status)["state"] == "CANCELLED"
    assert check(events_of(client, run)) == []


def test_a_paused_run_starts_nothing_until_it_goes_on(client: Client, tmp_path: Path) -> None:
    journal, door = tmp_path / "journal", tmp_path / "door"
    run = client.create_run(pipelines.chain(2, "sh", "-c", f"echo x >> {journal}; until test -e {door}; do :; done"))
    until(journal.exists, "the first step's start")
    assert client.runs.pause(run).HasField("pause_time")
    until(lambda: any(event.reason == "RUN_PAUSED" for event in events_of(client, run)), "the pause")
    door.touch()
    until(lambda: client.runs.task(run, "s1").reason == "RUN_PAUSED", "the wait of the second step")
    assert not client.runs.resume(run).HasField("pause_time")
    assert client.wait(run, RUN_S).state == Run.STATE_SUCCEEDED
    assert journal.read_text() == "x\nx\n"


def test_a_run_again_runs_only_what_a_changed_parameter_reaches(client: Client, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    spec = pipelines.chain(2, "sh", "-c", f"echo $0 >> {journal}", "{{$.inputs.parameters['x']}}")
    spec["components"]["comp-step"]["inputDefinitions"] = {"parameters": {"x": {"parameterType": "STRING"}}}
    spec["root"]["inputDefinitions"] = {"parameters": {name: {"parameterType": "STRING"} for name in "ab"}}
    for step, name in (("s0", "a"), ("s1", "b")):
        spec["root"]["dag"]["tasks"][step]["inputs"] = {"parameters": {"x": {"componentInputParameter": name}}}
    old = client.wait(client.create_run(spec, {"a": "one", "b": "two"}), RUN_S)
    told = client.runs.forecast_rerun(old, {"b": "three"})
    assert ([each.task_id for each in told.reused], list(told.will_run)) == (["s0"], ["s1"])
    new = client.wait(client.runs.rerun(old, {"b": "three"}), RUN_S)
    assert (new.state, new.rerun_of) == (Run.STATE_SUCCEEDED, old.name)
    reused = client.runs.task(new, "s0")
    assert (reused.reason, reused.cached_from) == ("REUSED", f"{old.name}/tasks/s0")
    assert journal.read_text().split() == ["one", "two", "three"]


def test_a_cancel_may_spare_exit_tasks_or_not(client: Client, tmp_path: Path) -> None:
    for spares in (True, False):
        journal = tmp_path / f"journal-{spares}"
        script = f"echo $0 >> {journal}; test $0 = s1 || sleep 300"
        spec = pipelines.chain(2, "sh", "-c", script, "{{$.pipeline_task_name}}")
        spec["root"]["dag"]["tasks"]["s1"]["triggerPolicy"] = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
        run = client.create_run(spec)
        until(journal.exists, "the step's start")
        client.runs.cancel(run, cancel_exit_tasks=not spares)
        assert client.wait(run, RUN_S).state == Run.STATE_CANCELLED
        assert journal.read_text().split() == (["s0", "s1"] if spares else ["s0"])


def test_an_attempt_tells_whose_fault_it_was(client: Client) -> None:
    run = client.wait(client.create_run(pipelines.chain(1, "sleep", "300"), task_timeout=0.5), RUN_S)
    (attempt,) = client.runs.task(run, "s0").attempts
    assert (run.state, attempt.failure_class) == (Run.STATE_FAILED, Attempt.FAILURE_CLASS_TIMEOUT)
