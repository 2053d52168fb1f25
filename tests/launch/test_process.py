"""What only real processes can show: groups, signals, environments, strays."""

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from penstock_server.launch import strays
from penstock_server.launch.base import Phase, StepRequest
from penstock_server.launch.journal import Journal
from penstock_server.launch.scratch import Folders
from penstock_server.model.json import Json, JsonObject
from penstock_server.model.states import FailureClass
from penstock_server.spec.graph import Container, Resources
from tests.launch.world import Watched, component, running, shell, step, until

SLEEP_ON_TERM = "trap '' TERM; echo ready; while :; do sleep 0.1; done"


def shim_of(root: Path, request: StepRequest) -> int:
    """The process id of the shim, once it has written it down."""
    journal = Journal.open_existing(Folders(root / "steps").of(request.attempt).journal)
    assert journal is not None
    try:
        pid = journal.read().pid
    finally:
        journal.close()
    assert pid is not None
    return pid


def processes_of(request: StepRequest) -> list[int]:
    return strays.find({str(request.attempt)})


async def start_and_stop(launched: Watched, request: StepRequest) -> None:
    """Launch it, wait until it says that it is ready, stop it."""
    await launched.launcher.launch(request)
    async for chunk in launched.launcher.logs(request.attempt, 0, follow=True):
        if b"ready" in chunk.content:
            break
    await launched.launcher.stop(request.attempt)


async def test_the_environment_has_nothing_of_the_server(tmp_path: Path) -> None:
    secrets = {
        "PENSTOCK_DATABASE_URL": "postgresql://secret",
        "API_TOKEN": "secret",
        "PIP_INDEX_URL": "secret",
    }
    async with running(tmp_path, **secrets) as launched:
        request = shell("env")
        await launched.run(request)
        log = (await launched.log_of(request)).decode()
        assert "secret" not in log
        assert "VIRTUAL_ENV" not in log
        assert f"PENSTOCK_ATTEMPT={request.attempt}" in log


async def test_variables_of_the_request_and_of_the_component_arrive(tmp_path: Path) -> None:
    of = component(["env"], env=[("MODE", "fast"), ("MODE", "faster"), ("my.name", "a=b c")])
    async with running(tmp_path) as launched:
        request = step(of=of, env={"MODE": "slow", "TRACEPARENT": "00-1-2-01"})
        await launched.run(request)
        lines = (await launched.log_of(request)).decode().splitlines()
        assert {"MODE=faster", "my.name=a=b c", "TRACEPARENT=00-1-2-01"} <= set(lines)


TALKATIVE = "print('line 0'); print('line 1'); raise ValueError('the real reason')"


async def test_what_a_python_prints_stands_before_its_exception(tmp_path: Path) -> None:
    async with running(tmp_path) as launched:
        request = step(sys.executable, "-c", TALKATIVE)
        end = await launched.run(request)
        assert end.message == "exit code 1: ValueError: the real reason"
        lines = (await launched.log_of(request)).decode().splitlines()
        assert (lines[:2], lines[-1]) == (["line 0", "line 1"], "ValueError: the real reason")


async def test_what_a_python_prints_is_read_while_it_runs(tmp_path: Path) -> None:
    async with running(tmp_path) as launched:
        request = step(sys.executable, "-c", "import signal; print('ready'); signal.pause()")
        await start_and_stop(launched, request)  # which waits for that


@pytest.mark.parametrize(
    ("own", "passed_on", "said"),
    [({}, {}, "1"), ({"PYTHONUNBUFFERED": ""}, {}, ""), ({}, {"PYTHONUNBUFFERED": ""}, ""), ({}, {"OTHER": "x"}, "1")],
    ids=["by default", "the component says otherwise", "the server's surroundings do", "others are passed on"],
)
async def test_pythons_write_at_once_unless_somebody_says_otherwise(
    tmp_path: Path, own: dict[str, str], passed_on: dict[str, str], said: str
) -> None:
    async with running(tmp_path, passed_on=tuple(passed_on), **passed_on) as launched:
        request = step(of=component(["sh", "-c", "echo $PYTHONUNBUFFERED"], env=list(own.items())))
        await launched.run(request)
        assert await launched.log_of(request) == f"{said}\n".encode()


