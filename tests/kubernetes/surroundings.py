"""What a Penstock on a cluster needs beside it: an object store and a Postgres that pods reach, and the image."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from obstore.store import S3Store

from tests.kubernetes import machine
from tests.kubernetes.images import penstock_image
from tests.kubernetes.kubectl import apply, namespaces
from tests.object_stores import ACCESS_KEY, BUCKET, CREDENTIALS, SECRET_KEY, S3Server, s3_server
from tests.servers import Server, running

STORE_SECRET = "penstock-store"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """An image and a store."""

    image: str
    host: str
    store: S3Server

    def objects(self) -> S3Store:
        """The objects of the store, for a test."""
        return S3Store(
            BUCKET,
            endpoint=self.store.endpoint,
            region="us-east-1",
            client_options={"allow_http": True},
            access_key_id=ACCESS_KEY,
            secret_access_key=SECRET_KEY,
        )

    def settings(self, namespace: str) -> dict[str, str | bool | tuple[str, ...]]:
        """Those of a server whose steps run in `namespace` of the cluster, with a folder of its own in the store."""
        options = self.store.options()
        return {
            "launcher": "kubernetes",
            "kubernetes_namespace": namespace,
            "kubernetes_stage_image": self.image,
            "kubernetes_store_secrets": (STORE_SECRET,),
            "artifacts_url": options.root,
            "artifacts_endpoint": options.endpoint,
            "artifacts_allow_http": True,
        }

    def options(self, namespace: str, **settings: object) -> list[str]:
        """The same on a command line, with others beside them."""
        given = {**self.settings(namespace), **settings}
        return [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", _option(value))]

    @contextmanager
    def outside(self, data_dir: Path, namespace: str, **settings: object) -> Iterator[Server]:
        """A server on this machine whose steps run in a namespace of the cluster, which is made and removed."""
        with (
            namespace_for_steps(namespace),
            running(data_dir, *self.options(namespace, **settings), **CREDENTIALS) as server,
        ):
            yield server


@contextmanager
def namespace_for_steps(namespace: str) -> Iterator[None]:
    """A namespace with the credentials of the store; it is removed at the end."""
    with namespaces(namespace):
        apply(secret(namespace, STORE_SECRET, CREDENTIALS))
        yield


@contextmanager
def surroundings() -> Iterator[Surroundings]:
    """The image of the present sources, and a store of its own."""
    image, host = penstock_image(), machine.address()
    with s3_server(f"{host}:0") as store:
        yield Surroundings(image, host, store)


def secret(namespace: str, name: str, values: Mapping[str, str]) -> dict[str, object]:
    """A secret, to be applied."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": dict(values)}


def _option(value: object) -> str:
    return (
        ",".join(value) if isinstance(value, tuple) else str(value).lower() if isinstance(value, bool) else str(value)
    )
