"""Namespaces: each with a default experiment, deleted only when empty."""

from collections.abc import AsyncIterator

import pytest

from penstock_server.model.errors import AlreadyExists, Conflict, FailedPrecondition, NotFound
from penstock_server.model.query import Page
from penstock_server.model.resources import Namespace
from penstock_server.store import experiments, namespaces, secrets
from penstock_server.store.database import Connection, Database


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    async with database.transaction() as connection:
        yield connection


async def make(connection: Connection, name: str = "team") -> Namespace:
    return await namespaces.insert(connection, name, display_name="Team", description="", labels={"a": "b"})


async def test_the_default_one_is_there_from_the_start(connection: Connection) -> None:
    assert (await namespaces.get(connection, "default")).display_name == "Default"
    assert (await experiments.get(connection, "default", "default")).namespace == "default"


async def test_a_new_one_has_a_default_experiment(connection: Connection) -> None:
    made = await make(connection)
    assert await namespaces.get(connection, "team") == made
    assert (await experiments.get(connection, "team", "default")).namespace == "team"


async def test_a_name_is_given_once(connection: Connection) -> None:
    await make(connection)
    with pytest.raises(AlreadyExists):
        await make(connection)


async def test_an_update_names_the_revision_it_was_made_from(connection: Connection) -> None:
    made = await make(connection)
    changes = {"display_name": "New", "description": "d", "labels": {}}
    updated = await namespaces.update(connection, "team", made.revision, **changes)  # type: ignore[arg-type]  # mixed values
    assert (updated.display_name, updated.labels) == ("New", {})
    with pytest.raises(Conflict):
        await namespaces.update(connection, "team", made.revision, **changes)  # type: ignore[arg-type]  # mixed values


async def test_an_empty_one_can_be_deleted(connection: Connection) -> None:
    await make(connection)
    await namespaces.delete(connection, "team")
    with pytest.raises(NotFound):
        await namespaces.get(connection, "team")


async def test_one_that_holds_something_cannot(connection: Connection) -> None:
    await make(connection)
    await experiments.insert(connection, "team", "e", display_name="", description="", labels={})
    with pytest.raises(FailedPrecondition) as raised:
        await namespaces.delete(connection, "team")
    assert raised.value.reason == "NAMESPACE_NOT_EMPTY"


async def test_the_default_one_stays(connection: Connection) -> None:
    with pytest.raises(FailedPrecondition):
        await namespaces.delete(connection, "default")


async def test_pages_follow_one_another(connection: Connection) -> None:
    for name in ("a", "b", "c"):
        await make(connection, name)
    first = await namespaces.list_page(connection, Page(3))
    second = await namespaces.list_page(connection, Page(3, after=first.next))
    assert {item.name for item in (*first.items, *second.items)} == {"a", "b", "c", "default"}
    assert second.next is None


async def test_all_servers_share_one_key_for_page_tokens(database: Database, connection: Connection) -> None:
    async with database.connection() as other:
        key = await secrets.page_token_key(other)
    assert len(key) == 32
    assert await secrets.page_token_key(connection) == key
