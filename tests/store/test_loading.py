"""A run as an engine takes it over, and results that later runs may use again."""

import uuid

from penstock_server.model.changes import (
    AttemptCreate,
    AttemptMove,
    Change,
    RunChanges,
    RunMove,
    TaskCreate,
    TaskMove,
)
from penstock_server.model.ids import ROOT_TASK, RunUid, ServerId, TaskId
from penstock_server.model.json import Json
from penstock_server.model.resources import TaskKind, TaskValues
from penstock_server.model.states import AttemptState, RunState, TaskState
from penstock_server.store import leases, loading, tasks, transitions
from penstock_server.store.database import Database
from penstock_server.store.tasks import CachedTask, EarlierTask, Wanted
from tests import factories

DONE, BUSY = TaskId("done"), TaskId("busy")


def step(id: TaskId) -> tuple[Change, ...]:
    """A step with a first attempt."""
    return (
        TaskCreate(id, ROOT_TASK, id, id, TaskKind.STEP, "READY"),
        TaskMove(id, TaskState.PENDING, TaskState.RUNNING, "STARTED", inputs=TaskValues({"x": 1})),
        AttemptCreate(id, 1, "fake"),
    )


def succeed(id: TaskId, key: str, output: Json) -> tuple[Change, ...]:
    outputs = TaskValues({"y": output})
    return (
        AttemptMove(id, 1, AttemptState.LAUNCHING, AttemptState.SUCCEEDED, "SUCCEEDED"),
        TaskMove(id, TaskState.RUNNING, TaskState.SUCCEEDED, "SUCCEEDED", outputs=outputs, cache_key=key),
    )


async def run_with(database: Database, *changes: Change) -> tuple[RunUid, ServerId]:
    await factories.insert_run(database)
    owner = factories.server_id()
    begin = (
        RunMove(RunState.PENDING, RunState.RUNNING, "STARTED"),
        TaskMove(ROOT_TASK, TaskState.PENDING, TaskState.RUNNING, "STARTED"),
    )
    async with database.transaction() as connection:
        await leases.register(connection, owner, 60)
        (held,) = await leases.claim_runs(connection, owner, 1)
        await transitions.commit(connection, owner, [RunChanges(held.uid, held.fence, 2, begin + changes)])
    return held.uid, owner


async def test_an_engine_finds_all_it_needs_to_go_on(database: Database) -> None:
    uid, owner = await run_with(database, *step(DONE), *succeed(DONE, "key", 2), *step(BUSY))
    async with database.connection() as connection:
        record = await loading.load_run(connection, uid)
    assert record is not None
    assert (record.owner, record.fence, record.run.event_sequence) == (owner, 1, 12)
    assert record.spec == factories.spec()[1]
    assert {task.id: task.state for task in record.tasks} == {
        ROOT_TASK: TaskState.RUNNING,
        DONE: TaskState.SUCCEEDED,
        BUSY: TaskState.RUNNING,
    }
    assert [attempt.task_id for attempt in record.attempts] == [BUSY]
    assert record.now >= (record.run.start_time or record.now)


async def test_a_run_that_is_gone_is_no_error(database: Database) -> None:
    async with database.connection() as connection:
        assert await loading.load_run(connection, RunUid(uuid.uuid4())) is None


async def test_numbers_are_stored_and_read_as_they_were(database: Database) -> None:
    numbers: list[Json] = [1e300, -1e300, 5e-324, 0.1, 2**53 + 1, -(2**60), 7]
    uid, _ = await run_with(database, *step(DONE), *succeed(DONE, "key", numbers))
    async with database.connection() as connection:
        record = await loading.load_run(connection, uid)
    assert record is not None
    (stored,) = (task.outputs.parameters["y"] for task in record.tasks if task.id == DONE)
    assert repr(stored) == repr(numbers)


async def test_the_newest_result_under_a_key_is_found(database: Database) -> None:
    await run_with(database, *step(DONE), *succeed(DONE, "key", 1))
    newest, _ = await run_with(database, *step(DONE), *succeed(DONE, "key", 2))
    async with database.connection() as connection:
        found = await tasks.find_cached(connection, "default", [Wanted("key"), Wanted("other")])
        assert await tasks.find_cached(connection, "elsewhere", [Wanted("key")]) == {}
    ((wanted, result),) = found.items()
    assert isinstance(result, CachedTask)
    assert (wanted, result.run_uid, result.outputs.parameters) == (Wanted("key"), newest, {"y": 2})
    assert 0 <= result.age_s < 60


async def test_without_a_result_the_newest_task_of_the_same_step_is_found(database: Database) -> None:
    for value in (1, 2):
        queued = TaskMove(
            DONE,
            TaskState.PENDING,
            TaskState.QUEUED,
            "READY",
            inputs=TaskValues({"x": value}),
            result_key=f"r{value}",
            step_key="step",
        )
        end = TaskMove(DONE, TaskState.QUEUED, TaskState.SUCCEEDED, "", outputs=TaskValues(), cache_key=f"k{value}")
        await run_with(database, TaskCreate(DONE, ROOT_TASK, "done", "", TaskKind.STEP, "READY"), queued, end)
    async with database.connection() as connection:
        found = await tasks.find_cached(connection, "default", [Wanted("k3", "step"), Wanted("k1", "step")])
        assert await tasks.find_cached(connection, "elsewhere", [Wanted("k3", "step")]) == {}
    earlier = found[Wanted("k3", "step")]
    assert isinstance(earlier, EarlierTask)
    assert (earlier.inputs.parameters, earlier.result_key) == ({"x": 2}, "r2")
    assert isinstance(found[Wanted("k1", "step")], CachedTask)


async def test_a_result_that_was_itself_reused_is_not_a_source(database: Database) -> None:
    source = (RunUid(uuid.uuid4()), DONE)
    reused = TaskMove(
        DONE,
        TaskState.PENDING,
        TaskState.SUCCEEDED,
        "CACHED",
        outputs=TaskValues({"y": 1}),
        cache_key="key",
        cached_from=source,
    )
    await run_with(database, TaskCreate(DONE, ROOT_TASK, "done", "", TaskKind.STEP, "READY"), reused)
    async with database.connection() as connection:
        assert await tasks.find_cached(connection, "default", [Wanted("key")]) == {}
