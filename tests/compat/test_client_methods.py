"""All of `kfp.Client`, unchanged, against a real server: by the newest SDK, and by the oldest that speaks v2beta1."""

import json
from pathlib import Path

import pytest

from tests.compat.conftest import ROOT, run_program
from tests.servers import running

TIMEOUT_S = 300

LEFT_OUT = {
    "2.0.0": {
        "functions_are_uploaded": ["upload_pipeline_from_pipeline_func", "upload_pipeline_version_from_pipeline_func"],
        "a_cache_key_is_taken": [],  # No method has the argument `cache_key` yet.
    }
}
"""By version of the SDK: stories that it cannot act out, with the methods that it lacks."""

pytestmark = pytest.mark.slow


def test_every_method_does_what_its_story_says(each_kfp_python: Path, tmp_path: Path) -> None:
    with running(tmp_path / "data") as server:
        asked = {
            "host": f"http://{server.http}",
            "left_out": {version: list(table) for version, table in LEFT_OUT.items()},
        }
        program: list[str | Path] = [each_kfp_python, "-m", "tests.compat.clients.methods"]
        environ = {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
        told = json.loads(run_program(program, TIMEOUT_S, json.dumps(asked), environ))
    assert not told["wrong"], "\n".join(told["wrong"].values())
    assert told["answered"] == told["methods"]
    left_out = LEFT_OUT.get(told["version"], {})
    assert left_out.keys() <= set(told["stories"])
    assert not set(told["methods"]) & {method for lacking in left_out.values() for method in lacking}
