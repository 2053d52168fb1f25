"""Whatever is killed or stopped around a forked step: it runs once, and its end is told as that of any other step."""

import os
import signal
import threading
from pathlib import Path

import pytest

from penstock_server.launch import strays, warm
from penstock_server.launch.base import Phase, StepRequest
from tests.launch.components import NOTE_KIND, NOTE_PYTHON, kfp_step, kind_of, python_of, warm_up
from tests.launch.test_crash import Host, host, runs
from tests.launch.test_process import processes_of, shim_of, start_and_stop
from tests.launch.world import attempt_id, running, until

SLEEP_ON_TERM = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True)"
SLEEP_ON_TERM += "\nwhile True: time.sleep(0.1)"


def journaled(root: Path, body: str = "") -> StepRequest:
    """A component that notes each of its runs in the file `ran`, and its kind."""
    attempt = attempt_id()
    note = f"with open({str(root / 'ran')!r}, 'a') as ran: ran.write('{attempt}\\n')"
    return kfp_step(f"{NOTE_KIND}\n{note}\n{body}", attempt=attempt)


def gated(root: Path, then: str) -> tuple[StepRequest, Path]:
    """A component that goes on to `then` when the file is there."""
    gate = root / "gate"
    return journaled(root, f"import time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)\n{then}"), gate


async def spare_of(python: int) -> int:
    """The process id of the shim that waits for its step, while no other step of the warm Python runs."""
    found: list[str] = []

    def look() -> bool:
        found[:] = Path(f"/proc/{python}/task/{python}/children").read_text().split()
        return len(found) == 1 and os.getsid(int(found[0])) == int(found[0])

    await until(look)
    return int(found[0])


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes()


async def test_a_step_survives_the_warm_python_that_forked_it(kfp_root: Path) -> None:
    request, gate = gated(kfp_root, "sys.exit(5)")
    async with running(kfp_root) as launched:
        python = await warm_up(kfp_root, launched)
        await launched.launcher.launch(request)
        await launched.start_of(request)
        os.kill(python, signal.SIGKILL)
        await until(lambda: is_gone(python))
        gate.touch()
        assert (await launched.end_of(request)).exit_code == 5
        assert kind_of(kfp_root, request) == "warm"
        assert await warm_up(kfp_root, launched) != python
    assert len(runs(kfp_root)) == 1


@pytest.mark.parametrize("victim", ["warm Python", "spare", "both"])
async def test_steps_run_once_when_the_spare_or_its_warm_python_ends_before_it_hears_of_them(
    kfp_root: Path, victim: str
) -> None:
    async with running(kfp_root) as launched:
        python = await warm_up(kfp_root, launched)
        spare = await spare_of(python)
        os.kill(spare, signal.SIGSTOP)  # so that it does not hear of the first, and the others wait for the next spare
        requests = [journaled(kfp_root) for _ in range(3)]
        for request in requests:
            await launched.launcher.launch(request)
        for pid in {"warm Python": [python], "spare": [spare], "both": [python, spare]}[victim]:
            os.kill(pid, signal.SIGKILL)
        strays.signal_process(spare, signal.SIGCONT)
        for request in requests:
            assert (await launched.end_of(request)).phase is Phase.SUCCEEDED
    assert sorted(runs(kfp_root)) == sorted(str(request.attempt) for request in requests)


async def test_a_warm_python_that_lets_steps_wait_is_ended(kfp_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "SPARE_S", 0.1)
    async with running(kfp_root) as launched:
        python = await warm_up(kfp_root, launched)
        await spare_of(python)
        os.kill(python, signal.SIGSTOP)
        requests = [journaled(kfp_root) for _ in range(2)]
        for request in requests:
            await launched.launcher.launch(request)
        for request in requests:
            assert (await launched.end_of(request)).phase is Phase.SUCCEEDED
        assert [kind_of(kfp_root, request) for request in requests] == ["warm", "cold"]
        assert is_gone(python)


async def test_what_is_stopped_before_the_spare_hears_of_it_is_stopped(kfp_root: Path) -> None:
    async with running(kfp_root) as launched:
        spare = await spare_of(await warm_up(kfp_root, launched))
        os.kill(spare, signal.SIGSTOP)
        request, _ = gated(kfp_root, "")
        await launched.launcher.launch(request)
        await launched.launcher.stop(request.attempt)
        assert (await launched.end_of(request)).phase is Phase.STOPPED
        assert processes_of(request) == []


async def test_what_is_stopped_while_it_waits_for_a_spare_never_starts(kfp_root: Path) -> None:
    async with running(kfp_root) as launched:
        python = await warm_up(kfp_root, launched)
        await spare_of(python)
        os.kill(python, signal.SIGSTOP)
        first, second = journaled(kfp_root), journaled(kfp_root)
        await launched.launcher.launch(first)
        await launched.launcher.launch(second)
        await launched.launcher.stop(second.attempt)
        assert (await launched.end_of(second)).phase is Phase.STOPPED
        os.kill(python, signal.SIGCONT)
        third = journaled(kfp_root)
        assert (await launched.run(third)).phase is Phase.SUCCEEDED
        assert kind_of(kfp_root, third) == "warm"
        await launched.end_of(first)
    assert sorted(runs(kfp_root)) == sorted([str(first.attempt), str(third.attempt)])


