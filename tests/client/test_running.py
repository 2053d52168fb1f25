"""Making runs, watching them over cuts, waiting for them, reading logs."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

import penstock.aio
from penstock import CancelledError, Client, InternalError, NotFoundError, UnavailableError
from penstock.resuming import Backoff
from penstock.v1.pipeline_pb2 import PipelineVersion
from penstock.v1.run_pb2 import Run
from penstock.v1.run_service_pb2 import (
    CreateRunRequest,
    CreateRunResponse,
    GetRunRequest,
    GetRunResponse,
    ReadLogsRequest,
    ReadLogsResponse,
    WatchRunRequest,
    WatchRunResponse,
    WatchRunsResponse,
)
from penstock.values import from_values
from tests.client.scripted import ScriptedServer, cut, fail
from tests.client.stories import RUN, Story

QUICK = Backoff(first_s=0.001, longest_s=0.01, patience_s=5.0)
LINE_FIT = "namespaces/default/pipelines/line-fit"


@pytest.fixture
def created(server: ScriptedServer) -> ScriptedServer:
    server.on("CreateRun", CreateRunResponse(run=Run(name=RUN)))
    return server


@pytest.mark.parametrize(
    ("source", "version"),
    [
        ("line-fit", f"{LINE_FIT}/versions/latest"),
        ("line-fit@3", f"{LINE_FIT}/versions/3"),
        (f"{LINE_FIT}@v1.2", f"{LINE_FIT}/versions/v1.2"),
        (PipelineVersion(name=f"{LINE_FIT}/versions/2"), f"{LINE_FIT}/versions/2"),
    ],
)
def test_a_run_of_a_pipeline_names_a_version(
    created: ScriptedServer, client: Client, source: str | PipelineVersion, version: str
) -> None:
    assert client.create_run(source).name == RUN
    assert created.requests[0].run.pipeline_version == version


def test_a_run_of_a_file_carries_its_text(created: ScriptedServer, client: Client, tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text("root: {}\n")
    client.create_run(file)
    client.create_run(str(file))
    client.create_run("root: {}\n")
    client.create_run({"root": {"big": 2**60}})
    texts = [request.run.inline_spec.text for request in created.requests]
    assert texts[:3] == ["root: {}\n"] * 3
    assert json.loads(texts[3]) == {"root": {"big": 2**60}}


def test_a_missing_file_is_told_before_anything_is_sent(client: Client) -> None:
    with pytest.raises(FileNotFoundError):
        client.create_run("nowhere.yaml")


def test_what_is_asked_of_a_run_is_sent(created: ScriptedServer, client: Client) -> None:
    parameters = {"n": 5, "lr": 0.5, "on": True, "tags": ["a"], "options": {"deep": None}}
    client.create_run(
        "line-fit",
        parameters,
        run_id="mine",
        experiment="tuning",
        labels={"team": "vision"},
        cache_policy="refresh",
        deadline=timedelta(minutes=2),
    )
    (request,) = created.requests_of(CreateRunRequest)
    assert (request.run_id, request.run.deadline.seconds) == ("mine", 120)
    assert request.run.experiment == "namespaces/default/experiments/tuning"
    assert request.run.cache_policy == Run.CACHE_POLICY_REFRESH
    assert from_values(request.run.parameters) == parameters
    assert request.request_id


@pytest.mark.parametrize("value", [2**53 + 1, float("nan"), object()])
def test_values_that_json_would_change_are_refused(client: Client, value: object) -> None:
    with pytest.raises(ValueError, match="lr"):
        client.create_run("line-fit", {"lr": value})


@pytest.mark.parametrize("batch", [1, 3, 100])
@pytest.mark.parametrize("cuts", [(), (1,), (3, 4), (0, 0, 9), (2, 2, 2, 2)])
def test_a_watch_has_no_gap_and_no_duplicate_over_cuts(
    server: ScriptedServer, client: Client, cuts: tuple[int, ...], batch: int
) -> None:
    story = Story()
    story.script(server, cuts=cuts, batch=batch)
    seen = [response.event.sequence for response in client.watch_run(RUN, backoff=QUICK)]
    assert seen == story.sequences
    assert len(server.requests_of(WatchRunRequest)) == len(cuts) + 1


def test_a_watch_goes_on_with_a_server_that_was_started_again() -> None:
    story, server = Story(), ScriptedServer()
    gone = server.cancellation()

    def watch(request: WatchRunRequest, context: grpc.ServicerContext) -> Iterator[WatchRunResponse]:
        first = int(request.resume_token or 0)
        yield from story.responses[first : first + 4]
        gone.wait(20)
        yield from story.responses[first + 4 :]

    server.on("WatchRun", watch)
    with ExitStack() as clients:
        with server.serving():
            client = clients.enter_context(Client(server.address))
            watching = client.watch_run(story.run(at=1), backoff=QUICK)
            seen = [next(watching).event.sequence for _ in range(4)]
        with server.serving():
            seen += [response.event.sequence for response in watching]
    assert seen == story.sequences


async def test_the_asyncio_watch_does_the_same(server: ScriptedServer, aio_client: penstock.aio.Client) -> None:
    story = Story()
    story.script(server, cuts=(2, 0, 3))
    seen = [response.event.sequence async for response in aio_client.watch_run(RUN, backoff=QUICK)]
    assert seen == story.sequences


def test_events_told_twice_are_shown_once(server: ScriptedServer, client: Client) -> None:
    story = Story()
    story.script(server)
    again = [*story.responses[:4], *story.responses[2:]]
    server.on("WatchRun", lambda request, context: iter(again))
    assert [r.event.sequence for r in client.watch_run(RUN)] == story.sequences


def test_a_missing_event_is_an_error(server: ScriptedServer, client: Client) -> None:
    story = Story()
    story.script(server)
    server.on("WatchRun", lambda request, context: iter([story.responses[0], story.responses[2]]))
    with pytest.raises(InternalError, match="EVENTS_MISSING"):
        list(client.watch_run(RUN))


def test_a_stream_that_ends_before_the_run_is_taken_up_again(server: ScriptedServer, client: Client) -> None:
    story = Story()
    story.script(server)

    def watch(request: WatchRunRequest, context: grpc.ServicerContext) -> Iterator[WatchRunResponse]:
        first = int(request.resume_token or 0)
        return iter(story.responses[first : first + 4])

    server.on("WatchRun", watch)
    assert [r.event.sequence for r in client.watch_run(RUN, backoff=QUICK)] == story.sequences


def test_a_watch_of_a_run_that_is_not_there_fails_at_once(server: ScriptedServer, client: Client) -> None:
    code = grpc.StatusCode.NOT_FOUND
    server.on("GetRun", lambda request, context: fail(context, code, "RUN_NOT_FOUND"))
    with pytest.raises(NotFoundError):
        next(client.watch_run("nowhere"))
    assert len(server.requests) == 1


def test_patience_ends(server: ScriptedServer, client: Client) -> None:
    server.on("GetRun", GetRunResponse(run=Run(name=RUN)))
    server.on("WatchRun", lambda request, context: cut(context))
    impatient = Backoff(first_s=0.001, longest_s=0.002, patience_s=0.05)
    with pytest.raises(UnavailableError):
        list(client.watch_run(RUN, backoff=impatient))
    assert len(server.requests_of(WatchRunRequest)) > 2


def test_leaving_a_watch_cancels_the_call(server: ScriptedServer, client: Client) -> None:
    story = Story()
    story.script(server)
    cancelled = server.cancellation()

    def watch(request: WatchRunRequest, context: grpc.ServicerContext) -> Iterator[WatchRunResponse]:
        context.add_callback(cancelled.set)
        yield story.responses[0]
        cancelled.wait(20)

    server.on("WatchRun", watch)
    watching = client.watch_run(RUN)
    next(watching)
    watching.close()
    assert cancelled.wait(20)


def test_closing_the_client_ends_its_watches(server: ScriptedServer, client: Client) -> None:
    story = Story()
    story.script(server)
    go_on = server.cancellation()

    def watch(request: WatchRunRequest, context: grpc.ServicerContext) -> Iterator[WatchRunResponse]:
        yield story.responses[0]
        go_on.wait(20)

    server.on("WatchRun", watch)
    watching = client.watch_run(RUN, backoff=QUICK)
    next(watching)
    client.close()
    with pytest.raises(CancelledError):
        next(watching)


def test_wait_returns_the_run_at_its_end(server: ScriptedServer, client: Client) -> None:
    story = Story(fails=True)
    story.script(server, cuts=(2, 1))
    ended = client.wait(story.run(at=1), backoff=QUICK)
    assert ended.state == Run.STATE_FAILED
    assert server.requests_of(WatchRunRequest)[0].after_sequence == 1
    assert server.requests_of(GetRunRequest) == []


async def test_asyncio_waits_too(server: ScriptedServer, aio_client: penstock.aio.Client) -> None:
    story = Story()
    story.script(server)
    ended = await aio_client.wait("line-fit-1")
    assert ended.state == Run.STATE_SUCCEEDED


def test_wait_asks_again_about_a_run_that_was_seen_ended(server: ScriptedServer, client: Client) -> None:
    """It may have been retried since."""
    story = Story()
    story.script(server, at=1)
    assert client.wait(story.run(), backoff=QUICK).state == Run.STATE_SUCCEEDED
    assert len(server.requests_of(WatchRunRequest)) == 1


def test_wait_gives_up_after_its_timeout(server: ScriptedServer, client: Client) -> None:
    story = Story()
    ended = server.cancellation()

    def watch(request: WatchRunRequest, context: grpc.ServicerContext) -> Iterator[WatchRunResponse]:
        context.add_callback(ended.set)
        ended.wait(20)
        return iter(())

    server.on("WatchRun", watch)
    with pytest.raises(TimeoutError):
        client.wait(story.run(at=2), timeout=0.2)


def test_moves_of_all_runs_go_on_from_their_token(server: ScriptedServer, client: Client) -> None:
    def watch(request: WatchRunRequest, context: grpc.ServicerContext) -> Iterator[WatchRunsResponse]:
        first = int(request.resume_token or 0)
        yield WatchRunsResponse(synced=True, resume_token=str(first + 1))
        if first >= 2:
            fail(context, grpc.StatusCode.PERMISSION_DENIED, "ENOUGH")

    server.on("WatchRuns", watch)
    moves = client.watch_runs(filter="state = FAILED", backoff=QUICK)
    assert [next(moves).resume_token for _ in range(3)] == ["1", "2", "3"]
    assert {request.filter for request in server.requests} == {"state = FAILED"}
    moves.close()


LOG = b"one\ntwo\nthree\n"


def read_logs(request: ReadLogsRequest, context: grpc.ServicerContext) -> Iterator[ReadLogsResponse]:
    """Five bytes, then a cut, until all is told."""
    end = min(request.offset + 5, len(LOG))
    content = LOG[request.offset : end]
    yield ReadLogsResponse(content=content, offset=request.offset, next_offset=end, attempt=2)
    if end < len(LOG):
        cut(context)


def test_a_log_goes_on_where_it_was_cut_and_stays_with_its_attempt(server: ScriptedServer, client: Client) -> None:
    server.on("ReadLogs", read_logs)
    pieces = client.logs("my-run", "outer.fit", follow=True, backoff=QUICK)
    assert b"".join(piece.content for piece in pieces) == LOG
    assert [(request.offset, request.attempt) for request in server.requests] == [(0, 0), (5, 2), (10, 2)]
    assert server.requests[0].name == "namespaces/default/runs/my-run/tasks/outer.fit"


async def test_asyncio_reads_logs_too(server: ScriptedServer, aio_client: penstock.aio.Client) -> None:
    server.on("ReadLogs", read_logs)
    pieces = aio_client.logs("my-run", "fit", offset=4, backoff=QUICK)
    assert b"".join([piece.content async for piece in pieces]) == LOG[4:]
