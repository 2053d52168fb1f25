"""The built wheels, installed into an empty environment outside the repository, make a working server and client."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests import pipelines
from tests.servers import STOP_TIMEOUT_S

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent.parent
UV = Path(sys.executable).parent / "uv"
TIMEOUT_S = 300


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Both distributions, built as they are; hatchling comes from the environment of the tests."""
    folder = tmp_path_factory.mktemp("wheels")
    for project in ("server", "clients/python"):
        uv("build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder, ROOT / project)
    return sorted(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheels: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the pinned packages and the two wheels, and nothing of the repository."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    uv("venv", "--no-project", "--python", sys.executable, folder)
    install = ("pip", "install", "--python", folder / "bin" / "python")
    uv(*install, "--require-hashes", "-r", ROOT / "requirements" / "server.txt")
    uv(*install, "--no-deps", *wheels)
    return folder


def uv(*arguments: str | Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(
        [UV, "--quiet", *arguments], env=environ, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_wheels_carry_what_they_need(wheels: list[Path]) -> None:
    client, server = (set(zipfile.ZipFile(wheel).namelist()) for wheel in wheels)
    migrations = {f"penstock_server/store/migrations/{path.name}" for path in ROOT.glob("migrations/*.sql")}
    statements = {f"penstock_server/store/sql/{path.name}" for path in ROOT.glob("server/penstock_server/store/sql/*")}
    assert migrations | statements | {"penstock_agent/plan.py"} <= server
    assert {"penstock/py.typed", "penstock/v1/run_service_pb2.py", "penstock/v1/run_pb2.pyi"} <= client
    assert {"penstock/kfp/v2beta1/run_pb2_grpc.py", "penstock/kfp/v1beta1/pipeline_pb2.pyi"} <= client
    assert {name.partition("/")[0] for name in client} == {"penstock", "penstock-0.1.0.dist-info"}


def test_an_installed_server_runs_a_pipeline(environment: Path, tmp_path: Path) -> None:
    pipeline = tmp_path / "pipeline.json"
    pipeline.write_text(json.dumps(pipelines.chain(2, "echo", "hello")))
    clean = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    addresses = ("--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0")
    with subprocess.Popen(
        [environment / "bin" / "penstock-server", "serve", "--data-dir", tmp_path / "data", *addresses],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env=clean,
        text=True,
    ) as server:
        assert server.stdout is not None
        target = server.stdout.readline().split()[3]
        ran = subprocess.run(
            [environment / "bin" / "penstock", "--target", target, "run", pipeline, "--watch"],
            capture_output=True,
            cwd=tmp_path,
            env=clean,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        server.terminate()
        assert server.wait(STOP_TIMEOUT_S) == 0
    assert ran.returncode == 0, ran.stdout + ran.stderr
