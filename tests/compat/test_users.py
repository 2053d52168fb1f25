"""Several users: namespaces count, and a header names who calls."""

from collections.abc import AsyncIterator

import pytest

from penstock.v1 import namespace_pb2, namespace_service_pb2, namespace_service_pb2_grpc
from penstock_server.compat.spaces import Spaces
from penstock_server.store.database import Database
from tests.compat.serving import Answer, KfpSite, serving

PATHS = ("/experiments?namespace=one", "/pipelines", "/pipelines/x", "/auth?verb=1&resources=1")
USER = {"x-goog-authenticated-user-email": "accounts.google.com:ada@example.com"}


@pytest.fixture
async def shared(database: Database, database_dsn: str) -> AsyncIterator[KfpSite]:
    """A server for several users, with the namespaces `one` and `two`."""
    async with serving(database, database_dsn, Spaces(multi_user=True)) as site:
        namespaces = namespace_service_pb2_grpc.NamespaceServiceStub(site.channel)
        for name in ("one", "two"):
            await namespaces.CreateNamespace(
                namespace_service_pb2.CreateNamespaceRequest(namespace_id=name, namespace=namespace_pb2.Namespace())
            )
        yield site


async def test_healthz_says_so_and_needs_nobody(shared: KfpSite) -> None:
    assert (await shared.ask("GET", "/healthz")).body["multi_user"] is True


@pytest.mark.parametrize(
    "headers",
    [{}, {"x-goog-authenticated-user-email": "ada"}, {"x-goog-authenticated-user-email": "accounts.google.com:"}],
)
@pytest.mark.parametrize("path", PATHS)
async def test_nobody_is_refused(shared: KfpSite, path: str, headers: dict[str, str]) -> None:
    answer = await shared.ask("GET", path, headers=headers)
    assert (answer.status, answer.body["code"]) == (401, 16)


async def make(site: KfpSite, namespace: str) -> Answer:
    body = {"display_name": "mine", "namespace": namespace}
    return await site.ask("POST", "/experiments", body, headers=USER)


async def test_experiments_live_in_the_namespace_that_is_named(shared: KfpSite) -> None:
    made = await make(shared, "one")
    assert made.body["namespace"] == "one"
    assert (await make(shared, "two")).status == 200
    for namespace, expected in (("one", 2), ("two", 2)):  # each has a default experiment
        page = await shared.ask("GET", "/experiments", query={"namespace": namespace}, headers=USER)
        assert page.body["total_size"] == expected
    assert (await make(shared, "")).status == 400
    assert (await make(shared, "nowhere")).status == 404
    assert (await shared.ask("GET", "/experiments", headers=USER)).status == 400


async def test_pipelines_without_a_namespace_are_shared(shared: KfpSite) -> None:
    for namespace in ("", "one"):
        made = await shared.ask("POST", "/pipelines", {"name": "p", "namespace": namespace}, headers=USER)
        assert made.body.get("namespace", "") == namespace
        page = await shared.ask("GET", "/pipelines", query={"namespace": namespace}, headers=USER)
        assert page.body["pipelines"] == [made.body]


async def test_a_single_user_needs_no_header_and_no_namespace(kfp: KfpSite) -> None:
    made = await kfp.ask("POST", "/experiments", {"display_name": "mine", "namespace": "anything"})
    assert "namespace" not in made.body
    assert (await kfp.ask("GET", "/experiments", query={"namespace": "other"})).body["total_size"] == 2
