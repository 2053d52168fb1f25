"""Where a server keeps things: its folder, the database, the store of artifacts."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from penstock_agent.buckets import SCHEMES
from penstock_agent.stores import FILE_SCHEME
from penstock_server.main.declared import masked, setting
from penstock_server.main.setting_kinds import flag, http_url, number, seconds, text


def _check_database_url(url: str) -> None:
    if url and not url.startswith(("postgresql://", "postgres://")) and "=" not in url:
        raise ValueError("it has to begin with postgresql://")


def _check_artifacts_url(url: str) -> None:
    schemes = (FILE_SCHEME, *SCHEMES)
    parts = urlsplit(url)
    is_place = parts.path.startswith("/") if parts.scheme == FILE_SCHEME else parts.hostname == parts.netloc.lower()
    if url and (parts.scheme not in schemes or not is_place or parts.query or "//" in parts.path):
        known = ", ".join(schemes)
        raise ValueError(
            f"{masked(url)!r} is no such place; write one such as s3://bucket/folder, with {known} before ://"
        )


@dataclass(frozen=True, kw_only=True)
class StorageSettings:
    """The database and the artifacts."""

    data_dir: Path = setting(  # noqa: RUF009  # it makes a field, which nobody shares
        doc="Folder of this server. Holds the embedded Postgres, the files of steps, their logs and Python "
        "environments, and the artifacts. Made when it is missing.",
        default_factory=lambda: Path("penstock-data"),
        metavar="DIR",
    )
    database_url: str = text(
        "Your own Postgres (15 to 18). Empty: a Postgres is started in the data folder. Migrate your own with "
        "`penstock-server migrate` before the first start and after each update.",
        metavar="URL",
        default_text="the embedded Postgres",
        secret=True,
        check=_check_database_url,
    )
    database_connections_max: int = number("Connections to Postgres in the pool.", default=16, minimum=2, maximum=1000)
    database_wait_s: float = seconds(
        "How long a starting server waits for a database of your own that does not answer.", default=30.0, minimum=0
    )
    statement_timeout_s: float = seconds(
        "A statement that takes longer is given up, whatever the caller's deadline.", default=30.0, minimum=1
    )
    artifacts_url: str = text(
        "Where artifacts are stored: `s3://bucket/folder`, `gs://`, `az://`, or `file:///folder` for a volume that "
        "all servers and steps share. Empty: in the data folder. Credentials come from the environment (AWS_*, "
        "GOOGLE_*, AZURE_*) or from the identity of the machine or pod.",
        metavar="URL",
        default_text="the data folder",
        check=_check_artifacts_url,
    )
    artifacts_endpoint: str = http_url(
        "Where the object store answers, if it is none of the cloud's own. With the launcher `kubernetes` pods of "
        "steps are given it, and have to reach it there too.",
        default_text="AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_ENDPOINT, AZURE_STORAGE_ENDPOINT, AZURE_ENDPOINT or "
        "GOOGLE_BASE_URL in the environment of the server, else the cloud's",
    )
    artifacts_region: str = text(
        "The region of the bucket, for S3.", default_text="AWS_REGION or AWS_DEFAULT_REGION, else us-east-1"
    )
    artifacts_allow_http: bool = flag(
        "Speak to the object store over plain http too. Whoever is between can read and change artifacts.",
        default=False,
    )
