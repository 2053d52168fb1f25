"""Experiments: made once per request, archived, deleted with or without their runs."""

import asyncio
import uuid

import pytest

from penstock_server.model.errors import AlreadyExists, Conflict, FailedPrecondition, NotFound
from penstock_server.model.resources import Experiment
from penstock_server.store import experiments, runs
from penstock_server.store.database import Database
from penstock_server.store.requested import RequestKey
from tests import factories


async def make(database: Database, id: str = "e", request: RequestKey | None = None) -> tuple[Experiment, bool]:
    async with database.transaction() as connection:
        return await experiments.insert(
            connection, "default", id, display_name="E", description="", labels={}, request=request
        )


async def delete(database: Database, id: str = "e", *, force: bool = False) -> None:
    async with database.transaction() as connection:
        await experiments.delete(connection, "default", id, force=force)


async def test_the_same_request_makes_one_however_often_it_comes(database: Database) -> None:
    request = RequestKey(uuid.uuid4(), "digest")
    made = await asyncio.gather(*(make(database, f"e{n}", request) for n in range(8)))
    assert len({experiment.uid for experiment, _ in made}) == 1
    assert sum(is_new for _, is_new in made) == 1


async def test_a_request_id_serves_one_request(database: Database) -> None:
    id = uuid.uuid4()
    await make(database, "e", RequestKey(id, "one"))
    with pytest.raises(AlreadyExists) as raised:
        await make(database, "f", RequestKey(id, "another"))
    assert raised.value.reason == "REQUEST_ID_REUSED"


async def test_an_id_is_given_once(database: Database) -> None:
    await make(database)
    with pytest.raises(AlreadyExists) as raised:
        await make(database)
    assert raised.value.reason == "EXPERIMENT_EXISTS"


async def test_archiving_twice_is_archiving_once(database: Database) -> None:
    await make(database)
    async with database.transaction() as connection:
        once = await experiments.set_archived(connection, "default", "e", archived=True)
        assert await experiments.set_archived(connection, "default", "e", archived=True) == once
        back = await experiments.set_archived(connection, "default", "e", archived=False)
    assert once.archive_time is not None
    assert (back.archive_time, back.revision) == (None, once.revision + 1)


async def test_a_change_from_an_old_revision_is_refused(database: Database) -> None:
    made, _ = await make(database)
    async with database.transaction() as connection:
        await experiments.set_archived(connection, "default", "e", archived=True, revision=made.revision)
        with pytest.raises(Conflict):
            await experiments.set_archived(connection, "default", "e", archived=False, revision=made.revision)
        with pytest.raises(Conflict):
            await experiments.update(connection, made.uid, made.revision, display_name="", description="", labels={})


async def test_one_with_runs_is_deleted_by_force_only_and_once_they_have_ended(database: Database) -> None:
    await make(database)
    run = await factories.insert_run(database, experiment_id="e")
    with pytest.raises(FailedPrecondition, match="EXPERIMENT_HAS_RUNS"):
        await delete(database)
    with pytest.raises(FailedPrecondition, match="RUN_NOT_FINISHED"):
        await delete(database, force=True)
    async with database.connection() as connection:
        await connection.execute("UPDATE run SET state = 'FAILED', end_time = now()")
        await delete(database, force=True)
        assert await runs.find_by_uid(connection, run.uid) is None


@pytest.mark.parametrize("force", [False, True])
async def test_the_default_one_stays(database: Database, force: bool) -> None:
    with pytest.raises(FailedPrecondition):
        await delete(database, "default", force=force)


async def test_one_that_is_not_there_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound):
        await delete(database, "nothing")
