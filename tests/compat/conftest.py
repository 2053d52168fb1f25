"""KFP's services on a real server; and KFP's published client, in an environment of its own: it pins libraries that the
server has in other versions."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from penstock_server.store.database import Database
from tests.compat.serving import KfpSite, serving
from tests.servers import Server

ROOT = Path(__file__).resolve().parent.parent.parent
UV = Path(sys.executable).parent / "uv"
PROGRAM = Path(__file__).parent / "published_client.py"
INSTALL_TIMEOUT_S = 300
TIMEOUT_S = 60
STORIES_TIMEOUT_S = 300

Ask = Callable[[dict[str, Any]], Any]


@pytest.fixture
async def kfp(database: Database, database_dsn: str) -> AsyncIterator[KfpSite]:
    """A server for a single user."""
    async with serving(database, database_dsn) as site:
        yield site


@pytest.fixture(scope="session")
def kfp_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with KFP's newest client and nothing of ours."""
    return kfp_environment(tmp_path_factory, "kfp", sys.executable)


@pytest.fixture(scope="session")
def oldest_kfp_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with the oldest client that speaks v2beta1. It does not install on a newer Python than 3.11."""
    return kfp_environment(tmp_path_factory, "kfp-oldest", sys.executable if sys.version_info < (3, 12) else "3.11")


@pytest.fixture(params=["kfp_python", "oldest_kfp_python"], ids=["newest", "oldest"])
def each_kfp_python(request: pytest.FixtureRequest) -> Path:
    """One after the other."""
    return Path(request.getfixturevalue(request.param))


def kfp_environment(folders: pytest.TempPathFactory, requirements: str, interpreter: str) -> Path:
    """The Python of a new environment with what is pinned in the requirements."""
    folder = folders.mktemp(requirements) / "venv"
    python = folder / "bin" / "python"
    run_program([UV, "venv", "--quiet", "--no-project", "--python", interpreter, folder], INSTALL_TIMEOUT_S)
    install: list[str | Path] = [UV, "pip", "install", "--quiet", "--python", python]
    pinned = ROOT / "requirements" / f"{requirements}.txt"
    run_program([*install, "--require-hashes", "-r", pinned], INSTALL_TIMEOUT_S)
    return python


@pytest.fixture(scope="session")
def ask(kfp_python: Path) -> Ask:
    """Asks `published_client.py`."""
    return lambda request: json.loads(run_program([kfp_python, PROGRAM], TIMEOUT_S, json.dumps(request)))


@pytest.fixture(scope="session")
def published(ask: Ask) -> Any:
    """All models and operations of the published client."""
    return ask({"ask": "tables"})


def act_out(
    stories: str, python: Path, server: Server, home: Path, left_out: Mapping[str, Iterable[str]] | None = None
) -> Any:
    """What a program of `tests.compat.clients` tells; `left_out`: stories, by version of the SDK."""
    named = {version: list(names) for version, names in (left_out or {}).items()}
    asked = json.dumps({"host": f"http://{server.http}", "left_out": named})
    environ = {"HOME": str(home), "PYTHONPATH": str(ROOT)}
    return json.loads(run_program([python, "-m", f"tests.compat.clients.{stories}"], STORIES_TIMEOUT_S, asked, environ))


def run_program(
    command: list[str | Path], timeout_s: float, text: str = "", more: Mapping[str, str] | None = None
) -> str:
    """What a program writes when it is given `text`; `more`: what stands in its environment beside ours."""
    environ = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    environ |= more or {}
    done = subprocess.run(
        command, env=environ, input=text, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
