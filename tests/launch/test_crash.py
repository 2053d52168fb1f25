"""Servers that are killed at an awkward moment, and those that come after or run beside them."""

import base64
import pickle
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from penstock_server.launch.base import Phase, StepRequest
from penstock_server.launch.scratch import Folders
from tests.launch.packages import counting_uv, python_step, slow_uv
from tests.launch.world import attempt_id, running, shell, until

REPOSITORY = Path(__file__).parents[2]


class Host:
    """A server process on the folder `root`."""

    def __init__(self, root: Path, uv: Path | None = None) -> None:
        command = [sys.executable, "-m", "tests.launch.crash_host", str(root), *([str(uv)] if uv else [])]
        self.process = subprocess.Popen(
            command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )

    def ask(self, request: StepRequest) -> None:
        """Have it launch `request`."""
        assert self.process.stdin is not None
        self.process.stdin.write(base64.b64encode(pickle.dumps(request)) + b"\n")

    def launch(self, request: StepRequest) -> None:
        """Have it launch `request` and wait until it has."""
        assert self.process.stdout is not None
        self.ask(request)
        assert self.process.stdout.readline() == b"launched\n"

    def kill(self) -> None:
        """End it as kill -9 does."""
        with self.process as process:
            process.kill()


@contextmanager
def host(root: Path, uv: Path | None = None) -> Iterator[Host]:
    """A server process that is gone at the end."""
    server = Host(root, uv)
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
def bystander() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that has nothing to do with it."""
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as process:
        yield process
        process.kill()


def journaled(root: Path, script: str) -> StepRequest:
    """A step that notes each of its runs in the file `ran`."""
    attempt = attempt_id()
    return shell(f"echo {attempt} >> {shlex.quote(str(root / 'ran'))}; {script}", attempt=attempt)


def runs(root: Path) -> list[str]:
    return (root / "ran").read_text().split() if (root / "ran").exists() else []


async def test_a_step_survives_its_server_and_its_status_is_learnt_while_it_runs(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    request = journaled(tmp_path, f"until [ -e {gate} ]; do sleep 0.01; done; echo late; exit 5")
    with host(tmp_path) as server:
        server.launch(request)
        server.kill()
    async with running(tmp_path) as next_one:
        await next_one.launcher.adopt([request])
        await next_one.start_of(request)
        gate.touch()
        end = await next_one.end_of(request)
        assert (end.phase, end.exit_code, end.log_tail) == (Phase.FAILED, 5, "late")
    assert len(runs(tmp_path)) == 1


async def test_the_status_of_a_step_that_ended_without_a_server_is_learnt_afterwards(tmp_path: Path) -> None:
    gate, done = tmp_path / "gate", tmp_path / "done"
    request = journaled(tmp_path, f"until [ -e {gate} ]; do sleep 0.01; done; touch {done}; exit 6")
    with host(tmp_path) as server:
        server.launch(request)
        server.kill()
    gate.touch()
    await until(done.exists)
    async with running(tmp_path) as next_one:
        await next_one.launcher.adopt([request])
        assert (await next_one.end_of(request)).exit_code == 6
    assert len(runs(tmp_path)) == 1


@pytest.mark.parametrize("delay_s", [0.0, 0.002, 0.005, 0.01, 0.02])
async def test_killed_at_any_moment_of_launching_a_step_runs_once(tmp_path: Path, delay_s: float) -> None:
    requests = [journaled(tmp_path, "exit 0") for _ in range(20)]
    with host(tmp_path) as server:
        server.launch(requests[0])
        timer = threading.Timer(delay_s, server.process.kill)
        timer.start()
        try:
            for request in requests[1:]:
                server.ask(request)
        except BrokenPipeError:
            pass  # it is killed already
        server.process.wait()
        timer.join()
    async with running(tmp_path) as next_one:
        await next_one.launcher.adopt(requests)
        for request in requests:
            assert (await next_one.end_of(request)).phase is Phase.SUCCEEDED
    assert sorted(runs(tmp_path)) == sorted(str(request.attempt) for request in requests)


async def test_servers_that_launch_the_same_attempts_at_once_run_each_once(tmp_path: Path) -> None:
    requests = [journaled(tmp_path, "sleep 0.05") for _ in range(10)]
    with host(tmp_path) as one, host(tmp_path) as other:
        for request in requests:
            one.ask(request)
            other.ask(request)
        async with running(tmp_path) as third:
            await third.launcher.adopt(requests)
            for request in requests:
                assert (await third.end_of(request)).phase is Phase.SUCCEEDED
    assert sorted(runs(tmp_path)) == sorted(str(request.attempt) for request in requests)


async def test_a_server_killed_while_it_prepares_leaves_the_attempt_to_the_next(tmp_path: Path) -> None:
    uv = slow_uv(tmp_path)
    request = python_step("import tiny; print(tiny.VALUE)", tmp_path)
    with host(tmp_path, uv) as server:
        server.launch(request)
        await until((tmp_path / "uv-started").exists)
        server.kill()
    (tmp_path / "uv-gate").touch()
    async with running(tmp_path, uv=counting_uv(tmp_path)) as next_one:
        await next_one.launcher.adopt([request])
        assert (await next_one.end_of(request)).phase is Phase.SUCCEEDED
        assert (await next_one.log_of(request)).endswith(b"42\n")


async def test_a_second_server_waits_while_the_first_prepares(tmp_path: Path) -> None:
    request = python_step("print('ran')", tmp_path)
    with host(tmp_path, slow_uv(tmp_path)) as server:
        server.launch(request)
        await until((tmp_path / "uv-started").exists)
        async with running(tmp_path) as second:
            await second.launcher.adopt([request])
            (tmp_path / "uv-gate").touch()
            assert (await second.end_of(request)).phase is Phase.SUCCEEDED
            assert (await second.log_of(request)).count(b"ran") == 1


def write_journal(root: Path, request: StepRequest, content: bytes) -> None:
    """Leave a journal of `request` behind, as a server does that was killed."""
    folders = Folders(root / "steps")
    folders.prepare()
    folder = folders.of(request.attempt)
    folder.make()
    Path(folder.journal).write_bytes(content)


async def test_a_journal_torn_by_a_crash_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    request = journaled(tmp_path, "exit 0")
    write_journal(tmp_path, request, b'launch {"uptime_s": 1}\n\0\0garbage\npid 12')
    async with running(tmp_path) as launched:
        await launched.launcher.adopt([request])
        assert (await launched.end_of(request)).phase is Phase.SUCCEEDED
    assert len(runs(tmp_path)) == 1


async def test_a_process_id_that_means_another_process_means_lost_and_leaves_that_one_alone(
    tmp_path: Path, bystander: "subprocess.Popen[bytes]"
) -> None:
    request = journaled(tmp_path, "exit 0")
    write_journal(tmp_path, request, b'launch {"uptime_s": 1}\npid %d\n' % bystander.pid)
    async with running(tmp_path) as launched:
        await launched.launcher.adopt([request])
        await launched.launcher.stop(request.attempt)
        assert (await launched.end_of(request)).phase is Phase.LOST
    assert bystander.poll() is None
    assert runs(tmp_path) == []
