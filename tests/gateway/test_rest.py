"""REST over real HTTP: how requests become messages and messages become answers."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest
from google.protobuf.json_format import MessageToDict
from pyqwest import FullResponse

from penstock.v1 import event_pb2, run_pb2, run_service_pb2
from penstock_server.model.errors import FieldViolation, InvalidArgument, NotFound, Unavailable
from tests.gateway.conftest import Script, Site, read

RUN = "/v1/namespaces/default/runs/r1"
RUNS = "/v1/namespaces/default/runs"
TEXT = {"content-type": "text/plain"}


def run(name: str = "namespaces/default/runs/r1") -> run_pb2.Run:
    return run_pb2.Run(name=name)


async def test_a_get_names_its_resource_in_the_path(site: Site, script: Script) -> None:
    script.answers["get_run"] = run_service_pb2.GetRunResponse(run=run())
    response = await site.ask("GET", f"{RUN}?view=VIEW_FULL")
    assert response.status == 200
    assert response.headers["content-type"] == "application/json"
    assert read(response) == {"run": {"name": "namespaces/default/runs/r1"}}
    expected = run_service_pb2.GetRunRequest(name="namespaces/default/runs/r1", view=run_pb2.Run.VIEW_FULL)
    assert script.requests == [expected]


async def test_whole_numbers_are_written_as_such(site: Site, script: Script) -> None:
    answer = run()
    for name, number in {"two": 2.0, "half": 0.5, "huge": 1e300, "minus": -3.0}.items():
        answer.parameters[name].number_value = number
    script.answers["get_run"] = run_service_pb2.GetRunResponse(run=answer)
    response = await site.ask("GET", RUN)
    assert read(response)["run"]["parameters"] == {"two": 2, "half": 0.5, "huge": 1e300, "minus": -3}
    assert b'"two":2,' in bytes(response.content).replace(b"}", b",")


async def test_the_query_holds_fields_under_both_names(site: Site, script: Script) -> None:
    script.answers["list_runs"] = run_service_pb2.ListRunsResponse()
    await site.ask("GET", f"{RUNS}?page_size=5&orderBy=create_time%20desc&filter=a%3D%22%C3%BC%22")
    expected = run_service_pb2.ListRunsRequest(
        parent="namespaces/default", page_size=5, order_by="create_time desc", filter='a="ü"'
    )
    assert script.requests == [expected]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("page_sizes=5", "no such field"),
        ("page_size=5&page_size=6", "more than once"),
        ("page_size.x=5", "no such field"),
        ("parent=namespaces/other", "path says this already"),
        ("page_size=%ff", "cannot be read"),
    ],
)
async def test_a_wrong_query_is_told(site: Site, query: str, says: str) -> None:
    response = await site.ask("GET", f"{RUNS}?{query}")
    assert response.status == 400
    assert says in read(response)["error"]["message"]
    assert reason(response) == "INVALID_QUERY"


async def test_a_number_that_is_none_is_told(site: Site) -> None:
    response = await site.ask("GET", f"{RUNS}?page_size=five")
    assert (response.status, reason(response)) == (400, "REQUEST_UNREADABLE")


async def test_a_body_can_be_a_field_and_the_query_the_others(site: Site, script: Script) -> None:
    script.answers["create_run"] = run_service_pb2.CreateRunResponse(run=run())
    body = {"displayName": "Mine", "inlineSpec": {"struct": {"n": 2, "x": [1.5, None, "a"]}}}
    response = await site.ask("POST", f"{RUNS}?run_id=mine&validateOnly=true", body)
    assert response.status == 200
    request = script.requests[0]
    assert (request.parent, request.run_id, request.validate_only) == ("namespaces/default", "mine", True)
    assert request.run.display_name == "Mine"
    assert MessageToDict(request.run.inline_spec.struct) == {"n": 2.0, "x": [1.5, None, "a"]}


async def test_a_body_can_be_the_whole_request(site: Site, script: Script) -> None:
    script.answers["cancel_run"] = run_service_pb2.CancelRunResponse(run=run())
    for body in ({"message": "enough"}, None):
        assert (await site.ask("POST", f"{RUN}:cancel", body)).status == 200
    assert [request.message for request in script.requests] == ["enough", ""]
    assert {request.name for request in script.requests} == {"namespaces/default/runs/r1"}


async def test_the_path_says_which_resource_is_meant_whatever_the_body_says(site: Site, script: Script) -> None:
    script.answers["update_run"] = run_service_pb2.UpdateRunResponse(run=run())
    body = {"name": "namespaces/default/runs/other", "displayName": "New"}
    await site.ask("PATCH", f"{RUN}?update_mask=display_name,labels", body)
    request = script.requests[0]
    assert (request.run.name, request.run.display_name) == ("namespaces/default/runs/r1", "New")
    assert list(request.update_mask.paths) == ["display_name", "labels"]


async def test_a_query_beside_a_whole_body_is_told(site: Site) -> None:
    response = await site.ask("POST", f"{RUN}:cancel?message=x", {})
    assert (response.status, reason(response)) == (400, "INVALID_QUERY")


@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b"[]", b'"x"', b"\xff", b'{"a":1,"a":2}', b'{"nothing":1}', b'{"name":7}', b'{"labels":[]}'),
        *(b'{"parameters":{"x":NaN}}', b'{"parameters":{"x":1e999}}', b'{"createTime":"yesterday"}', b"null"),
        b'{"parameters":{"x":' + b"[" * 40_000 + b"]" * 40_000 + b"}}",
        b'{"parameters":{"x":' + b"9" * 10_000 + b"}}",
        b'{"displayName":"\\ud800"}',
    ],
    ids=lambda body: body[:30].decode(errors="replace"),
)
async def test_a_body_that_is_not_the_message_is_told(site: Site, body: bytes) -> None:
    response = await site.ask("POST", RUNS, body, {"content-type": "application/json"})
    assert response.status == 400, bytes(response.content)
    assert reason(response) in ("REQUEST_UNREADABLE", "INVALID_REQUEST")


async def test_a_rule_of_the_schema_is_told_by_field(site: Site) -> None:
    response = await site.ask("GET", "/v1/namespaces/default/runs/NOT-A-NAME")
    error = read(response)["error"]
    assert (response.status, error["status"], error["code"]) == (400, "INVALID_ARGUMENT", 400)
    assert any(detail["@type"].endswith("BadRequest") for detail in error["details"])


async def test_an_error_has_its_reason_and_violations(site: Site, script: Script) -> None:
    violations = [FieldViolation("run.parameters.lr", "give a number")]
    script.answers["create_run"] = InvalidArgument("MISSING_PARAMETER", "lr is missing", violations=violations)
    body: dict[str, object] = {"inlineSpec": {"struct": {}}}
    details = read(await site.ask("POST", RUNS, body))["error"]["details"]
    by_type = {detail["@type"].rpartition(".")[2]: detail for detail in details}
    assert (by_type["ErrorInfo"]["reason"], by_type["ErrorInfo"]["domain"]) == (
        "MISSING_PARAMETER",
        "penstock.dev",
    )
    assert by_type["BadRequest"]["fieldViolations"][0]["field"] == "run.parameters.lr"


async def test_an_error_that_passes_says_when_to_come_back(site: Site, script: Script) -> None:
    script.answers["get_run"] = Unavailable("DATABASE_UNAVAILABLE", "away", retry_after_s=1.5)
    response = await site.ask("GET", RUN)
    assert (response.status, response.headers["retry-after"]) == (503, "2")


async def test_an_unexpected_failure_tells_no_details(site: Site, script: Script) -> None:
    script.answers["get_run"] = RuntimeError("secret")
    response = await site.ask("GET", RUN)
    assert (response.status, reason(response)) == (500, "INTERNAL")
    assert b"secret" not in bytes(response.content)


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/namespaces/default/runs/r1:explode", "/v1/nothing", "/x"])
async def test_an_unknown_path_is_not_found(site: Site, path: str) -> None:
    response = await site.ask("GET", path)
    assert (response.status, reason(response)) == (404, "UNKNOWN_PATH")


async def test_another_method_on_a_known_path_is_told_with_those_allowed(site: Site) -> None:
    response = await site.ask("PUT", RUN)
    assert (response.status, response.headers["allow"]) == (405, "DELETE, GET, PATCH")


@pytest.mark.parametrize("headers", [TEXT, {}, {"content-type": "application/json", "content-encoding": "gzip"}])
async def test_a_body_of_another_type_is_refused(site: Site, headers: dict[str, str]) -> None:
    response = await site.ask("POST", f"{RUN}:cancel", b"{}", headers)
    assert (response.status, reason(response)) == (415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_body_over_the_limit_is_refused(site: Site) -> None:
    response = await site.ask("POST", RUNS, {"description": "x" * 200_000})
    assert (response.status, reason(response)) == (413, "REQUEST_TOO_LARGE")


async def test_a_body_over_the_limit_is_refused_when_its_length_is_not_told(site: Site) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b" " * 40_000

    response = await site.client.execute(
        "POST", f"{site.url}{RUNS}", headers={"content-type": "application/json"}, content=chunks()
    )
    assert response.status == 413


async def test_facts_of_the_call_reach_the_handler(site: Site, script: Script) -> None:
    script.answers["get_run"] = run_service_pb2.GetRunResponse()
    await site.ask("GET", RUN, headers={"Grpc-Timeout": "5S", "traceparent": "00-a-b-01", "X-Mine": "1"})
    call = script.calls[0]
    assert (call.transport, call.traceparent, call.metadata["x-mine"]) == ("rest", "00-a-b-01", "1")
    assert call.peer.startswith("127.0.0.1:")
    assert call.deadline_s is not None
    assert 4 < call.deadline_s <= 5


@pytest.mark.parametrize("header", ["Grpc-Timeout", "Connect-Timeout-Ms"])
async def test_a_wrong_deadline_is_told(site: Site, header: str) -> None:
    response = await site.ask("GET", RUN, headers={header: "soon"})
    assert (response.status, reason(response)) == (400, "INVALID_TIMEOUT")


async def test_a_deadline_ends_a_stream(site: Site, script: Script) -> None:
    script.answers["watch_run"] = endless
    start = time.monotonic()
    response = await site.ask("GET", f"{RUN}:watch", headers={"Connect-Timeout-Ms": "400"})
    assert time.monotonic() - start < 10
    assert lines(response)[-1]["error"]["status"] == "DEADLINE_EXCEEDED"


def event(sequence: int) -> run_service_pb2.WatchRunResponse:
    return run_service_pb2.WatchRunResponse(event=event_pb2.Event(sequence=sequence))


async def endless() -> AsyncIterator[run_service_pb2.WatchRunResponse]:
    yield event(1)
    await asyncio.Event().wait()


def lines(response: FullResponse) -> list[dict[str, dict[str, object]]]:
    return [json.loads(line) for line in bytes(response.content).splitlines()]


async def test_a_stream_is_a_line_for_each_response(site: Site, script: Script) -> None:
    script.answers["watch_run"] = [event(1), event(2)]
    response = await site.ask("GET", f"{RUN}:watch")
    assert response.headers["content-type"].startswith("application/x-ndjson")
    assert lines(response) == [
        {"result": {"event": {"sequence": "1"}}},
        {"result": {"event": {"sequence": "2"}}},
    ]


async def test_a_stream_that_fails_at_once_is_an_ordinary_error(site: Site, script: Script) -> None:
    script.answers["watch_run"] = [NotFound("RUN_NOT_FOUND", "no such run")]
    response = await site.ask("GET", f"{RUN}:watch")
    assert (response.status, reason(response)) == (404, "RUN_NOT_FOUND")


async def test_a_stream_that_fails_later_ends_with_the_error(site: Site, script: Script) -> None:
    script.answers["watch_run"] = [event(1), NotFound("RUN_DELETED", "gone")]
    response = await site.ask("GET", f"{RUN}:watch")
    assert response.status == 200
    assert [next(iter(line)) for line in lines(response)] == ["result", "error"]


async def test_a_stream_is_flushed_line_by_line_and_ended_when_its_caller_leaves(site: Site, script: Script) -> None:
    ended = asyncio.Event()

    async def waits() -> AsyncIterator[run_service_pb2.WatchRunResponse]:
        try:
            yield event(1)
            await asyncio.Event().wait()
        finally:
            ended.set()

    script.answers["watch_run"] = waits
    async with site.client.stream("GET", f"{site.url}{RUN}:watch") as response:
        first = await anext(aiter(response.content))
        assert b'"sequence":"1"' in bytes(first)
    await asyncio.wait_for(ended.wait(), 10)


async def test_a_stream_without_a_first_response_is_begun(site: Site, script: Script) -> None:
    async def silent() -> AsyncIterator[run_service_pb2.WatchRunsResponse]:
        await asyncio.Event().wait()
        yield run_service_pb2.WatchRunsResponse()

    script.answers["watch_runs"] = silent
    async with asyncio.timeout(10), site.client.stream("GET", f"{site.url}{RUNS}:watch") as response:
        assert response.status == 200


def reason(response: FullResponse) -> str:
    details = read(response)["error"]["details"]
    return str(next(detail["reason"] for detail in details if detail["@type"].endswith("ErrorInfo")))
