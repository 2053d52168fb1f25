"""What may be asked of a run in which state, and who is told."""

import pytest

from penstock_server.model.changes import RequestFlags, RunLimits
from penstock_server.model.ids import ServerId
from penstock_server.model.resources import Run
from penstock_server.model.states import RunState
from penstock_server.store import leases, loading, requests, runs
from penstock_server.store.database import Database
from penstock_server.store.notifications import RECONNECTED, RUN_CHANNEL, Notifications
from tests import factories

ASKS = {
    "cancel": lambda connection, run: requests.request_cancel(connection, "default", run.id, "why"),
    "pause": lambda connection, run: requests.request_pause(connection, "default", run.id),
    "retry": lambda connection, run: requests.request_retry(connection, "default", run.id),
    "delete": lambda connection, run: requests.request_delete(connection, "default", run.id),
    "delete_ended": lambda connection, run: requests.delete_ended(connection, "default", run.id),
}
OPEN = {RunState.PENDING, RunState.RUNNING, RunState.CANCELLING}
ENDED = set(RunState) - OPEN
ALLOWED = {
    "cancel": OPEN,
    "pause": {RunState.PENDING, RunState.RUNNING},
    "retry": {RunState.FAILED, RunState.CANCELLED},
    "delete": OPEN,
    "delete_ended": ENDED,
}


async def run_in(database: Database, state: RunState) -> Run:
    run = await factories.insert_run(database)
    async with database.connection() as connection:
        end = "now()" if state.is_final else "NULL"
        await connection.execute(f"UPDATE run SET state = '{state}', end_time = {end}".encode())
    return run


async def asked_of(database: Database, run: Run) -> RequestFlags:
    async with database.connection() as connection:
        record = await loading.load_run(connection, run.uid)
    assert record is not None
    return record.requests


@pytest.mark.parametrize("state", RunState)
@pytest.mark.parametrize("ask", ASKS)
async def test_a_request_is_taken_in_its_states_only(database: Database, ask: str, state: RunState) -> None:
    run = await run_in(database, state)
    async with database.connection() as connection:
        assert await ASKS[ask](connection, run) == (state in ALLOWED[ask])
        assert (await runs.find_by_uid(connection, run.uid) is None) == (ask == "delete_ended" and state.is_final)


async def test_new_limits_are_asked_of_the_owner_and_old_ones_are_not(database: Database) -> None:
    run = await run_in(database, RunState.RUNNING)
    for limits, asked in ((RunLimits(), None), (RunLimits(5, 2), RunLimits(5, 2))):
        async with database.connection() as connection:
            run = await runs.update(connection, run, display_name="", description="", labels={}, limits=limits)
        assert (await asked_of(database, run)).limits == asked
    assert (run.priority, run.max_parallel_tasks) == (5, 2)


async def test_new_limits_of_an_ended_run_are_asked_of_nobody(database: Database) -> None:
    run = await run_in(database, RunState.FAILED)
    async with database.connection() as connection:
        await runs.update(connection, run, display_name="", description="", labels={}, limits=RunLimits(5))
    assert (await asked_of(database, run)).limits is None


async def test_the_first_message_of_a_cancel_stays(database: Database) -> None:
    run = await run_in(database, RunState.RUNNING)
    async with database.connection() as connection:
        await requests.request_cancel(connection, "default", run.id, "first")
        await requests.request_cancel(connection, "default", run.id, "second")
    assert await asked_of(database, run) == RequestFlags(cancel=True, cancel_message="first")


async def test_a_cancel_that_gave_exit_tasks_up_does_not_spare_them_again(database: Database) -> None:
    run = await run_in(database, RunState.CANCELLING)
    async with database.connection() as connection:
        await requests.request_cancel(connection, "default", run.id, "", exit_tasks=True)
        await requests.request_cancel(connection, "default", run.id, "")
    assert await asked_of(database, run) == RequestFlags(cancel=True, cancel_exit_tasks=True)


async def test_a_pause_and_its_end_are_each_asked_once(database: Database) -> None:
    run = await run_in(database, RunState.RUNNING)
    async with database.connection() as connection:
        assert not await requests.request_resume(connection, "default", run.id)
        assert await requests.request_pause(connection, "default", run.id)
        assert not await requests.request_pause(connection, "default", run.id)
        assert await asked_of(database, run) == RequestFlags(pause=True)
        assert await requests.request_resume(connection, "default", run.id)
    assert await asked_of(database, run) == RequestFlags(pause=False)


async def test_a_run_that_is_to_be_cancelled_is_not_paused(database: Database) -> None:
    run = await run_in(database, RunState.RUNNING)
    async with database.connection() as connection:
        await requests.request_cancel(connection, "default", run.id, "")
        assert not await requests.request_pause(connection, "default", run.id)


async def test_a_run_about_to_be_retried_is_deleted_by_its_owner(database: Database) -> None:
    run = await run_in(database, RunState.FAILED)
    async with database.connection() as connection:
        assert await requests.request_retry(connection, "default", run.id)
        assert not await requests.delete_ended(connection, "default", run.id)
        assert await requests.request_delete(connection, "default", run.id)
        assert not await requests.request_retry(connection, "default", run.id)
    assert await asked_of(database, run) == RequestFlags(retry=True, delete=True)


@pytest.mark.parametrize("ask", ["cancel", "delete", "delete_ended"])
async def test_a_request_from_an_old_revision_is_refused(database: Database, ask: str) -> None:
    run = await run_in(database, RunState.FAILED if ask == "delete_ended" else RunState.RUNNING)
    old = run.revision - 1
    async with database.connection() as connection:
        if ask == "cancel":
            assert not await requests.request_cancel(connection, "default", run.id, "why", old)
        elif ask == "delete":
            assert not await requests.request_delete(connection, "default", run.id, old)
        else:
            assert not await requests.delete_ended(connection, "default", run.id, old)


async def test_engines_are_told(database: Database) -> None:
    run = await run_in(database, RunState.RUNNING)
    notifications = Notifications(database.dsn)
    subscription = notifications.subscribe(RUN_CHANNEL)
    await notifications.start()
    assert await subscription.wait(10) == {RECONNECTED}
    async with database.connection() as connection:
        await requests.request_cancel(connection, "default", run.id, "why")
    assert await subscription.wait(10) == {str(run.uid)}
    await notifications.close()


async def test_an_owner_reads_what_was_asked_of_its_runs_and_no_others(database: Database) -> None:
    run = await factories.insert_run(database)
    owner, other = factories.server_id(), ServerId(factories.server_id())
    async with database.transaction() as connection:
        await leases.register(connection, owner, 60)
        await leases.claim_runs(connection, owner, 1)
        assert await leases.read_requests(connection, owner) == {}
        await requests.request_cancel(connection, "default", run.id, "why")
        flags = RequestFlags(cancel=True, cancel_message="why")
        assert await leases.read_requests(connection, owner) == {run.uid: flags}
        assert await leases.read_requests(connection, other) == {}
