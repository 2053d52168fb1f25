"""A store that the server reaches and pods may not."""

from pathlib import Path

import pytest

from penstock_agent.plan import StoreOptions
from penstock_server.main.pod_store import store_doubts
from penstock_server.main.settings import Settings
from penstock_server.store.objects import Artifacts

BUCKET = "s3://bucket/folder"


@pytest.mark.parametrize(
    ("endpoint", "is_doubtful"),
    [
        ("http://127.0.0.1:9000", True),
        ("http://localhost:9000", True),
        ("https://[::1]:9000", True),
        ("http://minio.storage.svc:9000", False),
        ("http://10.0.0.7:9000", False),
        ("", False),
    ],
)
def test_an_endpoint_on_loopback_is_doubtful(endpoint: str, is_doubtful: bool) -> None:
    """It may be named by a setting or by the environment, and is told by where it was named."""
    artifacts = Artifacts.at(StoreOptions(root=BUCKET, endpoint=endpoint, allow_http=True))
    in_settings = store_doubts(Settings(artifacts_url=BUCKET, artifacts_endpoint=endpoint), artifacts, {})
    in_environment = store_doubts(Settings(artifacts_url=BUCKET), artifacts, {"AWS_ENDPOINT": endpoint})
    for told, source in ((in_settings, "artifacts_endpoint"), (in_environment, "AWS_ENDPOINT of the environment")):
        assert told.startswith(f"{source} is {endpoint}") is is_doubtful
        assert ("name an address that pods reach as well" in told) is is_doubtful
        assert bool(told) is is_doubtful


def test_a_folder_without_a_claim_is_doubtful(tmp_path: Path) -> None:
    told = store_doubts(Settings(), Artifacts.in_folder(tmp_path), {})
    assert told.startswith(f"artifacts lie in {tmp_path} of this machine")
    assert "--artifacts-url" in told


def test_a_folder_on_a_shared_volume_is_none(tmp_path: Path) -> None:
    assert store_doubts(Settings(kubernetes_store_claim="artifacts"), Artifacts.in_folder(tmp_path), {}) == ""
