"""RunService: the watches."""

import asyncio
import random
from typing import Any

import pytest

from penstock.v1 import run_pb2
from penstock.v1 import run_service_pb2 as pb
from penstock_server.api.run_watches import BATCH, RESPONSE_BYTES_MAX
from penstock_server.model.changes import Notice
from penstock_server.model.states import RunState
from tests import factories
from tests.api.calls import reason
from tests.api.conftest import Api
from tests.api.moving import Mover, mover

RUN = "namespaces/default/runs/one"
PATIENCE_S = 20


async def owned(api: Api, id: str = "one", **fields: Any) -> Mover:
    return await mover(api.database, await factories.insert_run(api.database, id=id, **fields))


async def watch(api: Api, **fields: Any) -> list[pb.WatchRunResponse]:
    async with asyncio.timeout(PATIENCE_S):
        stream = api.runs.WatchRun(pb.WatchRunRequest(name=RUN, **fields))
        return [response async for response in stream]


def sequences(responses: list[pb.WatchRunResponse]) -> list[int]:
    return [response.event.sequence for response in responses]


async def test_a_watch_tells_what_was_and_what_comes_and_ends_with_the_run(api: Api) -> None:
    owner = await owned(api)
    await owner.start()
    watching = asyncio.create_task(watch(api))
    await owner.start_step()
    await owner.end_step()
    await owner.end()
    responses = await watching
    assert sequences(responses) == list(range(1, owner.sequence + 1))
    assert responses[-1].run.state == run_pb2.Run.STATE_SUCCEEDED
    assert responses[4].task.name == f"{RUN}/tasks/train"
    for response in responses:
        assert response.HasField("run") == response.event.HasField("run_transition")
        assert response.HasField("task") == response.event.HasField("task_transition")


async def test_a_watch_of_a_finished_run_ends_at_once(api: Api) -> None:
    owner = await owned(api)
    await owner.start()
    await owner.end(RunState.FAILED)
    assert sequences(await watch(api)) == [1, 2, 3, 4, 5, 6]
    assert sequences(await watch(api, after_sequence=4)) == [5, 6]
    assert await watch(api, after_sequence=6) == []


async def test_a_watch_goes_on_after_its_token(api: Api) -> None:
    owner = await owned(api)
    await owner.start()
    await owner.end()
    responses = await watch(api)
    resumed = await watch(api, resume_token=responses[2].resume_token, after_sequence=1)
    assert resumed == responses[3:]
    assert await reason(watch(api, resume_token="made-up")) == "INVALID_RESUME_TOKEN"


def spread(batches: list[pb.WatchRunResponse]) -> list[pb.WatchRunResponse]:
    """Each event in a response of its own."""
    responses: list[pb.WatchRunResponse] = []
    for batch in batches:
        more = list(batch.more)
        del batch.more[:]
        responses += [batch, *more]
    return responses


@pytest.mark.parametrize("size", [2, 3, BATCH, 1000])
async def test_several_events_in_a_response_are_the_same_events_with_the_same_tokens(api: Api, size: int) -> None:
    owner = await owned(api)
    await owner.start()
    await owner.move(*(Notice("NOTE", str(n)) for n in range(2 * BATCH)))
    await owner.end()
    batches = await watch(api, batch_size=size)
    assert max(1 + len(batch.more) for batch in batches) == min(size, BATCH)
    responses = spread(batches)
    assert responses == await watch(api)
    middle = responses[7]
    assert sequences(spread(await watch(api, resume_token=middle.resume_token, batch_size=size)))[0] == 9


async def test_a_response_of_several_events_stays_small(api: Api) -> None:
    owner = await owned(api)
    await owner.start()
    await owner.move(*(Notice("NOTE", "x" * 100_000) for _ in range(12)))
    await owner.end()
    batches = await watch(api, batch_size=1000)
    assert all(batch.ByteSize() <= RESPONSE_BYTES_MAX + 10_000 for batch in batches)
    assert len(batches) > 2
    assert sequences(spread(batches)) == list(range(1, owner.sequence + 1))


async def test_more_events_than_fit_one_read_come_in_order(api: Api) -> None:
    owner = await owned(api)
    await owner.start()
    await owner.move(*(Notice("NOTE", str(n)) for n in range(2 * BATCH)))
    await owner.end()
    assert sequences(await watch(api)) == list(range(1, owner.sequence + 1))


async def test_a_watch_cut_at_random_equals_the_event_log(api: Api) -> None:
    owner, dice, told, token = await owned(api), random.Random(7), [], ""

    async def live() -> None:
        await owner.start()
        for number in range(60):
            await owner.move(*(Notice("NOTE", str(number)) for _ in range(dice.randint(1, 5))))
        await owner.end()

    living = asyncio.create_task(live())
    done = False
    async with asyncio.timeout(PATIENCE_S):
        while not done:
            stream = api.runs.WatchRun(pb.WatchRunRequest(name=RUN, resume_token=token))
            left = dice.randint(1, 20)
            async for response in stream:
                told.append(response.event)
                token = response.resume_token
                left -= 1
                if not left:
                    stream.cancel()
                    break
            else:
                done = True
    await living
    log: list[Any] = []
    while len(log) < owner.sequence:
        request = pb.ListEventsRequest(parent=RUN, after_sequence=len(log), page_size=1000)
        log += (await api.runs.ListEvents(request)).events
    assert told == log


