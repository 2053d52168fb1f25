"""Runs: made once per request, edited under their revision, deleted with all they consist of."""

import asyncio
import uuid

import pytest

from penstock_server.model.changes import RunLimits
from penstock_server.model.errors import AlreadyExists, Conflict, NotFound
from penstock_server.model.resources import EventSubject
from penstock_server.model.states import RunState, TaskState
from penstock_server.store import events, run_views, runs, specs, tasks
from penstock_server.store.database import Database
from penstock_server.store.requested import RequestKey
from tests import factories


async def test_a_new_run_waits_with_its_root_task_and_two_events(database: Database) -> None:
    run = await factories.insert_run(database, parameters={"x": float("nan"), "text": "a\0b\ud800"})
    async with database.connection() as connection:
        assert await runs.get(connection, "default", run.id) == run
        (root,) = await tasks.all_of_run(connection, run.uid)
        told = await events.list_run(connection, run.uid, 0, 10)
    assert (run.state, run.event_sequence, root.state) == (RunState.PENDING, 2, TaskState.PENDING)
    assert run.parameters == {"x": "NaN", "text": "a\ufffdb\ufffd"}
    assert [event.subject for event in told] == [EventSubject.RUN, EventSubject.TASK]


async def test_the_same_request_makes_one_run_however_often_it_comes_at_once(database: Database) -> None:
    request = RequestKey(uuid.uuid4(), "digest")
    made = await asyncio.gather(*(factories.insert_run(database, request) for _ in range(8)))
    assert len({run.uid for run in made}) == 1
    async with database.connection() as connection:
        assert (await runs.find_repeat(connection, "default", request)) == made[0]
        assert await runs.find_repeat(connection, "default", RequestKey(uuid.uuid4(), "")) is None


async def test_a_request_id_serves_one_request(database: Database) -> None:
    id = uuid.uuid4()
    await factories.insert_run(database, RequestKey(id, "one"))
    with pytest.raises(AlreadyExists) as raised:
        await factories.insert_run(database, RequestKey(id, "another"))
    assert raised.value.reason == "REQUEST_ID_REUSED"


async def test_an_id_is_given_once(database: Database) -> None:
    await factories.insert_run(database, id="r")
    with pytest.raises(AlreadyExists) as raised:
        await factories.insert_run(database, id="r")
    assert raised.value.reason == "RUN_EXISTS"


async def test_a_run_that_is_refused_leaves_no_spec_behind(database: Database) -> None:
    with pytest.raises(NotFound) as raised:
        await factories.insert_run(database, experiment_id="gone", spec_digest=f"sha256:{0:064}", document=b"{}")
    async with database.connection() as connection:
        kept = await connection.execute("SELECT 1 FROM spec WHERE document = '{}'")
        assert await kept.fetchone() is None
    assert raised.value.reason == "EXPERIMENT_NOT_FOUND"


async def test_a_spec_is_kept_once_with_the_first_run_that_brings_it(database: Database) -> None:
    digest = f"sha256:{0:064}"
    for _ in range(2):
        await factories.insert_run(database, spec_digest=digest, document=b"{}")
    async with database.connection() as connection:
        assert await specs.get(connection, digest) == b"{}"


async def test_an_edit_names_the_revision_it_was_made_from(database: Database) -> None:
    run = await factories.insert_run(database)
    async with database.connection() as connection:
        kept = RunLimits(run.priority, run.max_parallel_tasks)
        edited = await runs.update(connection, run, display_name="New", description="d", labels={"a": "b"}, limits=kept)
        with pytest.raises(Conflict):
            await runs.update(connection, run, display_name="Other", description="", labels={}, limits=kept)
    assert (edited.display_name, edited.labels, edited.revision) == ("New", {"a": "b"}, run.revision + 1)


async def test_archiving_twice_is_archiving_once(database: Database) -> None:
    run = await factories.insert_run(database)
    async with database.connection() as connection:
        once = await runs.set_archived(connection, "default", run.id, archived=True)
        assert await runs.set_archived(connection, "default", run.id, archived=True) == once
        with pytest.raises(Conflict):
            await runs.set_archived(connection, "default", run.id, archived=False, revision=run.revision)
        back = await runs.set_archived(connection, "default", run.id, archived=False, revision=once.revision)
    assert (once.archive_time is None, back.archive_time) == (False, None)


async def test_a_deleted_run_leaves_nothing_behind(database: Database) -> None:
    run = await factories.insert_run(database)
    async with database.connection() as connection:
        await runs.delete(connection, run.uid)
        await runs.delete(connection, run.uid)
        assert await runs.find_by_uid(connection, run.uid) is None
        assert await tasks.all_of_run(connection, run.uid) == []
        assert await events.list_run(connection, run.uid, 0, 10) == []
        with pytest.raises(NotFound):
            await runs.get(connection, "default", run.id)


async def test_a_view_counts_the_tasks_by_state(database: Database) -> None:
    run = await factories.insert_run(database)
    async with database.connection() as connection:
        assert await runs.task_counts(connection, run.uid) == {TaskState.PENDING: 1}
        assert (await run_views.get(connection, "default", run.id)).task_counts == {TaskState.PENDING: 1}
