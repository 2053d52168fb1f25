"""KFP's own SDK, unchanged, against a real server."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.servers import running

SESSION = Path(__file__).parent / "sdk_session.py"
TIMEOUT_S = 180

pytestmark = pytest.mark.slow


def test_a_session_of_the_sdk_needs_nothing_but_another_host(kfp_python: Path, tmp_path: Path) -> None:
    with running(tmp_path / "data") as server:
        environ = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
        done = subprocess.run(
            [kfp_python, SESSION, f"http://{server.http}"],
            env=environ | {"HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    year = seen.pop("year")
    assert year >= 2026
    assert seen == {
        "healthz": {"multi_user": False, "pipeline_store": "database"},
        "same": True,
        "description": "first",
        "archived": "ARCHIVED",
        "pages": [["e2", "e1"], ["e0", "My Experiment", "Default"]],
        "found": ["My Experiment"],
        "gone": 404,
        "pipeline": ["Hello SDK", "Hello SDK", "greets"],
        "pipeline_id": True,
        "no_pipeline_id": None,
        "get_pipeline": "Hello SDK",
        "list_pipelines": ["Hello SDK"],
        "versions": ["v 3", "v2", "Hello SDK"],
        "spec": "hello-again",
        "by_name": True,
        "twice": 409,
        "refused": 400,
        "left": None,
    }
