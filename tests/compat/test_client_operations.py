"""All of `kfp_server_api`, unchanged, against a real server."""

from pathlib import Path

import pytest

from tests.compat.conftest import act_out
from tests.servers import running

REFUSED = {
    "dummy_filter_service_get_filter": "it only publishes the shape of filters; KFP serves it nowhere",
    "report_service_report_scheduled_workflow": "KFP's agents tell of Kubernetes objects, which there are none of",
    "report_service_report_workflow": "the same",
    "visualization_service_create_visualization_v1": "pages are made by code that callers send",
}
"""Operations that no call of gets an answer, with the reason; a story holds them to what they are refused with."""

pytestmark = pytest.mark.slow


def test_every_operation_does_what_its_story_says(kfp_python: Path, tmp_path: Path) -> None:
    downloads = ("--kfp-url-private-hosts", "127.0.0.1", "--kfp-url-allow-http", "true")
    with running(tmp_path / "data", *downloads) as server:
        told = act_out("operations", kfp_python, server, tmp_path)
    assert not told["wrong"], "\n".join(told["wrong"].values())
    assert sorted({*told["answered"], *REFUSED}) == told["methods"]
    assert not REFUSED.keys() & set(told["answered"])
