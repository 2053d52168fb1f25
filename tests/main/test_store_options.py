"""Where the artifact store is, for servers and pods: the settings say it, or the environment of the server."""

from pathlib import Path

import pytest

from penstock_agent.plan import StoreOptions
from penstock_server.main.settings import Settings
from penstock_server.main.store_options import store_options
from penstock_server.model.errors import FailedPrecondition

DATA = Path("/data")
HERE, THERE = "https://here:9000", "https://there:9000"


def test_without_any_of_it_artifacts_lie_in_the_data_folder() -> None:
    assert store_options(Settings(), DATA, {}) == StoreOptions(root="file:///data/artifacts")


@pytest.mark.parametrize(
    ("url", "environ", "endpoint"),
    [
        ("s3://b", {"AWS_ENDPOINT": HERE}, HERE),
        ("s3://b", {"AWS_ENDPOINT": HERE, "AWS_ENDPOINT_URL": THERE}, THERE),
        ("s3://b", {"AWS_ENDPOINT_URL": HERE, "AWS_ENDPOINT_URL_S3": THERE}, THERE),
        ("s3://b", {"AWS_ENDPOINT_URL": "", "AZURE_ENDPOINT": HERE}, ""),
        ("minio://b", {"AWS_ENDPOINT_URL": HERE}, HERE),
        ("gs://b", {"GOOGLE_BASE_URL": HERE, "AWS_ENDPOINT_URL": THERE}, HERE),
        ("az://b", {"AZURE_STORAGE_ENDPOINT": HERE}, HERE),
        ("az://b", {"AZURE_ENDPOINT": HERE}, HERE),
        ("file:///b", {"AWS_ENDPOINT_URL": HERE}, ""),
    ],
)
def test_where_no_setting_names_the_endpoint_the_environment_may(
    url: str, environ: dict[str, str], endpoint: str
) -> None:
    assert store_options(Settings(artifacts_url=url), DATA, environ) == StoreOptions(endpoint=endpoint, root=url)


def test_a_setting_goes_over_the_environment() -> None:
    settings = Settings(artifacts_url="s3://b/x/", artifacts_endpoint=HERE, artifacts_region="here")
    told = store_options(settings, DATA, {"AWS_ENDPOINT_URL_S3": THERE, "AWS_REGION": "there"})
    assert told == StoreOptions(HERE, "here", root="s3://b/x")


@pytest.mark.parametrize("environ", [{"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"}, {"AWS_DEFAULT_REGION": "a"}])
def test_the_region_of_the_environment_is_handed_to_pods_too(environ: dict[str, str]) -> None:
    assert store_options(Settings(artifacts_url="s3://b"), DATA, environ).region == "a"


@pytest.mark.parametrize(
    ("endpoint", "told"),
    [("minio:9000", "'minio:9000' has to begin with http"), ("http://minio:9000", "artifacts_allow_http")],
)
def test_an_endpoint_that_will_not_do_is_told_by_where_it_was_named(endpoint: str, told: str) -> None:
    with pytest.raises(FailedPrecondition, match=told) as refused:
        store_options(Settings(artifacts_url="s3://b"), DATA, {"AWS_ENDPOINT_URL": endpoint})
    assert refused.value.message.startswith("AWS_ENDPOINT_URL")