async def test_a_step_has_a_session_a_folder_and_no_file_of_ours(tmp_path: Path) -> None:
    async with running(tmp_path) as launched:
        request = shell("ls /proc/self/fd | wc -l; pwd; ls -A; cat /proc/self/stat | cut -d' ' -f6; read x || echo eof")
        await launched.run(request)
        count, folder, session, eof = (await launched.log_of(request)).decode().split()
        assert int(count) <= 4  # standard input, output, error, and the folder that `ls` reads
        assert folder.startswith(str(tmp_path / "steps" / "live"))
        assert int(session) != os.getsid(0)
        assert eof == "eof"


async def test_names_of_shell_commands_mean_the_programs(tmp_path: Path) -> None:
    async with running(tmp_path) as launched:
        request = step("echo", r"a\tb", "$HOME", "*", "two  spaces", "")
        await launched.run(request)
        assert await launched.log_of(request) == b"a\\tb $HOME * two  spaces \n"


@pytest.mark.parametrize(
    ("request_of", "reason", "exit_code", "message"),
    [
        (lambda: step("no-such-program"), "EXIT_CODE", 127, "the program 'no-such-program' was not found"),
        (lambda: step("./no-such-file"), "EXIT_CODE", 127, "not found"),
        (lambda: shell("kill -SEGV $$"), "EXIT_CODE", 139, "exit code 139 (SIGSEGV)"),
        (lambda: shell("echo out of memory >&2; exit 4"), "EXIT_CODE", 4, "exit code 4: out of memory"),
        (lambda: step(), "COMMAND_INVALID", None, "neither a command nor arguments"),
        (lambda: step("echo", "x" * 200_000), "COMMAND_INVALID", None, "Argument list too long"),
        (lambda: step("echo", "a\0b"), "COMMAND_INVALID", None, "null byte"),
    ],
)
async def test_what_cannot_run_fails_with_a_clear_message(
    tmp_path: Path, request_of: Callable[[], StepRequest], reason: str, exit_code: int | None, message: str
) -> None:
    async with running(tmp_path) as launched:
        end = await launched.run(request_of())
        assert (end.phase, end.reason, end.exit_code) == (Phase.FAILED, reason, exit_code)
        assert message in end.message
        assert end.log_tail


async def test_what_could_not_start_is_told_again_and_not_tried_again(tmp_path: Path) -> None:
    request = step("no-such-program")
    async with running(tmp_path) as first:
        end = await first.run(request)
    async with running(tmp_path) as second:
        await second.launcher.adopt([request])
        assert await second.end_of(request) == end


async def test_an_ignored_image_is_noticed_once(tmp_path: Path) -> None:
    request = step(of=component(["sleep", "60"], image="python:3.11"))
    async with running(tmp_path) as first:
        await first.launcher.launch(request)
        (notice,) = (await first.start_of(request)).notices
        assert notice[0] == "SETTINGS_IGNORED"
        assert "python:3.11" in notice[1]
    async with running(tmp_path) as second:
        await second.launcher.adopt([request])
        assert (await second.start_of(request)).notices == ()
        await second.launcher.stop(request.attempt)
        await second.end_of(request)


async def test_settings_that_a_process_cannot_honour_are_named_in_one_notice(tmp_path: Path) -> None:
    whole = component()
    assert isinstance(whole.body, Container)
    settings: dict[str, JsonObject] = {"kubernetes": {"secretAsEnv": [], "nodeSelector": {}}}
    body = replace(whole.body, resources=Resources(cpu_limit="1"), platforms=settings)
    async with running(tmp_path) as launched:
        request = step(of=replace(whole, body=body))
        await launched.launcher.launch(request)
        ((reason, message),) = (await launched.start_of(request)).notices
        await launched.end_of(request)
    assert reason == "SETTINGS_IGNORED"
    assert "limits of CPU" in message
    assert "kubernetes (nodeSelector, secretAsEnv)" in message


