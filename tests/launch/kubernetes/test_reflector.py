"""Following pods on a server that misbehaves: whatever it does, what is known comes to be what is there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from penstock_server.launch.kubernetes.reflector import Reflector, ReflectorSettings
from penstock_server.launch.kubernetes.view import PodView
from tests.launch.kubernetes.api_server import (
    ApiServer,
    Reply,
    answer,
    api_of,
    api_server,
    cut,
    refusal,
    silence,
    stream,
)

LIST, WATCH = "GET /api/v1/namespaces/ns/pods", "WATCH /api/v1/namespaces/ns/pods"


def pod(name: str, version: int, uid: str = "") -> dict[str, Any]:
    metadata = {"name": name, "namespace": "ns", "uid": uid or name, "resourceVersion": str(version)}
    return {"metadata": metadata, "status": {"phase": "Running"}}


def listed(version: int, *pods: dict[str, Any], more: str = "") -> Reply:
    return answer({"metadata": {"resourceVersion": str(version), "continue": more}, "items": list(pods)})


def event(what: str, of: dict[str, Any]) -> dict[str, Any]:
    return {"type": what, "object": of}


def bookmark(version: int) -> dict[str, Any]:
    return event("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})


class Followed:
    """A reflector and what it has told."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.told: list[tuple[str, str, bool]] = []
        self.reflector: Reflector
        self._news = asyncio.Condition()

    def tell(self, pod: PodView, is_gone: bool) -> None:
        self.told.append((pod.name, pod.resource_version, is_gone))
        asyncio.get_running_loop().create_task(self._notify())

    async def until(self, test: Callable[[], bool]) -> None:
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(test)

    async def _notify(self) -> None:
        async with self._news:
            self._news.notify_all()


@asynccontextmanager
async def following(*lists: Reply, watches: tuple[Reply, ...] = (silence,), **settings: Any) -> AsyncIterator[Followed]:
    async with api_server() as server, api_of(server, patience_s=0, watch_s=0) as api:
        server.on(LIST, *lists)
        server.on(WATCH, *watches)
        given = {"retry_s": 0.01, "retry_max_s": 0.05, **settings}
        followed = Followed(server)
        followed.reflector = Reflector(api, "ns", "a=b", followed.tell, ReflectorSettings(**given))
        followed.reflector.start()
        try:
            yield followed
        finally:
            await followed.reflector.close()


async def test_what_there_is_and_what_happens_is_told() -> None:
    events = [event("ADDED", pod("b", 6)), event("MODIFIED", pod("a", 7)), event("DELETED", pod("b", 8))]
    async with following(listed(5, pod("a", 3)), watches=(stream(*events), silence)) as seen:
        await seen.until(lambda: len(seen.told) == 4)
        assert seen.told == [("a", "3", False), ("b", "6", False), ("a", "7", False), ("b", "8", True)]
        assert [name for _, name in seen.reflector.pods] == ["a"]


async def test_a_list_in_pages_is_one_list() -> None:
    async with following(listed(5, pod("a", 1), more="x"), listed(5, pod("b", 2))) as seen:
        await seen.reflector.synced()
        assert {name for _, name in seen.reflector.pods} == {"a", "b"}


async def test_a_watch_goes_on_from_the_newest_version_that_was_seen() -> None:
    watches = (stream(event("ADDED", pod("a", 6))), stream(bookmark(900)), silence)
    async with following(listed(5), watches=watches) as seen:
        await seen.server.until(lambda: len(seen.server.of(WATCH)) >= 3)
        assert [asked.query["resourceVersion"] for asked in seen.server.of(WATCH)[:3]] == ["5", "6", "900"]
        assert len(seen.server.of(LIST)) == 1


@pytest.mark.parametrize(
    "fault",
    [
        cut,
        silence,
        refusal(429, Retry_After="0.01"),
        refusal(503),
        stream(ends=False),
        stream(b'{"type": "ADDED', ends=False),
    ],
    ids=["cut", "silence", "429", "503", "broken off", "in the middle of an event"],
)
async def test_after_a_broken_watch_the_next_goes_on_and_nothing_is_listed_again(fault: Reply) -> None:
    watches = (stream(event("ADDED", pod("a", 6))), fault, fault, stream(event("MODIFIED", pod("a", 7))), silence)
    async with following(listed(5), watches=watches) as seen:
        await seen.until(lambda: ("a", "7", False) in seen.told)
        assert seen.server.of(WATCH)[3].query["resourceVersion"] == "6"
        assert len(seen.server.of(LIST)) == 1


GONE = event("ERROR", {"code": 410, "reason": "Expired", "message": "too old"})


@pytest.mark.parametrize("expired", [stream(GONE), refusal(410, "Expired")], ids=["in an event", "as a status"])
async def test_a_version_that_is_too_old_lists_again_and_finds_what_was_missed(expired: Reply) -> None:
    lists = (listed(5, pod("a", 3), pod("b", 4), pod("c", 4)), listed(90, pod("a", 3), pod("b", 60), pod("d", 70)))
    async with following(*lists, watches=(expired, silence)) as seen:
        await seen.until(lambda: len(seen.told) >= 6)
        assert sorted(seen.told[3:]) == [("b", "60", False), ("c", "4", True), ("d", "70", False)]
        await seen.server.until(lambda: len(seen.server.of(WATCH)) >= 2)
        assert seen.server.of(WATCH)[1].query["resourceVersion"] == "90"


async def test_another_pod_of_the_same_name_is_told_as_the_end_of_the_first() -> None:
    lists = (listed(5, pod("a", 3, "one")), listed(90, pod("a", 80, "two")))
    async with following(*lists, watches=(stream(GONE), silence)) as seen:
        await seen.until(lambda: len(seen.told) >= 3)
        assert seen.told == [("a", "3", False), ("a", "3", True), ("a", "80", False)]


async def test_the_timer_lists_again_whatever_the_watch_says() -> None:
    async with following(listed(5, pod("a", 3)), listed(6), watches=(stream(bookmark(5)),), reconcile_s=0) as seen:
        await seen.until(lambda: ("a", "3", True) in seen.told)


async def test_a_list_that_fails_is_repeated_until_it_goes_through() -> None:
    async with following(refusal(403, "Forbidden"), cut, listed(5, pod("a", 3))) as seen:
        assert not seen.reflector.is_synced
        await seen.reflector.synced()
        assert seen.told == [("a", "3", False)]


async def test_a_list_whose_second_page_has_expired_begins_anew() -> None:
    lists = (listed(5, pod("a", 3), more="x"), refusal(410, "Expired"), listed(9, pod("a", 3)))
    async with following(*lists) as seen:
        await seen.reflector.synced()
        assert seen.told == [("a", "3", False)]


async def test_a_server_that_ends_watches_at_once_is_not_asked_without_end() -> None:
    async with following(listed(5), watches=(stream(),), retry_s=60, retry_max_s=60) as seen:
        await seen.server.until(lambda: len(seen.server.of(WATCH)) == 1)
        await seen.reflector.close()
        assert len(seen.server.of(WATCH)) == 1
