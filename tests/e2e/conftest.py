"""A real server and the real client for the end-to-end tests."""

from collections.abc import Iterator

import pytest

from penstock import Client
from tests.servers import Server, running


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server a test worker, with the embedded Postgres."""
    with running(tmp_path_factory.mktemp("server") / "data") as server:
        yield server


@pytest.fixture(scope="session")
def client(server: Server) -> Iterator[Client]:
    """A client of that server."""
    with Client(server.grpc) as client:
        yield client