async def test_children_left_behind_are_killed_with_the_end(tmp_path: Path) -> None:
    async with running(tmp_path) as launched:
        request = shell("sleep 1000 & sleep 1000 & exit 0")
        assert (await launched.run(request)).phase is Phase.SUCCEEDED
        await until(lambda: not processes_of(request))


async def test_children_that_left_the_session_are_found_after_the_end(tmp_path: Path) -> None:
    async with running(tmp_path) as launched:
        request = shell("setsid sh -c 'sleep 1000 & sleep 1000' & sleep 0.1; exit 0")
        await launched.run(request)
    assert processes_of(request) == []


async def test_stopping_reaches_children_and_children_that_left_the_session(tmp_path: Path) -> None:
    async with running(tmp_path) as launched:
        request = shell("sleep 1000 & setsid sleep 1000 & echo ready; wait")
        await launched.launcher.launch(request)
        await until(lambda: len(processes_of(request)) >= 4)
        await launched.launcher.stop(request.attempt)
        assert (await launched.end_of(request)).phase is Phase.STOPPED
        assert processes_of(request) == []


async def test_a_step_may_end_itself_when_asked_to(tmp_path: Path) -> None:
    async with running(tmp_path, grace_s=60) as launched:
        request = shell("trap 'echo saved; exit 0' TERM; echo ready; while :; do sleep 0.01; done")
        await start_and_stop(launched, request)
        assert (await launched.end_of(request)).phase is Phase.STOPPED
        assert b"saved" in await launched.log_of(request)


async def test_a_step_that_does_not_obey_is_killed_after_the_grace(tmp_path: Path) -> None:
    async with running(tmp_path, grace_s=0.3) as launched:
        request = shell(SLEEP_ON_TERM)
        await start_and_stop(launched, request)
        assert (await launched.end_of(request)).phase is Phase.STOPPED
        assert processes_of(request) == []


async def test_a_stop_goes_on_under_the_next_server(tmp_path: Path) -> None:
    request = shell(SLEEP_ON_TERM)
    async with running(tmp_path, grace_s=60) as first:
        await start_and_stop(first, request)
    async with running(tmp_path, grace_s=0.1) as second:
        await second.launcher.adopt([request])
        assert (await second.end_of(request)).phase is Phase.STOPPED


async def test_a_suspended_step_can_be_stopped(tmp_path: Path) -> None:
    async with running(tmp_path, grace_s=60) as launched:
        request = shell("kill -STOP $$")
        await launched.launcher.launch(request)
        await launched.start_of(request)
        await launched.launcher.stop(request.attempt)
        assert (await launched.end_of(request)).phase is Phase.STOPPED


async def test_a_timeout_fails_the_attempt(tmp_path: Path) -> None:
    async with running(tmp_path) as launched:
        end = await launched.run(shell("sleep 1000", timeout_s=0.2))
        assert (end.phase, end.reason) == (Phase.FAILED, "TIMED_OUT")


async def test_a_timeout_counts_from_the_start_under_the_next_server_too(tmp_path: Path) -> None:
    request = shell("sleep 1000", timeout_s=0.5)
    async with running(tmp_path) as first:
        await first.launcher.launch(request)
        began = time.monotonic()
    async with running(tmp_path) as second:
        await second.launcher.adopt([request])
        assert (await second.end_of(request)).reason == "TIMED_OUT"
        assert time.monotonic() - began < 3


async def test_a_killed_shim_means_lost_and_leaves_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as launched:
        request = shell("setsid sleep 1000 & sleep 1000 & echo ready; sleep 1000")
        await launched.launcher.launch(request)
        await until(lambda: len(processes_of(request)) >= 5)
        os.kill(shim_of(tmp_path, request), signal.SIGKILL)
        end = await launched.end_of(request)
        assert (end.phase, end.reason) == (Phase.LOST, "PROCESS_GONE")
        assert processes_of(request) == []


