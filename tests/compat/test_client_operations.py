"""All of `kfp_server_api`, unchanged, against a real server."""

import json
from pathlib import Path

import pytest

from tests.compat.conftest import ROOT, run_program
from tests.servers import running

TIMEOUT_S = 300

REFUSED = {
    "dummy_filter_service_get_filter": "it only publishes the shape of filters; KFP serves it nowhere",
    "report_service_report_scheduled_workflow": "KFP's agents tell of Kubernetes objects, which there are none of",
    "report_service_report_workflow": "the same",
    "visualization_service_create_visualization_v1": "pages are made by code that callers send",
}
"""Operations that no call of gets an answer, with the reason; a story holds them to what they are refused with."""

pytestmark = pytest.mark.slow


def test_every_operation_does_what_its_story_says(kfp_python: Path, tmp_path: Path) -> None:
    with running(tmp_path / "data", "--kfp-url-private-hosts", "127.0.0.1", "--kfp-url-allow-http", "true") as server:
        program: list[str | Path] = [kfp_python, "-m", "tests.compat.clients.operations"]
        asked = json.dumps({"host": f"http://{server.http}"})
        environ = {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
        told = json.loads(run_program(program, TIMEOUT_S, asked, environ))
    assert not told["wrong"], "\n".join(told["wrong"].values())
    assert sorted({*told["answered"], *REFUSED}) == told["methods"]
    assert not REFUSED.keys() & set(told["answered"])
