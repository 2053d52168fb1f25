"""The group commit: whole runs or nothing, under the fence, each move from the state it names."""

import uuid

import pytest

from penstock_server.model.changes import (
    AttemptCreate,
    AttemptMove,
    Change,
    Notice,
    RunChanges,
    RunMove,
    RunPause,
    TaskCreate,
    TaskMove,
)
from penstock_server.model.errors import Internal
from penstock_server.model.ids import ROOT_TASK, AttemptId, RunUid, ServerId, TaskId
from penstock_server.model.resources import ArtifactValue, Run, TaskKind, TaskValues
from penstock_server.model.states import AttemptState, FailureClass, RunState, TaskState
from penstock_server.store import events, leases, requests, runs, tasks, transitions
from penstock_server.store.database import Database
from tests import factories

STEP = TaskId("train")
BEGIN: tuple[Change, ...] = (
    RunMove(RunState.PENDING, RunState.RUNNING, "STARTED"),
    TaskMove(ROOT_TASK, TaskState.PENDING, TaskState.RUNNING),
    TaskCreate(STEP, ROOT_TASK, "train", "Train", TaskKind.STEP, "READY"),
    TaskMove(STEP, TaskState.PENDING, TaskState.QUEUED, inputs=TaskValues({"lr": 1.5})),
    TaskMove(STEP, TaskState.QUEUED, TaskState.RUNNING),
    AttemptCreate(STEP, 1, "fake"),
)
MODEL = ArtifactValue("model", "system.Model", "file:///a", {"nan": float("nan"), "text": "a\0b"}, "sha256:1", 3)
END: tuple[Change, ...] = (
    AttemptMove(STEP, 1, AttemptState.LAUNCHING, AttemptState.RUNNING, host="here", handle="7"),
    AttemptMove(STEP, 1, AttemptState.RUNNING, AttemptState.SUCCEEDED, exit_code=0),
    TaskMove(STEP, TaskState.RUNNING, TaskState.SUCCEEDED, outputs=TaskValues({"Output": 3}, {"model": (MODEL,)})),
    Notice("SETTINGS_IGNORED", "the image is not used", STEP, 1),
    TaskMove(ROOT_TASK, TaskState.RUNNING, TaskState.SUCCEEDED),
    RunMove(RunState.RUNNING, RunState.SUCCEEDED, "DONE", outputs={"Output": 3}),
)


async def owned(database: Database) -> tuple[Run, ServerId, int]:
    """A run with an owner."""
    run = await factories.insert_run(database)
    server = factories.server_id()
    async with database.transaction() as connection:
        await leases.register(connection, server, 60)
        claimed = await leases.claim_runs(connection, server, 10)
    return run, server, claimed[0].fence


async def commit(database: Database, server: ServerId, *batch: RunChanges) -> frozenset[object]:
    async with database.transaction() as connection:
        return frozenset((await transitions.commit(connection, server, batch)).refused)


async def test_a_run_goes_its_way_and_every_move_is_one_event(database: Database) -> None:
    run, server, fence = await owned(database)
    assert not await commit(database, server, RunChanges(run.uid, fence, 2, BEGIN))
    assert not await commit(database, server, RunChanges(run.uid, fence, 8, END))
    async with database.connection() as connection:
        ended = await runs.get(connection, run.namespace, run.id)
        step = await tasks.get(connection, run.uid, STEP)
        (attempt,) = await tasks.attempts(connection, run.uid, STEP)
        told = await events.list_run(connection, run.uid, 0, 100)
    assert (ended.state, ended.outputs, ended.event_sequence) == (RunState.SUCCEEDED, {"Output": 3}, 14)
    assert (step.state, step.attempt_count, step.inputs.parameters) == (TaskState.SUCCEEDED, 1, {"lr": 1.5})
    assert step.outputs.artifacts["model"][0].metadata == {"nan": "NaN", "text": "a\ufffdb"}
    assert (attempt.state, attempt.host, attempt.handle) == (AttemptState.SUCCEEDED, "here", "7")
    assert [event.sequence for event in told] == list(range(1, 15))


async def test_a_stale_fence_writes_nothing_while_others_go_through(database: Database) -> None:
    one, server, fence = await owned(database)
    other = await factories.insert_run(database)
    async with database.transaction() as connection:
        (claimed,) = await leases.claim_runs(connection, server, 10)
    stale = RunChanges(one.uid, fence - 1, 2, BEGIN)
    refused = await commit(database, server, stale, RunChanges(other.uid, claimed.fence, 2, BEGIN))
    assert refused == {one.uid}
    async with database.connection() as connection:
        assert (await runs.get(connection, one.namespace, one.id)).state is RunState.PENDING
        assert len(await events.list_run(connection, one.uid, 0, 100)) == 2
        assert (await runs.get(connection, other.namespace, other.id)).state is RunState.RUNNING