async def test_a_shim_killed_while_no_server_looked_means_lost(tmp_path: Path) -> None:
    request = shell("echo ready; sleep 1000")
    async with running(tmp_path) as first:
        await first.launcher.launch(request)
        await until(lambda: len(processes_of(request)) >= 2)
    os.kill(shim_of(tmp_path, request), signal.SIGKILL)
    async with running(tmp_path) as second:
        await second.launcher.adopt([request])
        assert (await second.end_of(request)).reason == "PROCESS_GONE"
        assert processes_of(request) == []


async def test_forgetting_removes_all_but_the_log(tmp_path: Path) -> None:
    async with running(tmp_path) as launched:
        request = shell("echo done; touch scratch $TMPDIR/more")
        await launched.run(request)
        await launched.launcher.forget([request.attempt])
    assert [path.name for path in (tmp_path / "steps").rglob("*") if path.is_file()] == ["train.1.log"]


async def test_files_of_a_killed_server_are_removed_by_the_next(tmp_path: Path) -> None:
    left = tmp_path / "steps" / "trash" / "left"
    left.mkdir(parents=True)
    (left / "file").touch()
    async with running(tmp_path):
        await until(lambda: not left.exists())


async def test_nobody_runs_what_a_step_installs_for_itself_into_the_machine(tmp_path: Path) -> None:
    async with running(tmp_path) as launched:
        request = shell('echo "x = 7" > "$PIP_TARGET/mine.py"; python3 -c "import mine; print(mine.x)"')
        await launched.run(request)
        assert await launched.log_of(request) == b"7\n"


async def test_a_system_without_process_descriptors_is_served_by_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    request = shell("sleep 1000")
    async with running(tmp_path) as first:
        assert (await first.run(shell("exit 3"))).exit_code == 3
        await first.launcher.launch(request)
    async with running(tmp_path) as second:
        await second.launcher.adopt([request])
        await second.launcher.stop(request.attempt)
        assert (await second.end_of(request)).phase is Phase.STOPPED


async def test_a_step_killed_for_want_of_memory_says_so(tmp_path: Path) -> None:
    vmstat = tmp_path / "vmstat"
    vmstat.write_text("nr_free_pages 1\noom_kill 4\n")
    async with running(tmp_path, vmstat=vmstat) as launched:
        end = await launched.run(shell(f"echo oom_kill 5 > {vmstat}; kill -9 $$"))
    assert (end.reason, end.exit_code, end.failure_class) == ("OUT_OF_MEMORY", 137, FailureClass.OUT_OF_MEMORY)


async def test_a_step_killed_by_anybody_else_fails_by_itself(tmp_path: Path) -> None:
    async with running(tmp_path) as launched:
        end = await launched.run(shell("kill -9 $$"))
    assert (end.reason, end.failure_class) == ("EXIT_CODE", FailureClass.STEP)


async def test_fields_of_the_pod_are_told_as_far_as_there_is_something_like_them(tmp_path: Path) -> None:
    whole = component(["sh", "-c", "echo $RUN/$WHERE/$OWN/${NOTHING-unset}"])
    assert isinstance(whole.body, Container)
    fields: list[Json] = [
        {"name": "RUN", "fieldPath": "metadata.annotations['pipelines.kubeflow.org/run_name']"},
        {"name": "WHERE", "fieldPath": "metadata.namespace"},
        {"name": "OWN", "fieldPath": "metadata.labels['tier']"},
        {"name": "NOTHING", "fieldPath": "status.unheardOf"},
    ]
    settings: JsonObject = {"fieldPathAsEnv": fields, "podMetadata": {"labels": {"tier": "gold"}}}
    body = replace(whole.body, platforms={"kubernetes": settings})
    async with running(tmp_path) as launched:
        request = step(of=replace(whole, body=body))
        await launched.run(request)
        assert await launched.log_of(request) == b"a run/default/gold/unset\n"
