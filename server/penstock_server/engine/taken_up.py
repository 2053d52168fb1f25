"""Waiting until an engine has taken up what was asked of a run: until then the run looks as it did before."""

import time
from collections.abc import Callable

from penstock_server.engine.wakeups import Wakeups
from penstock_server.model.resources import Run
from penstock_server.model.states import RunState
from penstock_server.store import runs
from penstock_server.store.database import Database

TAKEN_UP_S = 3.0
"""So long is waited at most; an engine may be away, or busy."""


async def until_taken_up(
    database: Database, wakeups: Wakeups, asked: Run, is_taken_up: Callable[[Run], bool], bound_s: float = TAKEN_UP_S
) -> Run:
    """The run once `is_taken_up` holds of it, or as it is after `bound_s`. Raises NotFound when it is deleted."""
    with wakeups.of_run(asked.uid) as wakeup:
        give_up = time.monotonic() + bound_s
        while True:
            async with database.connection() as connection:
                run = await runs.get(connection, asked.namespace, asked.id)
            left = give_up - time.monotonic()
            if is_taken_up(run) or left <= 0:
                return run
            await wakeup.wait(min(left, wakeups.poll_s))


async def until_retried(database: Database, wakeups: Wakeups, asked: Run) -> Run:
    """The run once it goes on. `asked`: as it was when it was asked for that, ended."""
    return await until_taken_up(database, wakeups, asked, lambda run: run.event_sequence > asked.event_sequence)


async def until_cancelling(database: Database, wakeups: Wakeups, asked: Run) -> Run:
    """The run once it is about to end, or has."""
    cancelled = (RunState.CANCELLING, *(state for state in RunState if state.is_final))
    return await until_taken_up(database, wakeups, asked, lambda run: run.state in cancelled)
