"""How many warm Pythons there are, and when they go."""

import asyncio
import os
import selectors
import shutil
import signal
from pathlib import Path

import pytest

from penstock_server.launch.warm import Spare, WarmPython, WarmPythons, WarmSettings
from penstock_server.launch.warm_request import WarmRequest
from tests.launch.components import NOTE_KIND, kfp_step, kind_of, warm_up
from tests.launch.test_warm_crash import is_gone
from tests.launch.world import WAIT_S, running, until

BASE = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
def python_envs(kfp_environments: Path, tmp_path: Path) -> list[Path]:
    """Three environments with kfp."""
    (built,) = (path for path in kfp_environments.iterdir() if path.is_dir())
    return [Path(shutil.copytree(built, tmp_path / name, symlinks=True)) for name in ("one", "two", "three")]


async def ready(pythons: WarmPythons, python_env: Path) -> WarmPython:
    """The warm Python of an environment, once it is ready."""
    await until(lambda: pythons.find(python_env) is not None)
    found = pythons.find(python_env)
    assert found is not None
    return found


async def test_the_first_to_ask_does_not_wait(python_envs: list[Path]) -> None:
    pythons = WarmPythons(BASE, WarmSettings())
    assert pythons.find(python_envs[0]) is None
    assert (await ready(pythons, python_envs[0])).is_ready
    pythons.close()
    pythons.close()


async def test_the_one_asked_least_recently_makes_room(python_envs: list[Path]) -> None:
    one, two, three = python_envs
    pythons = WarmPythons(BASE, WarmSettings(pythons_max=2, settled_s=0))
    first, second = await ready(pythons, one), await ready(pythons, two)
    assert pythons.find(one) is first
    third = await ready(pythons, three)
    assert second.has_ended
    assert pythons.find(one) is first
    pythons.close()
    assert first.has_ended
    assert third.has_ended


async def test_one_that_was_asked_a_moment_ago_does_not_make_room(python_envs: list[Path]) -> None:
    pythons = WarmPythons(BASE, WarmSettings(pythons_max=1, settled_s=1000))
    first = await ready(pythons, python_envs[0])
    assert pythons.find(python_envs[1]) is None
    assert pythons.find(python_envs[0]) is first
    pythons.close()


async def test_one_that_is_idle_for_long_ends(python_envs: list[Path]) -> None:
    pythons = WarmPythons(BASE, WarmSettings(idle_s=0.1))
    assert pythons.find(python_envs[0]) is None
    await until(lambda: not pythons.pids)
    pythons.close()


async def test_one_whose_environment_was_built_anew_is_not_used(python_envs: list[Path]) -> None:
    pythons = WarmPythons(BASE, WarmSettings())
    first = await ready(pythons, python_envs[0])
    (python_envs[0] / ".ready").unlink()
    (python_envs[0] / ".ready").write_text("again")
    assert pythons.find(python_envs[0]) is None
    assert first.has_ended
    assert await ready(pythons, python_envs[0]) is not first
    pythons.close()


async def test_one_that_cannot_load_is_not_tried_with_each_step(python_envs: list[Path]) -> None:
    (packages,) = python_envs[0].glob("lib/python*/site-packages")
    shutil.rmtree(packages / "kfp")
    pythons = WarmPythons(BASE, WarmSettings())
    assert pythons.find(python_envs[0]) is None
    tried = pythons.pids
    await until(lambda: all(map(is_gone, tried)))
    await asyncio.sleep(0)  # the news of its end comes to the loop
    assert pythons.find(python_envs[0]) is None
    assert pythons.pids == tried
    pythons.close()


async def test_a_spare_that_has_just_been_killed_is_not_taken_to_have_started_anything(
    python_envs: list[Path], tmp_path: Path
) -> None:
    pythons = WarmPythons(BASE, WarmSettings())
    python = await ready(pythons, python_envs[0])
    started: list[bool] = []

    def use(spare: Spare | None) -> bool:
        assert spare is not None
        for pid in (python.process.pid, spare.pid):
            os.kill(pid, signal.SIGKILL)
            wait_until_gone(pid)  # while the loop has no time to hear of it
        journal = os.open(tmp_path / "journal", os.O_RDWR | os.O_CREAT)
        started.append(spare.start(WarmRequest(b"", b""), journal, str(tmp_path / "log")))
        os.close(journal)
        return True

    python.when_spare(use)
    await until(lambda: bool(started))
    assert started == [False]
    await until(lambda: python.has_ended)
    pythons.close()


def wait_until_gone(pid: int) -> None:
    with selectors.DefaultSelector() as selector:
        pidfd = os.pidfd_open(pid)
        selector.register(pidfd, selectors.EVENT_READ)
        assert selector.select(WAIT_S)
    os.close(pidfd)


async def test_none_is_kept_where_none_is_allowed(kfp_root: Path) -> None:
    async with running(kfp_root, warm=WarmSettings(pythons_max=0)) as launched:
        for _ in range(2):
            request = kfp_step(NOTE_KIND)
            await launched.run(request)
            assert kind_of(kfp_root, request) == "cold"


async def test_a_system_that_cannot_tell_the_end_of_a_process_gets_none(
    kfp_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    async with running(kfp_root) as launched:
        for _ in range(2):
            request = kfp_step(NOTE_KIND)
            await launched.run(request)
            assert kind_of(kfp_root, request) == "cold"


async def test_they_end_with_their_launcher(kfp_root: Path) -> None:
    async with running(kfp_root) as launched:
        python = await warm_up(kfp_root, launched)
    assert is_gone(python)


async def test_nothing_of_the_server_is_in_their_environment(kfp_root: Path) -> None:
    secrets = {"PENSTOCK_DATABASE_URL": "postgresql://secret", "API_TOKEN": "secret", "PIP_INDEX_URL": "secret"}
    async with running(kfp_root, **secrets) as launched:
        python = await warm_up(kfp_root, launched)
        assert b"secret" not in Path(f"/proc/{python}/environ").read_bytes()
        assert (
            len(os.listdir(f"/proc/{python}/fd")) <= 6
        )  # the standard three, the server, its spare, the file that it runs
