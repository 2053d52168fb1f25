"""How the artifact store is reached: as the settings say, and where they are silent, as the environment does.

`obstore` would look there too, but pods of steps have another environment: what is found here is handed to them.
"""

from collections.abc import Mapping
from pathlib import Path

from penstock_agent.plan import StoreOptions
from penstock_agent.stores import scheme_of
from penstock_server.main.setting_kinds import check_http_url
from penstock_server.main.settings import Settings
from penstock_server.model.errors import FailedPrecondition

_OF_S3 = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
ENDPOINT_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "s3": _OF_S3,
    "minio": _OF_S3,
    "gs": ("GOOGLE_BASE_URL",),
    "az": ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"),
}
"""By scheme the variables that name an endpoint; the first that is set counts."""
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")


def store_options(settings: Settings, data_dir: Path, environ: Mapping[str, str]) -> StoreOptions:
    """How the store is reached, by servers and pods alike. Raises FailedPrecondition(ARTIFACT_STORE_UNUSABLE)."""
    return StoreOptions(
        endpoint=_endpoint(settings, environ),
        region=settings.artifacts_region or next((environ[name] for name in REGION_VARIABLES if environ.get(name)), ""),
        allow_http=settings.artifacts_allow_http,
        root=settings.artifacts_url.rstrip("/") or f"file://{data_dir}/artifacts",
    )


def endpoint_variable(settings: Settings, environ: Mapping[str, str]) -> str:
    """The variable of the environment that names the endpoint; empty where a setting does, or nothing."""
    if settings.artifacts_endpoint:
        return ""
    names = ENDPOINT_VARIABLES.get(scheme_of(settings.artifacts_url), ())
    return next((name for name in names if environ.get(name)), "")


def _endpoint(settings: Settings, environ: Mapping[str, str]) -> str:
    variable = endpoint_variable(settings, environ)
    endpoint = environ[variable] if variable else settings.artifacts_endpoint
    source = variable or "artifacts_endpoint"
    try:
        check_http_url(endpoint)
    except ValueError as error:
        raise FailedPrecondition("ARTIFACT_STORE_UNUSABLE", f"{source}: {error}") from error
    if endpoint.startswith("http://") and not settings.artifacts_allow_http:
        message = (
            f"{source} is {endpoint}, which has no TLS: allow that with artifacts_allow_http, or name one with https"
        )
        raise FailedPrecondition("ARTIFACT_STORE_UNUSABLE", message)
    return endpoint
