"""How many calls are under way at a time."""

import asyncio

import pytest

from penstock_server.launch.kubernetes.api import ClusterApi, Kind
from tests.launch.kubernetes.api_server import Reply, answer, api_of, api_server, refusal, stream

PODS = "/api/v1/namespaces/ns/pods"
POD = {"metadata": {"name": "a", "uid": "u"}}
NAMES = [f"pod-{number}" for number in range(8)]


def once(opened: asyncio.Event) -> Reply:
    """The pod, but not before."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        await opened.wait()
        await answer(POD)(writer)

    return reply


def reading(api: ClusterApi, name: str) -> "asyncio.Task[object]":
    return asyncio.create_task(api.get(Kind.PODS, "ns", name))


async def whole_log(api: ClusterApi) -> bytes:
    return b"".join([piece async for piece in api.log("ns", "a", "main")])


async def watch_to_its_end(api: ClusterApi) -> None:
    assert [event async for event in api.watch(Kind.PODS, "ns", labels="", version="1")] == []


async def test_no_more_calls_than_allowed_are_under_way() -> None:
    opened = asyncio.Event()
    async with api_server() as server, api_of(server, calls_max=3, call_timeout_s=10) as api:
        for name in NAMES:
            server.on(f"GET {PODS}/{name}", once(opened))
        server.on(f"WATCH {PODS}", stream())
        calls = [reading(api, name) for name in NAMES]
        await server.until(lambda: len(server.asked) >= 3)
        await watch_to_its_end(api)  # Whatever else was sent before has arrived as well.
        assert {asked.path for asked in server.asked} == {PODS, *(f"{PODS}/{name}" for name in NAMES[:3])}
        opened.set()
        assert await asyncio.gather(*calls) == [POD] * len(NAMES)


async def test_calls_that_wait_go_in_the_order_they_came() -> None:
    async with api_server() as server, api_of(server, calls_max=1, call_timeout_s=10) as api:
        for name in NAMES:
            server.on(f"GET {PODS}/{name}", answer(POD))
        await asyncio.gather(*(reading(api, name) for name in NAMES))
        assert [asked.path for asked in server.asked] == [f"{PODS}/{name}" for name in NAMES]


async def test_watches_and_followed_logs_are_not_counted() -> None:
    ended = asyncio.Event()
    async with api_server() as server, api_of(server, calls_max=1, call_timeout_s=10) as api:
        server.on(f"WATCH {PODS}", stream({"type": "ADDED", "object": POD}, after=ended))
        server.on(f"GET {PODS}/a/log", stream(b"one\n", after=ended))
        server.on(f"GET {PODS}/a", answer(POD))
        watch = api.watch(Kind.PODS, "ns", labels="", version="1")
        log = api.log("ns", "a", "main", follow=True)
        assert (await anext(watch))["object"] == POD
        assert await anext(log) == b"one\n"
        assert await api.get(Kind.PODS, "ns", "a") == POD
        ended.set()
        assert ([event async for event in watch], [piece async for piece in log]) == ([], [])


async def test_a_log_is_counted_until_its_answer_has_begun_and_its_reader_may_be_slow() -> None:
    ended = asyncio.Event()
    async with api_server() as server, api_of(server, calls_max=1, call_timeout_s=10) as api:
        server.on(f"GET {PODS}/a/log", stream(b"one\n", after=ended))
        server.on(f"GET {PODS}/a", answer(POD))
        log = api.log("ns", "a", "main")
        assert await anext(log) == b"one\n"
        assert await api.get(Kind.PODS, "ns", "a") == POD
        ended.set()
        assert [piece async for piece in log] == []


async def test_a_log_waits_for_its_turn_among_the_calls() -> None:
    opened = asyncio.Event()
    async with api_server() as server, api_of(server, calls_max=1, call_timeout_s=10) as api:
        server.on(f"GET {PODS}/a", once(opened))
        server.on(f"GET {PODS}/a/log", stream(b"one\n"))
        server.on(f"WATCH {PODS}", stream())
        call = reading(api, "a")
        await server.until(lambda: len(server.asked) == 1)
        log = asyncio.create_task(whole_log(api))
        await watch_to_its_end(api)
        assert not server.of(f"GET {PODS}/a/log")
        opened.set()
        assert (await call, await log) == (POD, b"one\n")


@pytest.mark.parametrize("which", [0, 1], ids=["one under way", "one that waits"])
async def test_a_call_that_is_cancelled_leaves_its_place_to_the_next(which: int) -> None:
    opened = asyncio.Event()
    async with api_server() as server, api_of(server, calls_max=1, call_timeout_s=10) as api:
        for name in NAMES:
            server.on(f"GET {PODS}/{name}", once(opened))
        calls = [reading(api, name) for name in NAMES]
        await server.until(lambda: len(server.asked) == 1)
        calls.pop(which).cancel()
        opened.set()
        assert await asyncio.gather(*calls) == [POD] * len(calls)


async def test_a_call_that_waits_to_be_repeated_has_no_place() -> None:
    async with api_server() as server, api_of(server, calls_max=1, backoff_s=60, patience_s=600) as api:
        server.on(f"GET {PODS}/a", refusal(503))
        server.on(f"GET {PODS}/b", answer(POD))
        repeated = reading(api, "a")
        await server.until(lambda: len(server.asked) == 1)
        assert await api.get(Kind.PODS, "ns", "b") == POD
        repeated.cancel()