async def test_a_batch_from_another_place_in_the_history_is_refused(database: Database) -> None:
    run, server, fence = await owned(database)
    assert await commit(database, server, RunChanges(run.uid, fence, 1, BEGIN)) == {run.uid}


@pytest.mark.parametrize(
    "wrong",
    [
        RunMove(RunState.RUNNING, RunState.SUCCEEDED),
        TaskMove(ROOT_TASK, TaskState.QUEUED, TaskState.RUNNING),
        AttemptMove(STEP, 1, AttemptState.LAUNCHING, AttemptState.RUNNING),
    ],
)
async def test_a_move_from_a_state_that_is_not_there_rolls_everything_back(database: Database, wrong: Change) -> None:
    run, server, fence = await owned(database)
    with pytest.raises(Internal):
        await commit(database, server, RunChanges(run.uid, fence, 2, (Notice("N", "n"), wrong)))
    async with database.connection() as connection:
        assert len(await events.list_run(connection, run.uid, 0, 100)) == 2


async def test_a_retried_run_begins_with_a_clean_slate(database: Database) -> None:
    run, server, fence = await owned(database)
    failed = (
        *BEGIN,
        AttemptMove(STEP, 1, AttemptState.LAUNCHING, AttemptState.FAILED, "EXIT_CODE", exit_code=1),
        TaskMove(STEP, TaskState.RUNNING, TaskState.FAILED, "EXIT_CODE"),
        TaskMove(ROOT_TASK, TaskState.RUNNING, TaskState.FAILED),
        RunMove(RunState.RUNNING, RunState.FAILED, "TASK_FAILED", failed_task_id=STEP),
    )
    await commit(database, server, RunChanges(run.uid, fence, 2, failed))
    async with database.transaction() as connection:
        await connection.execute("UPDATE run SET retry_request_time = now()")
        (claimed,) = await leases.claim_runs(connection, server, 1)
    again = (
        RunMove(RunState.FAILED, RunState.PENDING, "RETRY"),
        TaskMove(STEP, TaskState.FAILED, TaskState.PENDING),
        TaskMove(ROOT_TASK, TaskState.FAILED, TaskState.PENDING),
    )
    await commit(database, server, RunChanges(run.uid, claimed.fence, 2 + len(failed), again))
    async with database.connection() as connection:
        waiting = await runs.get(connection, run.namespace, run.id)
        step = await tasks.get(connection, run.uid, STEP)
        assert await leases.read_requests(connection, server) == {}
    assert (waiting.state, waiting.end_time, waiting.failed_task_id) == (RunState.PENDING, None, None)
    assert (step.state, step.end_time, step.inputs.parameters) == (TaskState.PENDING, None, {})


async def test_what_decides_a_result_and_why_none_was_reused_stay_with_the_task(database: Database) -> None:
    run, server, fence = await owned(database)
    noted = (
        *BEGIN[:3],
        TaskMove(STEP, TaskState.PENDING, TaskState.QUEUED, result_key="sha256:1", cache_note="x differs"),
        TaskMove(STEP, TaskState.QUEUED, TaskState.RUNNING),
        AttemptCreate(STEP, 1, "fake"),
        AttemptMove(
            STEP, 1, AttemptState.LAUNCHING, AttemptState.LOST, "PROCESS_GONE", failure_class=FailureClass.LOST
        ),
    )
    await commit(database, server, RunChanges(run.uid, fence, 2, noted))
    async with database.connection() as connection:
        step = await tasks.get(connection, run.uid, STEP)
        (attempt,) = await tasks.attempts(connection, run.uid, STEP)
    assert (step.result_key, step.cache_note) == ("sha256:1", "x differs")
    assert attempt.failure_class is FailureClass.LOST


async def test_a_step_is_queued_since_it_became_so_whatever_it_waits_for(database: Database) -> None:
    run, server, fence = await owned(database)
    await commit(database, server, RunChanges(run.uid, fence, 2, BEGIN[:4]))
    async with database.connection() as connection:
        first = (await tasks.get(connection, run.uid, STEP)).queue_time
    again = TaskMove(STEP, TaskState.QUEUED, TaskState.QUEUED, "RUN_PAUSED")
    await commit(database, server, RunChanges(run.uid, fence, 6, (again,)))
    async with database.connection() as connection:
        paused = await tasks.get(connection, run.uid, STEP)
    assert first is not None
    assert (paused.queue_time, paused.reason) == (first, "RUN_PAUSED")
    retried = (
        TaskMove(STEP, TaskState.QUEUED, TaskState.RUNNING),
        AttemptCreate(STEP, 1, "fake"),
        AttemptMove(STEP, 1, AttemptState.LAUNCHING, AttemptState.FAILED, "EXIT_CODE"),
        TaskMove(STEP, TaskState.RUNNING, TaskState.QUEUED, "WAITING_FOR_RETRY"),
    )
    await commit(database, server, RunChanges(run.uid, fence, 7, retried))
    async with database.connection() as connection:
        queued_again = (await tasks.get(connection, run.uid, STEP)).queue_time
    assert queued_again is not None
    assert queued_again > first


