"""Unary calls through both clients: what is sent, what comes back, what is repeated."""

import asyncio

import grpc
import pytest

import penstock.aio
from penstock import CancelledError, Client, NotFoundError, UnavailableError
from penstock.v1.experiment_pb2 import Experiment
from penstock.v1.experiment_service_pb2 import (
    CreateExperimentRequest,
    CreateExperimentResponse,
    GetExperimentRequest,
    GetExperimentResponse,
    UpdateExperimentResponse,
)
from penstock.v1.run_pb2 import Run
from penstock.v1.run_service_pb2 import CancelRunRequest, ListRunsRequest, ListRunsResponse
from penstock.v1.server_pb2 import ServerInfo
from penstock.v1.server_service_pb2 import GetServerInfoResponse
from tests.client.scripted import ScriptedServer, cut, fail

TUNING = Experiment(name="namespaces/default/experiments/tuning")


def page(*ids: str, token: str = "") -> ListRunsResponse:
    runs = [Run(name=f"namespaces/default/runs/{run_id}") for run_id in ids]
    return ListRunsResponse(runs=runs, next_page_token=token)


def test_an_id_is_a_name_in_the_clients_namespace(server: ScriptedServer, client: Client) -> None:
    server.on("GetExperiment", GetExperimentResponse(experiment=TUNING))
    assert client.experiments.get("tuning") == TUNING
    assert server.requests == [GetExperimentRequest(name=TUNING.name)]


async def test_the_asyncio_client_makes_the_same_call(server: ScriptedServer, aio_client: penstock.aio.Client) -> None:
    server.on("GetExperiment", GetExperimentResponse(experiment=TUNING))
    assert await aio_client.experiments.get(TUNING) == TUNING
    assert server.requests == [GetExperimentRequest(name=TUNING.name)]


def test_lists_fetch_pages_as_their_items_are_asked_for(server: ScriptedServer, client: Client) -> None:
    pages = {"": page("a", "b", token="2"), "2": page("c")}
    server.on("ListRuns", lambda request, context: pages[request.page_token])
    runs = client.runs.list(filter="state = FAILED", page_size=2)
    assert [next(runs).name[-1], next(runs).name[-1]] == ["a", "b"]
    assert [request.page_token for request in server.requests] == [""]
    assert [run.name[-1] for run in runs] == ["c"]
    sent = ListRunsRequest(parent="namespaces/default", filter="state = FAILED", page_size=2, page_token="2")
    assert server.requests[-1] == sent


async def test_asyncio_lists_do_too(server: ScriptedServer, aio_client: penstock.aio.Client) -> None:
    pages = {"": page("a", token="2"), "2": page("b")}
    server.on("ListRuns", lambda request, context: pages[request.page_token])
    assert [run.name[-1] async for run in aio_client.runs.list()] == ["a", "b"]


def test_updates_send_a_mask_of_what_is_given(server: ScriptedServer, client: Client) -> None:
    server.on("UpdateExperiment", UpdateExperimentResponse(experiment=TUNING))
    client.experiments.update("tuning", display_name="", labels={"team": "vision"}, etag="7")
    request = server.requests[0]
    assert list(request.update_mask.paths) == ["display_name", "labels"]
    assert (request.experiment.etag, dict(request.experiment.labels)) == ("7", {"team": "vision"})
    with pytest.raises(ValueError, match="nothing to change"):
        client.experiments.update("tuning")


def test_reads_are_repeated_while_the_server_is_away(server: ScriptedServer, client: Client) -> None:
    def answer(request: GetExperimentRequest, context: grpc.ServicerContext) -> GetExperimentResponse:
        return cut(context) if len(server.requests) < 3 else GetExperimentResponse(experiment=TUNING)

    server.on("GetExperiment", answer)
    assert client.experiments.get("tuning") == TUNING
    assert len(server.requests) == 3


def test_creates_are_repeated_with_the_same_request_id(server: ScriptedServer, client: Client) -> None:
    def answer(request: CreateExperimentRequest, context: grpc.ServicerContext) -> CreateExperimentResponse:
        return cut(context) if len(server.requests) < 3 else CreateExperimentResponse(experiment=TUNING)

    server.on("CreateExperiment", answer)
    client.experiments.create("tuning")
    assert len(server.requests) == 3
    assert len({request.request_id for request in server.requests}) == 1
    assert server.requests[0].request_id


def test_other_writes_are_never_repeated(server: ScriptedServer, client: Client) -> None:
    server.on("CancelRun", lambda request, context: cut(context))
    with pytest.raises(UnavailableError):
        client.runs.cancel("my-run", message="wrong data")
    assert server.requests == [CancelRunRequest(name="namespaces/default/runs/my-run", message="wrong data")]


def test_errors_of_the_server_end_the_repeating(server: ScriptedServer, client: Client) -> None:
    code = grpc.StatusCode.NOT_FOUND
    server.on("CreateExperiment", lambda request, context: fail(context, code, "NAMESPACE_NOT_FOUND"))
    with pytest.raises(NotFoundError):
        client.experiments.create("tuning")
    assert len(server.requests) == 1


def test_raw_stubs_share_the_channel(server: ScriptedServer, client: Client) -> None:
    server.on("GetExperiment", GetExperimentResponse(experiment=TUNING))
    response = client.stubs.experiment.GetExperiment(GetExperimentRequest(name=TUNING.name))
    assert response.experiment == TUNING


async def test_asyncio_stubs_do_too(server: ScriptedServer, aio_client: penstock.aio.Client) -> None:
    server.on("GetExperiment", GetExperimentResponse(experiment=TUNING))
    response = await aio_client.stubs.experiment.GetExperiment(GetExperimentRequest(name=TUNING.name))
    assert response.experiment == TUNING


def test_the_token_and_the_user_agent_go_with_every_call(server: ScriptedServer) -> None:
    server.on("GetServerInfo", GetServerInfoResponse(server_info=ServerInfo(version="1")))
    with Client(server.address, token="secret") as client:
        assert client.server_info().version == "1"
    assert server.metadata[0]["authorization"] == "Bearer secret"
    assert str(server.metadata[0]["user-agent"]).startswith("penstock-python/")


async def test_the_asyncio_client_sends_the_token_too(server: ScriptedServer) -> None:
    server.on("GetServerInfo", GetServerInfoResponse())
    async with penstock.aio.Client(server.address, token="secret") as client:
        await client.server_info()
    assert server.metadata[0]["authorization"] == "Bearer secret"


def test_a_closed_client_says_so(client: Client) -> None:
    client.close()
    with pytest.raises(CancelledError, match="CLIENT_CLOSED"):
        client.server_info()


async def test_a_closed_asyncio_client_says_so(aio_client: penstock.aio.Client) -> None:
    await aio_client.close()
    with pytest.raises(CancelledError, match="CLIENT_CLOSED"):
        await aio_client.server_info()


async def test_an_asyncio_client_belongs_to_one_event_loop(
    server: ScriptedServer, aio_client: penstock.aio.Client
) -> None:
    server.on("GetServerInfo", GetServerInfoResponse())
    await aio_client.server_info()
    with pytest.raises(RuntimeError, match="another event loop"):
        await asyncio.to_thread(asyncio.run, aio_client.server_info())


def test_a_client_says_when_it_was_carried_over_a_fork(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getpid", lambda: -1)
    with pytest.raises(RuntimeError, match="made before a fork"):
        client.server_info()
