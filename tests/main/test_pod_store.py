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
    in_settings = store_doubts(Settings(artifacts_url=BUCKET, artifacts_endpoint=endpoint), artifacts, {}, 0)
    in_environment = store_doubts(Settings(artifacts_url=BUCKET), artifacts, {"AWS_ENDPOINT": endpoint}, 0)
    for told, source in ((in_settings, "artifacts_endpoint"), (in_environment, "AWS_ENDPOINT of the environment")):
        assert told.startswith(f"{source} is {endpoint}") is is_doubtful
        assert ("name an address that pods reach as well" in told) is is_doubtful
        assert bool(told) is is_doubtful


def test_a_folder_without_a_claim_is_doubtful(tmp_path: Path) -> None:
    told = store_doubts(Settings(), Artifacts.in_folder(tmp_path), {}, 0)
    assert told.startswith(f"artifacts lie in {tmp_path} of this machine")
    assert "--artifacts-url" in told


@pytest.mark.parametrize(("user", "is_doubtful"), [(65532, False), (0, True)])
def test_on_a_shared_volume_the_containers_around_a_step_have_to_be_the_servers_user(
    tmp_path: Path, user: int, is_doubtful: bool
) -> None:
    settings = Settings(kubernetes_store_claim="artifacts", kubernetes_stage_user=user)
    told = store_doubts(settings, Artifacts.in_folder(tmp_path), {}, 65532)
    assert ("--kubernetes-stage-user 65532" in told) is is_doubtful
    assert bool(told) is is_doubtful