async def artifact_rows(database: Database) -> list[tuple[str, str]]:
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT task_id, uri FROM artifact ORDER BY task_id")
        return [(str(task_id), str(uri)) for task_id, uri in await cursor.fetchall()]


async def test_a_step_that_had_succeeded_and_runs_again_records_its_artifacts_anew(database: Database) -> None:
    run, server, fence = await owned(database)
    changes = BEGIN + END[:4]
    await commit(database, server, RunChanges(run.uid, fence, 2, changes))
    assert await artifact_rows(database) == [(STEP, "file:///a")]
    reset = (TaskMove(STEP, TaskState.SUCCEEDED, TaskState.PENDING),)
    assert await commit(database, server, RunChanges(run.uid, fence - 1, 12, reset)) == {run.uid}
    assert await artifact_rows(database) == [(STEP, "file:///a")]
    await commit(database, server, RunChanges(run.uid, fence, 12, reset))
    assert await artifact_rows(database) == []
    other = ArtifactValue("model", "system.Model", "file:///b")
    again = (
        TaskMove(STEP, TaskState.PENDING, TaskState.RUNNING),
        AttemptCreate(STEP, 2, "fake"),
        AttemptMove(STEP, 2, AttemptState.LAUNCHING, AttemptState.SUCCEEDED),
        TaskMove(STEP, TaskState.RUNNING, TaskState.SUCCEEDED, outputs=TaskValues({}, {"model": (other,)})),
    )
    await commit(database, server, RunChanges(run.uid, fence, 13, again))
    assert await artifact_rows(database) == [(STEP, "file:///b")]


async def test_a_task_reset_and_done_again_in_one_batch_keeps_its_new_artifacts(database: Database) -> None:
    run, server, fence = await owned(database)
    await commit(database, server, RunChanges(run.uid, fence, 2, BEGIN + END[:4]))
    again = (
        TaskMove(STEP, TaskState.SUCCEEDED, TaskState.PENDING),
        TaskMove(STEP, TaskState.PENDING, TaskState.SUCCEEDED, outputs=TaskValues({}, {"model": (MODEL,)})),
    )
    await commit(database, server, RunChanges(run.uid, fence, 12, again))
    assert await artifact_rows(database) == [(STEP, "file:///a")]


async def pause_of(database: Database, run: Run) -> tuple[bool, bool]:
    """Whether the run is paused, and whether its owner has yet to take the wish up."""
    async with database.connection() as connection:
        cursor = await connection.execute(
            "SELECT pause_time IS NOT NULL, pause_request_time IS NOT NULL FROM run WHERE uid = %s", [run.uid]
        )
        row = await cursor.fetchone()
    assert row is not None
    return row[0], row[1]


async def test_a_pause_that_is_taken_up_is_a_notice_and_asked_for_no_more(database: Database) -> None:
    run, server, fence = await owned(database)
    async with database.connection() as connection:
        assert await requests.request_pause(connection, "default", run.id)
    assert await pause_of(database, run) == (True, True)
    await commit(database, server, RunChanges(run.uid, fence, 2, (RunPause(False),)))
    assert await pause_of(database, run) == (True, True), "another wish was taken up"
    await commit(database, server, RunChanges(run.uid, fence, 3, (RunPause(True, "by hand"),)))
    assert await pause_of(database, run) == (True, False)
    async with database.connection() as connection:
        *_, told = await events.list_run(connection, run.uid, 0, 100)
    assert (told.subject, told.reason, told.message) == ("NOTICE", "RUN_PAUSED", "by hand")


@pytest.mark.parametrize("end", [RunState.CANCELLING, RunState.SUCCEEDED])
async def test_a_run_that_ends_is_paused_no_more(database: Database, end: RunState) -> None:
    run, server, fence = await owned(database)
    await commit(database, server, RunChanges(run.uid, fence, 2, BEGIN))
    async with database.connection() as connection:
        assert await requests.request_pause(connection, "default", run.id)
    await commit(database, server, RunChanges(run.uid, fence, 8, (RunMove(RunState.RUNNING, end),)))
    assert await pause_of(database, run) == (False, False)


async def test_attempts_are_over_once_they_have_ended_or_their_run_is_gone_unless_the_fence_is_newer(
    database: Database,
) -> None:
    run, server, fence = await owned(database)
    await commit(database, server, RunChanges(run.uid, fence, 2, BEGIN))
    mine, other = AttemptId(run.uid, STEP, 1), AttemptId(RunUid(uuid.uuid4()), STEP, 1)

    async def over(**fences: int) -> set[AttemptId]:
        asked = {mine: fences["mine"], other: 9}
        async with database.connection() as connection:
            return await tasks.over(connection, asked)

    assert await over(mine=fence) == {other}
    await commit(database, server, RunChanges(run.uid, fence, 8, END))
    assert await over(mine=fence + 1) == {other}
    assert await over(mine=fence) == {mine, other}
