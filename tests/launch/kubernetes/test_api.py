"""The client against a server that misbehaves."""

import time

import pytest

from penstock_server.launch.kubernetes.api import Kind
from penstock_server.launch.kubernetes.api_errors import (
    ApiConflictError,
    ApiError,
    ApiGoneError,
    ApiNotFoundError,
    ApiUnavailableError,
)
from tests.launch.kubernetes.api_server import Reply, answer, api_of, api_server, cut, refusal, silence, stream

PODS = "/api/v1/namespaces/ns/pods"
POD = {"metadata": {"name": "a", "uid": "u"}}


@pytest.mark.parametrize(
    "fault",
    [refusal(429), refusal(500, "ServerTimeout"), refusal(503), cut, silence, answer(b"<html>", 502), answer(b"{")],
    ids=["429", "500", "503", "cut", "silence", "proxy", "half an answer"],
)
async def test_what_may_help_is_repeated(fault: Reply) -> None:
    async with api_server() as server, api_of(server) as api:
        server.on(f"GET {PODS}/a", fault, fault, answer(POD))
        assert await api.get(Kind.PODS, "ns", "a") == POD
        assert len(server.of(f"GET {PODS}/a")) == 3


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (refusal(404, "NotFound"), ApiNotFoundError),
        (refusal(409, "AlreadyExists"), ApiConflictError),
        (refusal(410, "Expired"), ApiGoneError),
        (refusal(403, "Forbidden"), ApiError),
        (refusal(422, "Invalid"), ApiError),
    ],
)
async def test_what_does_not_help_is_not_repeated(reply: Reply, error: type[ApiError]) -> None:
    async with api_server() as server, api_of(server) as api:
        server.on(f"POST {PODS}", reply)
        with pytest.raises(error, match="no") as raised:
            await api.create(Kind.PODS, "ns", POD)
        assert type(raised.value) is error
        assert len(server.asked) == 1


async def test_patience_ends() -> None:
    async with api_server() as server, api_of(server, patience_s=0.1) as api:
        server.on(f"GET {PODS}/a", refusal(503, "", "overloaded"))
        with pytest.raises(ApiUnavailableError, match="overloaded"):
            await api.get(Kind.PODS, "ns", "a")


async def test_a_wait_that_is_asked_for_is_kept_by_all_calls() -> None:
    async with api_server() as server, api_of(server) as api:
        server.on(f"GET {PODS}/a", refusal(429, Retry_After="0.2"), answer(POD))
        server.on(f"GET {PODS}/b", answer(POD))
        began = time.monotonic()
        await api.get(Kind.PODS, "ns", "a")
        await api.get(Kind.PODS, "ns", "b")
        assert time.monotonic() - began >= 0.2


async def test_a_server_that_cannot_be_reached_is_unavailable() -> None:
    async with api_server() as server:
        pass
    async with api_of(server, patience_s=0.1) as api:
        with pytest.raises(ApiUnavailableError, match="did not answer"):
            await api.get(Kind.PODS, "ns", "a")


async def test_credentials_are_read_anew_when_they_have_run_out() -> None:
    async with api_server() as server, api_of(server, tokens=("first", "second")) as api:
        server.on(f"GET {PODS}/a", refusal(401, "Unauthorized"), answer(POD))
        assert await api.get(Kind.PODS, "ns", "a") == POD
        assert [asked.headers["authorization"] for asked in server.asked] == ["Bearer first", "Bearer second"]


async def test_a_deletion_names_the_uid_and_the_grace_and_does_not_mind_that_nothing_is_there() -> None:
    async with api_server() as server, api_of(server) as api:
        server.on(f"DELETE {PODS}/a", refusal(404, "NotFound"))
        await api.delete(Kind.PODS, "ns", "a", uid="u", grace_s=7)
        options = server.asked[0].body
        assert (options["preconditions"], options["gracePeriodSeconds"]) == ({"uid": "u"}, 7)


async def test_a_list_is_read_page_by_page() -> None:
    async with api_server() as server, api_of(server, page_size=2) as api:
        pages = [
            {"metadata": {"resourceVersion": "5", "continue": "more"}, "items": [1, 2]},
            {"metadata": {"resourceVersion": "5"}, "items": [3]},
        ]
        server.on(f"GET {PODS}", *map(answer, pages))
        read = [page["items"] async for page in api.pages(Kind.PODS, "ns", labels="a=b")]
        assert read == [[1, 2], [3]]
        assert [asked.query.get("continue", "") for asked in server.asked] == ["", "more"]
        assert all(asked.query["limit"] == "2" and asked.query["labelSelector"] == "a=b" for asked in server.asked)


async def test_events_are_read_however_they_are_cut() -> None:
    long = {"type": "ADDED", "object": {"text": "x" * 3_000_000}}
    async with api_server() as server, api_of(server) as api:
        pieces = [b'{"type": "AD', b'DED", "object": 1}\n{"type":', b' "MODIFIED", "object": 2}\n']
        server.on(f"WATCH {PODS}", stream(*pieces, long))
        events = [event async for event in api.watch(Kind.PODS, "ns", labels="a=b", version="7")]
        assert [event["type"] for event in events] == ["ADDED", "MODIFIED", "ADDED"]
        assert server.asked[0].query["resourceVersion"] == "7"
        assert server.asked[0].query["allowWatchBookmarks"] == "true"


GONE = {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old"}}


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (stream(GONE), ApiGoneError),
        (refusal(410, "Expired"), ApiGoneError),
        (stream({"type": "ADDED", "object": 1}, ends=False), ApiUnavailableError),
        (refusal(429), ApiUnavailableError),
        (stream(b"nonsense\n"), ApiUnavailableError),
    ],
    ids=["410 in an event", "410", "cut", "429", "nonsense"],
)
async def test_a_watch_that_breaks_says_how(reply: Reply, error: type[ApiError]) -> None:
    async with api_server() as server, api_of(server) as api:
        server.on(f"WATCH {PODS}", reply)
        with pytest.raises(error):
            async for _ in api.watch(Kind.PODS, "ns", labels="", version="7"):
                pass


async def test_a_watch_whose_connection_has_died_without_a_word_is_given_up() -> None:
    async with api_server() as server, api_of(server, watch_s=0, call_timeout_s=0.2) as api:
        server.on(f"WATCH {PODS}", silence)
        with pytest.raises(ApiUnavailableError):
            async for _ in api.watch(Kind.PODS, "ns", labels="", version="7"):
                pass


async def test_a_log_is_read_as_it_comes_and_says_that_it_broke() -> None:
    async with api_server() as server, api_of(server) as api:
        server.on(f"GET {PODS}/a/log", stream(b"one\n", b"two"), stream(b"one\n", ends=False))
        assert b"".join([piece async for piece in api.log("ns", "a", "main", follow=True)]) == b"one\ntwo"
        assert server.asked[0].query == {"container": "main", "follow": "true"}
        with pytest.raises(ApiUnavailableError):
            async for _ in api.log("ns", "a", "main", follow=True):
                pass


async def test_a_closed_client_is_unavailable() -> None:
    async with api_server() as server, api_of(server, patience_s=0) as api:
        await api.close()
        with pytest.raises(ApiUnavailableError, match="closed"):
            await api.get(Kind.PODS, "ns", "a")
