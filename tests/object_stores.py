"""A real S3 server for tests: `rclone serve s3`, which checks signatures and takes uploads in parts."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from penstock_agent.plan import StoreOptions

RCLONE = Path(sys.executable).parent / "rclone"
BUCKET = "penstock"
ACCESS_KEY = "the-key"
SECRET_KEY = "the-secret"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
_STARTING = "Starting s3 server on ["


@dataclass(frozen=True, slots=True)
class S3Server:
    """A server that runs."""

    endpoint: str

    def options(self, root: str | None = None) -> StoreOptions:
        """For a root of its own, unless one is given."""
        return StoreOptions(
            self.endpoint, "us-east-1", allow_http=True, root=root or f"s3://{BUCKET}/{uuid.uuid4().hex}"
        )


@contextmanager
def s3_server(address: str = "127.0.0.1:0") -> Iterator[S3Server]:
    """A server that keeps all in memory, with one bucket."""
    command = [str(RCLONE), "serve", "s3", "--config=", "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}", "--addr", address]
    with subprocess.Popen([*command, ":memory:"], stderr=subprocess.PIPE, env=_clean(), text=True) as process:
        assert process.stderr is not None
        line = next(line for line in process.stderr if _STARTING in line)
        server = S3Server(line.split(_STARTING)[1].split("]")[0].rstrip("/"))
        try:
            _make_bucket(server)
            yield server
        finally:
            process.kill()  # told politely, it waits for its idle connections
            process.communicate()


def _make_bucket(server: S3Server) -> None:
    remote = f":s3,provider=Rclone,endpoint='{server.endpoint}':{BUCKET}"
    environ = _clean({"RCLONE_S3_ACCESS_KEY_ID": ACCESS_KEY, "RCLONE_S3_SECRET_ACCESS_KEY": SECRET_KEY})
    subprocess.run([RCLONE, "mkdir", "--config=", remote], env=environ, check=True)


def _clean(more: Mapping[str, str] | None = None) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], **(more or {})}