async def test_a_watch_of_a_deleted_run_says_so(api: Api) -> None:
    owner = await owned(api)
    stream = aiter(api.runs.WatchRun(pb.WatchRunRequest(name=RUN)))
    first = await anext(stream)
    await anext(stream)
    async with api.database.connection() as connection:
        await connection.execute("DELETE FROM run")
    assert await reason(anext(stream)) == "RUN_DELETED"
    assert await reason(watch(api)) == "RUN_NOT_FOUND"
    again = await owned(api)
    assert again.uid != owner.uid
    assert await reason(watch(api, resume_token=first.resume_token)) == "RUN_DELETED"


async def test_a_draining_server_ends_its_watches(api: Api) -> None:
    await owned(api)
    stream = aiter(api.runs.WatchRun(pb.WatchRunRequest(name=RUN, after_sequence=2)))
    everything = aiter(api.runs.WatchRuns(pb.WatchRunsRequest(parent="namespaces/default")))
    assert (await anext(everything)).synced
    waiting = [asyncio.ensure_future(anext(stream)), asyncio.ensure_future(anext(everything))]
    api.wakeups.drain()
    for call in waiting:
        assert await reason(asyncio.wait_for(call, PATIENCE_S)) == "SERVER_DRAINING"


async def test_a_watch_hears_of_events_without_a_notification(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api.wakeups, "_wake", lambda *_: None)
    owner = await owned(api)
    watching = asyncio.create_task(watch(api))
    await owner.start()
    await owner.end()
    assert sequences(await watching) == list(range(1, owner.sequence + 1))


class Moves:
    """The moves that a watch of all runs tells."""

    def __init__(self, api: Api, **fields: Any) -> None:
        self.stream = api.runs.WatchRuns(pb.WatchRunsRequest(parent="namespaces/default", **fields))
        self.responses = aiter(self.stream)
        self.token = ""

    async def next(self) -> pb.WatchRunsResponse:
        response: pb.WatchRunsResponse = await asyncio.wait_for(anext(self.responses), PATIENCE_S)
        self.token = response.resume_token
        return response

    async def move(self) -> tuple[str, str]:
        """Id and state of the next run that moves."""
        while not (response := await self.next()).HasField("run"):
            pass
        to_state = response.event.run_transition.to_state
        return response.run.name.rpartition("/")[2], run_pb2.Run.State.Name(to_state).removeprefix("STATE_")


async def test_moves_of_all_runs_are_told_from_now_on(api: Api) -> None:
    await owned(api, "early")
    moves = Moves(api)
    first = await moves.next()
    assert first.synced
    assert not first.HasField("run")
    one, two = await owned(api, "one"), await owned(api, "two")
    await two.start()
    await one.start()
    await one.start_step()
    await one.end()
    told = [await moves.move() for _ in range(5)]
    assert told == [("one", "PENDING"), ("two", "PENDING"), ("two", "RUNNING"), ("one", "RUNNING"),
                    ("one", "SUCCEEDED")]  # fmt: skip


async def test_only_runs_that_the_filter_holds_for_are_told(api: Api) -> None:
    moves = Moves(api, filter="labels.team = vision")
    await moves.next()
    await owned(api, "other")
    await owned(api, "ours", labels={"team": "vision"})
    assert await moves.move() == ("ours", "PENDING")


async def test_runs_of_other_namespaces_are_not_told(api: Api) -> None:
    async with api.database.transaction() as connection:
        await connection.execute("INSERT INTO namespace (name) VALUES ('other')")
        await connection.execute("INSERT INTO experiment (namespace, id) VALUES ('other', 'default')")
    moves = Moves(api)
    await moves.next()
    await owned(api, "theirs", namespace="other")
    await owned(api, "ours")
    assert await moves.move() == ("ours", "PENDING")


async def test_a_resumed_watch_of_all_runs_misses_nothing_and_says_when_it_has_caught_up(api: Api) -> None:
    moves = Moves(api)
    token = (await moves.next()).resume_token
    moves.stream.cancel()
    for number in range(5):
        await owned(api, f"run-{number}")
    resumed = Moves(api, resume_token=token)
    told = [await resumed.next() for _ in range(6)]
    assert [response.run.name.rpartition("-")[2] for response in told[:5]] == ["0", "1", "2", "3", "4"]
    assert [response.synced for response in told] == [False] * 5 + [True]
    await owned(api, "late")
    assert await resumed.move() == ("late", "PENDING")


async def test_a_run_whose_transaction_commits_late_is_not_passed_over(api: Api) -> None:
    moves = Moves(api)
    await moves.next()
    async with api.database.transaction() as early:
        await early.execute("UPDATE namespace SET description = 'x' WHERE name = 'default'")
        await owned(api, "one")
        await early.execute("SELECT pg_notify('penstock_event', 'x')")
    assert await moves.move() == ("one", "PENDING")


async def test_what_is_wrong_with_a_watch_of_all_runs_is_told(api: Api) -> None:
    assert await reason(Moves(api, filter="colour = red").next()) == "INVALID_FILTER"
    assert await reason(Moves(api, resume_token="made-up").next()) == "INVALID_RESUME_TOKEN"
    moves = Moves(api)
    await moves.next()
    other = Moves(api, filter="state = FAILED", resume_token=moves.token)
    assert await reason(other.next()) == "INVALID_RESUME_TOKEN"
    nowhere = api.runs.WatchRuns(pb.WatchRunsRequest(parent="namespaces/nowhere"))
    assert await reason(anext(aiter(nowhere))) == "NAMESPACE_NOT_FOUND"
