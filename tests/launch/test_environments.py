"""Python environments of steps: built once, shared, apart from the server's and the machine's."""

import asyncio
import sys
from pathlib import Path

from penstock_server.launch.base import Phase
from penstock_server.launch.environments import uv_environment
from tests.launch.packages import counting_uv, make_wheel, python_step, slow_uv, uv_calls
from tests.launch.world import running, step, until


async def test_a_step_finds_the_packages_it_asks_for(tmp_path: Path) -> None:
    async with running(tmp_path, uv=counting_uv(tmp_path)) as launched:
        request = python_step("import tiny, sys; print(tiny.VALUE, sys.prefix)", tmp_path)
        end = await launched.run(request)
        assert end.phase is Phase.SUCCEEDED, end
        value, prefix = (await launched.log_of(request)).decode().split()
        assert value == "42"
        assert prefix.startswith(str(tmp_path / "environments"))


async def test_a_component_is_told_more_than_an_argument_holds(tmp_path: Path) -> None:
    told = "é\r\n" + "x" * 1_000_000
    async with running(tmp_path, uv=counting_uv(tmp_path)) as launched:
        code = "import sys; print(sys.argv[1], len(sys.argv[2]), ascii(sys.argv[2][:3]))"
        request = python_step(code, tmp_path, arguments=["--executor_input", told])
        assert (await launched.run(request)).phase is Phase.SUCCEEDED
        log = (await launched.log_of(request)).decode()
        assert log.split() == ["--executor_input", str(len(told)), r"'\xe9\r\n'"]


async def test_later_steps_with_the_same_packages_do_not_call_uv(tmp_path: Path) -> None:
    uv = counting_uv(tmp_path)
    async with running(tmp_path, uv=uv) as launched:
        await launched.run(python_step("import tiny", tmp_path))
        calls = uv_calls(tmp_path)
        await launched.run(python_step("import tiny", tmp_path))
    async with running(tmp_path, uv=uv) as restarted:
        assert (await restarted.run(python_step("import tiny", tmp_path))).phase is Phase.SUCCEEDED
    assert uv_calls(tmp_path) == calls


async def test_steps_at_once_on_two_servers_build_an_environment_once(tmp_path: Path) -> None:
    uv = counting_uv(tmp_path)
    async with running(tmp_path, uv=uv) as one, running(tmp_path, uv=uv) as other:
        ends = await asyncio.gather(
            *(where.run(python_step("import tiny", tmp_path)) for where in (one, one, other, other))
        )
        assert {end.phase for end in ends} == {Phase.SUCCEEDED}
    assert sum(call.startswith("venv") for call in uv_calls(tmp_path)) == 1


async def test_other_packages_get_another_environment(tmp_path: Path) -> None:
    make_wheel(tmp_path / "wheels", "other", 7)
    async with running(tmp_path, uv=counting_uv(tmp_path)) as launched:
        await launched.run(python_step("import tiny", tmp_path))
        request = python_step("import other; import tiny", tmp_path, "other")
        end = await launched.run(request)
        assert end.phase is Phase.FAILED
        assert end.message == "exit code 1: ModuleNotFoundError: No module named 'tiny'"


async def test_a_build_that_fails_fails_the_attempt_and_the_next_one_tries_again(tmp_path: Path) -> None:
    async with running(tmp_path, uv=counting_uv(tmp_path)) as launched:
        end = await launched.run(python_step("pass", tmp_path, "late-package"))
        assert (end.phase, end.reason) == (Phase.FAILED, "ENVIRONMENT_FAILED")
        assert "late-package" in end.log_tail
        make_wheel(tmp_path / "wheels", "late_package")
        assert (await launched.run(python_step("pass", tmp_path, "late-package"))).phase is Phase.SUCCEEDED


async def test_an_attempt_is_stopped_while_its_environment_is_built(tmp_path: Path) -> None:
    async with running(tmp_path, uv=slow_uv(tmp_path)) as launched:
        request = python_step("import tiny", tmp_path)
        await launched.launcher.launch(request)
        await until((tmp_path / "uv-started").exists)
        await launched.launcher.stop(request.attempt)
        assert (await launched.end_of(request)).phase is Phase.STOPPED
        (tmp_path / "uv-gate").touch()
        assert (await launched.run(python_step("import tiny", tmp_path))).phase is Phase.SUCCEEDED


async def test_an_unfinished_environment_is_built_anew(tmp_path: Path) -> None:
    async with running(tmp_path, uv=counting_uv(tmp_path)) as launched:
        await launched.run(python_step("import tiny", tmp_path))
        (environment,) = (path for path in (tmp_path / "environments").iterdir() if path.is_dir())
        (environment / ".ready").unlink()
        (environment / "bin" / "python").unlink()
        assert (await launched.run(python_step("import tiny", tmp_path))).phase is Phase.SUCCEEDED


async def test_pip_in_a_step_leaves_the_shared_environment_alone(tmp_path: Path) -> None:
    make_wheel(tmp_path / "wheels", "other", 7)
    install = "import subprocess, sys; subprocess.check_call([sys.executable, '-m', 'pip', 'install', '-q',"
    install += f" '--no-index', '--find-links', '{tmp_path}/wheels', 'other']); import other; print(other.__file__)"
    async with running(tmp_path, uv=counting_uv(tmp_path)) as launched:
        request = python_step(install, tmp_path)
        assert (await launched.run(request)).phase is Phase.SUCCEEDED
        assert "/packages/other.py" in (await launched.log_of(request)).decode()


async def test_a_step_without_packages_runs_on_the_base_interpreter(tmp_path: Path) -> None:
    async with running(tmp_path) as launched:
        request = step("python3", "-c", "import sys; print(sys.prefix)")
        await launched.run(request)
        assert (await launched.log_of(request)).decode().strip() == sys.base_prefix


def test_what_is_said_to_pip_is_said_to_uv() -> None:
    env = uv_environment(
        {
            "PATH": "/bin",
            "PIP_INDEX_URL": "https://index.test/simple",
            "PIP_FIND_LINKS": "/a /b",
            "UV_PYTHON": "3.9",
            "UV_CACHE_DIR": "/cache",
            "PENSTOCK_DATABASE_URL": "secret",
        }
    )
    assert env == {
        "PATH": "/bin",
        "UV_DEFAULT_INDEX": "https://index.test/simple",
        "UV_FIND_LINKS": "/a,/b",
        "UV_CACHE_DIR": "/cache",
    }