async def test_a_server_that_closes_before_the_spare_hears_of_it_leaves_the_step_to_the_next(kfp_root: Path) -> None:
    handed, waiting = journaled(kfp_root), journaled(kfp_root)
    async with running(kfp_root) as first:
        python = await warm_up(kfp_root, first)
        spare = await spare_of(python)
        os.kill(spare, signal.SIGSTOP)
        await first.launcher.launch(handed)
        await first.launcher.launch(waiting)
    assert is_gone(python)
    async with running(kfp_root) as second:
        await second.launcher.adopt([handed, waiting])
        os.kill(spare, signal.SIGCONT)
        assert (await second.end_of(handed)).phase is Phase.SUCCEEDED
        assert (await second.end_of(waiting)).phase is Phase.SUCCEEDED
    assert sorted(runs(kfp_root)) == sorted([str(handed.attempt), str(waiting.attempt)])


async def test_a_killed_shim_means_lost_and_leaves_nothing(kfp_root: Path) -> None:
    async with running(kfp_root) as launched:
        await warm_up(kfp_root, launched)
        request = kfp_step("import subprocess; subprocess.run('setsid sleep 1000 & sleep 1000', shell=True)")
        await launched.launcher.launch(request)
        await until(lambda: len(processes_of(request)) >= 5)
        os.kill(shim_of(kfp_root, request), signal.SIGKILL)
        end = await launched.end_of(request)
        assert (end.phase, end.reason) == (Phase.LOST, "PROCESS_GONE")
        assert processes_of(request) == []


async def test_a_fork_that_left_the_session_and_never_ran_another_program_ends_with_its_step(kfp_root: Path) -> None:
    body = """
        import time
        print('ready', flush=True)
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(1000)
            os._exit(0)
        os.wait()
        """
    async with running(kfp_root) as launched:
        await warm_up(kfp_root, launched)
        request = kfp_step(body)
        await launched.run(request)
        await until(lambda: len(processes_of(request)) == 1)
    assert processes_of(request) == []


async def test_a_component_that_does_not_obey_is_killed_after_the_grace(kfp_root: Path) -> None:
    async with running(kfp_root, grace_s=0.3) as launched:
        await warm_up(kfp_root, launched)
        request = kfp_step(SLEEP_ON_TERM)
        await start_and_stop(launched, request)
        assert (await launched.end_of(request)).phase is Phase.STOPPED
        assert processes_of(request) == []


async def test_a_component_may_end_itself_when_asked_to(kfp_root: Path) -> None:
    body = (
        "import signal, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit('saved')); print('ready', flush=True)"
    )
    async with running(kfp_root, grace_s=60) as launched:
        await warm_up(kfp_root, launched)
        request = kfp_step(f"{body}\ntime.sleep(1000)")
        await start_and_stop(launched, request)
        assert (await launched.end_of(request)).phase is Phase.STOPPED
        assert b"saved" in await launched.log_of(request)


async def test_a_timeout_fails_the_attempt(kfp_root: Path) -> None:
    async with running(kfp_root) as launched:
        await warm_up(kfp_root, launched)
        end = await launched.run(kfp_step("import time; time.sleep(1000)", timeout_s=0.2))
        assert (end.phase, end.reason) == (Phase.FAILED, "TIMED_OUT")


async def test_another_server_adopts_a_forked_step(kfp_root: Path) -> None:
    request, gate = gated(kfp_root, "print('late'); sys.exit(6)")
    async with running(kfp_root) as first:
        python = await warm_up(kfp_root, first)
        await first.launcher.launch(request)
        await first.start_of(request)
    assert is_gone(python)
    async with running(kfp_root) as second:
        await second.launcher.adopt([request])
        await second.start_of(request)
        gate.touch()
        assert (await second.end_of(request)).exit_code == 6
    assert kind_of(kfp_root, request) == "warm"
    assert len(runs(kfp_root)) == 1


async def test_two_servers_at_once_run_it_once_and_both_tell(kfp_root: Path) -> None:
    async with running(kfp_root) as one, running(kfp_root) as other:
        await warm_up(kfp_root, one)
        await warm_up(kfp_root, other)
        requests = [journaled(kfp_root) for _ in range(8)]
        for request in requests:
            await one.launcher.launch(request)
            await other.launcher.launch(request)
        for request in requests:
            assert (await one.end_of(request)).phase is Phase.SUCCEEDED
            assert (await other.end_of(request)).phase is Phase.SUCCEEDED
    assert sorted(runs(kfp_root)) == sorted(str(request.attempt) for request in requests)


async def warm_host(root: Path, server: Host) -> int:
    """Have the server launch components until one is forked; returns the process id of its warm Python."""
    while True:
        request = kfp_step(f"{NOTE_PYTHON}\n{NOTE_KIND}")
        server.launch(request)
        await until(lambda: bool(kind_of(root, request)))  # noqa: B023  # it is awaited here
        if kind_of(root, request) == "warm":
            return python_of(root, request)


@pytest.mark.parametrize("with_python", [False, True])
@pytest.mark.parametrize("delay_s", [0.0, 0.002, 0.005, 0.01, 0.02, 0.04])
async def test_a_server_killed_at_any_moment_of_launching_leaves_each_step_run_once(
    kfp_root: Path, delay_s: float, with_python: bool
) -> None:
    requests = [journaled(kfp_root) for _ in range(12)]
    with host(kfp_root) as server:
        python = await warm_host(kfp_root, server)

        def kill() -> None:
            if with_python:
                strays.signal_process(python, signal.SIGKILL)
            server.process.kill()

        timer = threading.Timer(delay_s, kill)
        timer.start()
        try:
            for request in requests:
                server.ask(request)
        except BrokenPipeError:
            pass  # it is killed already
        server.process.wait()
        timer.join()
    await until(lambda: is_gone(python))
    async with running(kfp_root) as next_one:
        await next_one.launcher.adopt(requests)
        for request in requests:
            assert (await next_one.end_of(request)).phase is Phase.SUCCEEDED
    assert sorted(runs(kfp_root)) == sorted(str(request.attempt) for request in requests)
