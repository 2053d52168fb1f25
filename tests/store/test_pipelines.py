"""Pipelines and their versions: numbers are given once, specs are kept for the runs that need them."""

import asyncio
import uuid

import pytest

from penstock_server.model.errors import AlreadyExists, Conflict, FailedPrecondition, NotFound
from penstock_server.model.query import Order, Page
from penstock_server.model.resources import PipelineVersion
from penstock_server.store import pipeline_versions, pipelines, specs
from penstock_server.store.database import Database
from penstock_server.store.pipeline_versions import NewPipelineVersion
from penstock_server.store.requested import RequestKey
from tests import factories

DIGEST, DOCUMENT = factories.spec()
INTERFACE = ({"name": "lr", "type": "NUMBER_DOUBLE", "optional": True, "default_value": "a\0b"},)


async def make(database: Database, id: str = "p") -> None:
    async with database.transaction() as connection:
        await pipelines.insert(connection, "default", id, display_name="P", description="", labels={})


async def add(database: Database, alias: str | None = None, request: RequestKey | None = None) -> PipelineVersion:
    new = NewPipelineVersion(alias, "V", "", {}, DIGEST, DOCUMENT, "kfp-2.17.0", INTERFACE)
    async with database.transaction() as connection:
        version, _ = await pipeline_versions.insert(connection, "default", "p", new, request)
        return version


async def test_versions_are_numbered_without_gap_or_repetition(database: Database) -> None:
    await make(database)
    made = await asyncio.gather(*(add(database) for _ in range(6)))
    assert sorted(version.number for version in made) == [1, 2, 3, 4, 5, 6]


async def test_a_number_is_not_given_again(database: Database) -> None:
    await make(database)
    version = await add(database)
    async with database.transaction() as connection:
        await pipeline_versions.delete(connection, version)
    assert (await add(database)).number == 2


async def test_the_newest_is_found_without_a_number_and_any_by_its_alias(database: Database) -> None:
    await make(database)
    first, second = await add(database, "first"), await add(database)
    async with database.connection() as connection:
        assert await pipeline_versions.get(connection, "default", "p") == second
        assert await pipeline_versions.get(connection, "default", "p", alias="first") == first
        pipeline = await pipelines.get(connection, "default", "p")
        with pytest.raises(NotFound):
            await pipeline_versions.get(connection, "default", "p", number=3)
    assert (pipeline.latest_version, pipeline.version_count) == (2, 2)


async def test_an_alias_is_given_once(database: Database) -> None:
    await make(database)
    await add(database, "one")
    with pytest.raises(AlreadyExists) as raised:
        await add(database, "one")
    assert raised.value.reason == "ALIAS_EXISTS"
    assert (await add(database)).number == 2


async def test_the_same_request_makes_one_version(database: Database) -> None:
    await make(database)
    request = RequestKey(uuid.uuid4(), "digest")
    made = await asyncio.gather(*(add(database, request=request) for _ in range(6)))
    assert {version.number for version in made} == {1}


async def test_a_spec_is_stored_once_and_outlives_its_versions(database: Database) -> None:
    await make(database)
    await add(database)
    await add(database)
    async with database.transaction() as connection:
        await pipelines.delete(connection, "default", "p", force=True)
        assert await specs.get(connection, DIGEST) == DOCUMENT


async def test_one_with_versions_is_deleted_by_force_only(database: Database) -> None:
    await make(database)
    await add(database)
    with pytest.raises(FailedPrecondition, match="PIPELINE_HAS_VERSIONS"):
        async with database.transaction() as connection:
            await pipelines.delete(connection, "default", "p")


async def test_an_archived_one_takes_no_versions(database: Database) -> None:
    await make(database)
    async with database.transaction() as connection:
        await pipelines.set_archived(connection, "default", "p", archived=True)
    with pytest.raises(FailedPrecondition, match="PIPELINE_ARCHIVED"):
        await add(database)


async def test_a_version_changes_its_labels_and_nothing_else(database: Database) -> None:
    await make(database)
    version = await add(database)
    async with database.transaction() as connection:
        updated = await pipeline_versions.update(
            connection, version, display_name="V", description="", labels={"a": "b"}
        )
        with pytest.raises(Conflict):
            await pipeline_versions.update(connection, version, display_name="", description="", labels={})
    assert (updated.labels, updated.spec_digest, updated.number) == ({"a": "b"}, DIGEST, 1)


async def test_pages_of_versions_follow_one_another(database: Database) -> None:
    await make(database)
    for _ in range(5):
        await add(database)
    order = (Order("display_name"), Order("create_time", descending=True))
    found: list[int] = []
    page = Page(2, order=order)
    async with database.connection() as connection:
        while True:
            rows = await pipeline_versions.list_page(connection, "default", "p", page)
            found += [version.number for version in rows.items]
            if rows.next is None:
                break
            page = Page(2, order=order, after=rows.next)
    assert found == [5, 4, 3, 2, 1]
