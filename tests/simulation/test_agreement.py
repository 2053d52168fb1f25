"""The model of the store says what Postgres says: whole simulations are asked of both, statement by statement."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any

import pytest

from penstock_server.model.ids import RunUid
from penstock_server.model.resources import Event, Run
from penstock_server.store import events, leases, loading, requests, transitions
from penstock_server.store.database import Connection, Database
from penstock_server.store.leases import ClaimedRun
from penstock_server.store.loading import RunRecord
from penstock_server.store.transitions import CommitResult
from tests import factories
from tests.simulation.recording import Asked, RecordingStore
from tests.simulation.simulation import simulate

SEEDS = 40
LONG_S = 3600.0
"""So long leases last in Postgres here; those that lapse in the model are made to lapse there."""
UNALIKE = {"experiment_uid", "spec_digest", "display_name"}
"""Of runs: each side has its own."""


async def ask_postgres(database: Database, asked: Asked, ids: dict[RunUid, str]) -> Any:
    """Carry the statement out on Postgres; its answer."""
    async with database.transaction() as connection:
        await connection.execute(
            "UPDATE server SET expire_time = now() - interval '1 s' WHERE server_id = ANY(%s)", [list(asked.lapsed)]
        )
        match asked.name:
            case "register" | "heartbeat":
                return await getattr(leases, asked.name)(connection, asked.values[0], LONG_S)
            case "insert":
                return None
            case "ask":
                await request(connection, ids[asked.values[0]], **asked.options)
                return None
            case "load_run":
                return await loading.load_run(connection, *asked.values)
            case "commit":
                return await transitions.commit(connection, *asked.values)
            case name:
                return await getattr(leases, name)(connection, *asked.values)


async def request(connection: Connection, id: str, **asked: Any) -> None:
    """Ask something of a run as the API does."""
    match asked:
        case {"cancel": True}:
            exits = asked["cancel_exit_tasks"]
            await requests.request_cancel(connection, "default", id, "", exit_tasks=exits)
        case {"pause": True}:
            await requests.request_pause(connection, "default", id)
        case {"pause": False}:
            await requests.request_resume(connection, "default", id)
        case {"retry": True}:
            await requests.request_retry(connection, "default", id)
        case _:
            raise AssertionError(f"the simulation asks {asked}, and this test does not know how to")


def comparable(answer: Any) -> Any:
    """An answer without what each side has of its own, and in an order of its own."""
    match answer:
        case RunRecord():
            told = asdict(answer)
            run = {key: value for key, value in told.pop("run").items() if key not in UNALIKE}
            del told["spec"]
            tasks = sorted((told.pop("tasks")), key=lambda task: str(task["id"]))
            attempts = sorted(told.pop("attempts"), key=lambda each: (str(each["task_id"]), each["number"]))
            return without_times({"run": run, "tasks": tasks, "attempts": attempts, **told})
        case CommitResult():
            return answer.refused
        case [ClaimedRun(), *_]:
            return set(answer)
        case _:
            return answer


def without_times(value: Any) -> Any:
    """The value with nothing of a time but that there is one."""
    match value:
        case datetime():
            return "a time"
        case dict():
            return {key: without_times(each) for key, each in value.items()}
        case list():
            return [without_times(each) for each in value]
        case _:
            return value


def differences(postgres: Any, model: Any, place: str = "") -> list[str]:
    """Where two answers differ."""
    match postgres, model:
        case dict(), dict():
            keys = sorted(postgres.keys() | model.keys(), key=str)
            return [each for key in keys for each in differences(postgres.get(key), model.get(key), f"{place}.{key}")]
        case list(), list() if len(postgres) == len(model):
            pairs = zip(postgres, model, strict=True)
            return [each for index, pair in enumerate(pairs) for each in differences(*pair, f"{place}[{index}]")]
        case _:
            return [] if postgres == model else [f"{place}: {postgres!r} in Postgres, {model!r} in the model"]


def story(told: list[Event]) -> list[dict[str, Any]]:
    """Events, without what each side has of its own."""
    return [asdict(event) | {"time": None, "transaction_id": None} for event in told]


def recorded(seed: int) -> RecordingStore:
    """A simulation, with all that it asked of its store."""
    stores: list[RecordingStore] = []

    def make_store(clock: Callable[[], float]) -> RecordingStore:
        stores.append(RecordingStore(clock))
        return stores[0]

    simulate(seed, make_store)
    return stores[0]


async def make(database: Database, run: Run) -> str:
    made = await factories.insert_run(
        database,
        uid=run.uid,
        id=run.id,
        max_parallel_tasks=run.max_parallel_tasks,
        reason=run.reason,
        root_display_name="p",
    )
    return made.id


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_the_model_and_postgres_say_the_same(database: Database, seed: int) -> None:
    store = await asyncio.to_thread(recorded, seed)  # it has an event loop of its own
    ids: dict[RunUid, str] = {}
    for number, asked in enumerate(store.asked):
        if asked.name == "insert":
            ids[asked.values[0].uid] = await make(database, asked.values[0])
        answer = await ask_postgres(database, asked, ids)
        found = differences(comparable(answer), comparable(asked.answer))
        assert found == [], f"statement {number}, {asked.name}, after {store.asked[number - 1].name}"
    async with database.connection() as connection:
        for uid in ids:
            told = await events.list_run(connection, uid, 0, 100_000)
            assert differences(story(list(told)), story(store.runs[uid].rows.events)) == []
