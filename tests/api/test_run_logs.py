"""RunService: logs."""

import asyncio
from typing import Any

import pytest

from penstock.v1 import run_service_pb2 as pb
from penstock_server.model.changes import AttemptCreate, AttemptMove, TaskCreate, TaskMove
from penstock_server.model.ids import AttemptId
from penstock_server.model.resources import TaskKind
from penstock_server.model.states import AttemptState, TaskState
from tests import factories
from tests.api.calls import reason
from tests.api.conftest import Api
from tests.api.moving import ROOT, STEP, Mover, mover

RUN = "namespaces/default/runs/one"


@pytest.fixture
async def owner(api: Api) -> Mover:
    """Of a run that has begun, without steps yet."""
    owner = await mover(api.database, await factories.insert_run(api.database, id="one"))
    await owner.start()
    return owner


async def read(api: Api, task: str = "train", **fields: Any) -> list[pb.ReadLogsResponse]:
    request = pb.ReadLogsRequest(name=f"{RUN}/tasks/{task}", **fields)
    return [response async for response in api.runs.ReadLogs(request)]


def content(responses: list[pb.ReadLogsResponse]) -> bytes:
    return b"".join(response.content for response in responses)


async def test_a_log_is_read_from_an_offset_in_bounded_pieces(api: Api, owner: Mover) -> None:
    await owner.start_step()
    log = bytes(range(256)) * 600
    api.logs.contents[AttemptId(owner.uid, STEP, 1)] = log
    responses = await read(api)
    assert content(responses) == log
    assert max(len(response.content) for response in responses) == 65_536
    assert [response.offset for response in responses[1:]] == [r.next_offset for r in responses[:-1]]
    assert {response.attempt for response in responses} == {1}
    assert content(await read(api, offset=153_599)) == log[-1:]


async def test_following_a_log_ends_with_the_attempt(api: Api, owner: Mover) -> None:
    await owner.start_step()
    api.logs.contents[AttemptId(owner.uid, STEP, 1)] = b"begin\n"
    reading = asyncio.create_task(read(api, follow=True))
    api.logs.ended.set()
    assert content(await asyncio.wait_for(reading, 10)) == b"begin\nend\n"


async def test_following_waits_for_a_step_to_start(api: Api, owner: Mover) -> None:
    await owner.move(
        TaskCreate(STEP, ROOT, "train", "train", TaskKind.STEP, "READY"),
        TaskMove(STEP, TaskState.PENDING, TaskState.QUEUED, "READY"),
    )
    assert await reason(read(api)) == "ATTEMPT_NOT_FOUND"
    api.logs.contents[AttemptId(owner.uid, STEP, 1)] = b"begin\n"
    api.logs.ended.set()
    reading = asyncio.create_task(read(api, follow=True))
    await owner.move(TaskMove(STEP, TaskState.QUEUED, TaskState.RUNNING, "STARTED"), AttemptCreate(STEP, 1, "fake"))
    assert await read(api) == []
    await owner.move(AttemptMove(STEP, 1, AttemptState.LAUNCHING, AttemptState.RUNNING))
    assert content(await asyncio.wait_for(reading, 10)) == b"begin\nend\n"


async def test_the_newest_attempt_is_read_unless_another_is_named(api: Api, owner: Mover) -> None:
    await owner.start_step()
    await owner.move(
        AttemptMove(STEP, 1, AttemptState.RUNNING, AttemptState.FAILED, "EXIT_CODE"),
        TaskMove(STEP, TaskState.RUNNING, TaskState.QUEUED, "WAITING_FOR_RETRY"),
        TaskMove(STEP, TaskState.QUEUED, TaskState.RUNNING, "STARTED"),
        AttemptCreate(STEP, 2, "fake"),
        AttemptMove(STEP, 2, AttemptState.LAUNCHING, AttemptState.RUNNING),
    )
    api.logs.contents = {AttemptId(owner.uid, STEP, n): b"%d" % n for n in (1, 2)}
    assert content(await read(api)) == b"2"
    assert content(await read(api, attempt=1)) == b"1"
    assert await reason(read(api, attempt=3)) == "ATTEMPT_NOT_FOUND"


async def test_what_has_no_log_is_told(api: Api, owner: Mover) -> None:
    await owner.start_step()
    assert await reason(read(api)) == "LOG_NOT_FOUND"
    assert await reason(read(api, "root", follow=True)) == "ATTEMPT_NOT_FOUND"
    assert await reason(read(api, "nothing")) == "TASK_NOT_FOUND"
    request = pb.ReadLogsRequest(name="namespaces/default/runs/two/tasks/root")
    assert await reason(anext(aiter(api.runs.ReadLogs(request)))) == "RUN_NOT_FOUND"


async def test_an_offset_behind_the_end_of_an_ended_log_is_refused(api: Api, owner: Mover) -> None:
    await owner.start_step()
    api.logs.contents[AttemptId(owner.uid, STEP, 1)] = b"abc"
    assert await read(api, offset=4) == []
    await owner.end_step()
    assert await read(api, offset=3) == []
    assert content(await read(api, offset=2)) == b"c"
    assert await reason(read(api, offset=4)) == "LOG_OFFSET_OUT_OF_RANGE"


async def test_a_draining_server_ends_a_followed_log(api: Api, owner: Mover) -> None:
    await owner.start_step()
    api.logs.contents[AttemptId(owner.uid, STEP, 1)] = b"begin\n"
    stream = aiter(api.runs.ReadLogs(pb.ReadLogsRequest(name=f"{RUN}/tasks/train", follow=True)))
    assert (await anext(stream)).content == b"begin\n"
    api.wakeups.drain()
    assert await reason(anext(stream)) == "SERVER_DRAINING"
