"""Logs of pods that outgrow what their nodes keep: each byte once, whoever stores it and whoever reads it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from penstock_server.launch.kubernetes.api import ClusterApi
from penstock_server.launch.kubernetes.logs.intake import GAP
from penstock_server.launch.kubernetes.logs.rhythm import LogRhythm
from penstock_server.launch.kubernetes.logs.stored import LogStore
from penstock_server.launch.kubernetes.pod_logs import PodLogs
from penstock_server.launch.kubernetes.records import Records
from penstock_server.launch.kubernetes.view import PodView, view
from penstock_server.model.errors import NotFound
from penstock_server.model.ids import AttemptId
from penstock_server.store.records import StoredRecords
from tests.launch.kubernetes.api_server import Asked, api_of, cut, listening, stream
from tests.launch.kubernetes.kubelet_log import KubeletLog, KubeletServer
from tests.launch.world import WAIT_S, attempt_id, until

QUICK = LogRhythm(
    rotated_at_bytes=20_000, first_s=0.05, least_s=0.02, most_s=0.2, flush_s=0.02, tick_s=0.02, retry_max_s=0.05
)
NEVER = LogRhythm(first_s=3600)
LOG = "GET /api/v1/namespaces/ns/pods/pod/log"
STARTED = datetime(2026, 11, 26, 5, 55, 52, tzinfo=UTC)


@dataclass
class World:
    """A pod, what its kubelet has of its log, and servers that store it."""

    server: KubeletServer
    api: ClusterApi
    folder: Path
    attempt: AttemptId = field(default_factory=attempt_id)
    log: KubeletLog = field(default_factory=KubeletLog)
    pod: PodView | None = None
    logs: list[PodLogs] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server.logs["pod"] = self.log
        self.pod = pod(running())

    @property
    def running(self) -> PodView:
        assert self.pod is not None
        return self.pod

    def one(self, rhythm: LogRhythm = QUICK) -> PodLogs:
        """A server's logs."""
        self.logs.append(PodLogs(self.api, self.records, lambda _: self.pod, rhythm))
        return self.logs[-1]

    def stored(self) -> list[str]:
        """The names of the objects that were stored."""
        return sorted(path.name for path in self.folder.rglob("*") if path.is_file())

    async def settled(self) -> None:
        """Wait until all that was written is stored."""
        store = LogStore(self.records)
        async with asyncio.timeout(WAIT_S):
            while (await store.parts_of(self.attempt)).size_bytes < len(self.log.content):
                await asyncio.sleep(0.01)

    async def rotated(self) -> None:
        """Let the kubelet begin a new file once all is stored and somebody follows, and means to."""
        await self.settled()
        loop = asyncio.get_running_loop()
        since_s = loop.time()
        async with asyncio.timeout(WAIT_S):
            while loop.time() - since_s < 0.15:
                await asyncio.sleep(0.005)
                since_s = since_s if self.log.followers else loop.time()
        self.log.rotate()

    @property
    def records(self) -> Records:
        return Records(StoredRecords.in_folder(self.folder), f"file://{self.folder}")

    def end(self, after_s: float = 60) -> PodView:
        """The container ends."""
        self.log.end()
        self.pod = pod(ended(after_s))
        return self.pod


def running() -> dict[str, Any]:
    return {"running": {"startedAt": STARTED.isoformat()}}


def ended(after_s: float, code: int = 0) -> dict[str, Any]:
    finished = STARTED + timedelta(seconds=after_s)
    return {
        "terminated": {"exitCode": code, "startedAt": STARTED.isoformat(), "finishedAt": finished.isoformat()},
    }


def pod(state: dict[str, Any], fence: int = 1) -> PodView:
    metadata = {"name": "pod", "namespace": "ns", "uid": "u", "annotations": {"penstock.dev/fence": str(fence)}}
    return view({"metadata": metadata, "status": {"containerStatuses": [{"name": "main", "state": state}]}})


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    async with listening(KubeletServer()) as server, api_of(server) as api:
        made = World(server, api, folder)
        try:
            yield made
        finally:
            for logs in made.logs:
                await logs.close()


async def whole(logs: PodLogs, attempt: AttemptId, offset: int = 0, *, follow: bool = False) -> bytes:
    """What a reader gets; its pieces follow one another."""
    found = b""
    async for chunk in logs.read(attempt, offset, follow=follow):
        assert chunk.offset == offset + len(found)
        found += chunk.content
    return found


def lines(first: int, count: int) -> list[bytes]:
    return [f"{number:08d} {'x' * 90}\n".encode() for number in range(first, first + count)]


async def test_a_short_step_costs_one_call_and_one_object(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        logs = it.one()
        logs.collect(it.attempt, it.running, 1)
        it.log.write(b"first\n", b"last")
        assert await logs.keep(it.attempt, it.end(after_s=0), 1) == "first\nlast"
        assert it.stored() == ["log"]
        assert [asked.query for asked in it.server.of(LOG)] == [{"container": "main", "follow": "true"}]
        assert await whole(logs, it.attempt) == b"first\nlast"
        assert await whole(logs, it.attempt, 8) == b"st"


async def test_a_small_log_of_a_long_step_is_one_object_however_often_it_was_looked_at(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        logs = it.one()
        logs.collect(it.attempt, it.running, 1)
        it.log.write(b"first\n")
        await until(lambda: len(it.server.of(LOG)) >= 3)
        it.log.write(b"last\n")
        assert await logs.keep(it.attempt, it.end(), 1) == "first\nlast"
        assert it.stored() == ["log"]


async def test_a_log_that_outgrows_its_file_is_stored_whole(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        logs = it.one()
        logs.collect(it.attempt, it.running, 1)
        for round in range(12):
            it.log.write(*lines(100 * round, 100))
            if it.log.file_bytes >= QUICK.rotated_at_bytes:
                await it.rotated()
            assert it.log.content.startswith(await whole(logs, it.attempt))
            await it.settled()
            assert await whole(logs, it.attempt) == it.log.content
        it.log.write(b"\xff\x00 and no end")
        tail = await logs.keep(it.attempt, it.end(), 1)
        assert tail.splitlines()[-1] == "\ufffd and no end"
        assert len(tail.splitlines()) == 20
        it.pod = None
        assert len(it.log.files) > 3
        assert it.stored()[-1].endswith("-1-end")
        assert await whole(logs, it.attempt) == it.log.content
        assert await whole(it.one(), it.attempt, 70_001, follow=True) == it.log.content[70_001:]


async def test_readers_on_any_server_see_what_is_stored_and_what_is_not_yet(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        logs = it.one()
        logs.collect(it.attempt, it.running, 1)
        it.log.write(*lines(0, 150))
        await it.settled()
        other = it.one(NEVER)
        followers = [
            asyncio.create_task(whole(other, it.attempt, offset, follow=True)) for offset in (0, 1_234, 90_000)
        ]
        for round in range(8):
            it.log.write(*lines(150 + 100 * round, 99), b"not whole")
            assert it.log.content[5_000:].startswith(await whole(other, it.attempt, 5_000))
            it.log.write(b" but in the end\n")
            if round % 2:
                await it.rotated()
        await logs.keep(it.attempt, it.end(), 1)
        found = await asyncio.gather(*followers)
        assert found == [it.log.content[offset:] for offset in (0, 1_234, 90_000)]


async def test_another_server_goes_on_where_the_first_has_ended(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        first, second = it.one(), it.one()
        first.collect(it.attempt, it.running, 1)
        it.log.write(*lines(0, 300), b"half a")
        await it.settled()
        await first.close()
        it.log.write(b" line\n", *lines(300, 300))
        second.collect(it.attempt, it.running, 2)
        await until(lambda: any("-2-" in name for name in it.stored()))
        await second.keep(it.attempt, it.end(), 2)
        assert await whole(second, it.attempt) == it.log.content


async def test_a_server_that_slept_through_its_lease_does_no_harm(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        old, new = it.one(), it.one()
        old.collect(it.attempt, it.running, 1)
        it.log.write(*lines(0, 50))
        await it.settled()
        new.collect(it.attempt, it.running, 2)
        for round in range(6):
            it.log.write(*lines(50 + 100 * round, 100))
            await it.settled()
        assert await whole(old, it.attempt) == it.log.content
        end = it.end()
        tails = await asyncio.gather(old.keep(it.attempt, end, 1), new.keep(it.attempt, end, 2))
        assert {tail.splitlines()[-1] for tail in tails} == {lines(649, 1)[0].decode().strip()}
        assert "log" not in it.stored()
        assert await whole(old, it.attempt) == it.log.content


async def test_whoever_removes_a_stray_pod_goes_on_for_the_server_that_held_it(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        first = it.one()
        first.collect(it.attempt, it.running, 5)
        it.log.write(*lines(0, 300))
        await it.settled()
        await first.close()
        await it.one().keep(it.attempt, it.end())
        assert it.stored()[-1].endswith("-5-end")
        assert await whole(first, it.attempt) == it.log.content


async def test_what_was_rotated_away_unread_is_said_to_be_missing(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        first = it.one()
        first.collect(it.attempt, it.running, 1)
        it.log.write(*lines(0, 60), b"half a")
        await it.settled()
        await first.close()
        before = await whole(it.one(NEVER), it.attempt)
        it.log.write(b" line that nobody reads\n", *lines(60, 100))
        it.log.rotate()
        second = it.one()
        assert await whole(second, it.attempt) == before[: len(before)]  # what follows is known to no one yet
        it.log.write(*lines(160, 60))
        second.collect(it.attempt, it.running, 2)
        await until(lambda: any("-2-" in name for name in it.stored()))
        await second.keep(it.attempt, it.end(), 2)
        assert await whole(second, it.attempt) == before + b"\n" + GAP + b"".join(lines(160, 60))
        assert (await whole(second, it.attempt)).count(GAP) == 1


async def test_an_empty_file_after_one_that_was_read_to_its_end_is_no_gap(tmp_path: Path) -> None:
    """The kubelet may rotate in the last moments of a container that was followed."""
    async with world(tmp_path) as it:
        logs = it.one(replace(QUICK, caution=10**6))
        logs.collect(it.attempt, it.running, 1)
        it.log.write(*lines(0, 300))
        await it.settled()
        it.log.rotate()
        it.log.end()
        await until(lambda: sum("follow" in asked.query for asked in it.server.of(LOG)) > 2)
        await logs.keep(it.attempt, it.end(), 1)
        assert await whole(logs, it.attempt) == it.log.content


async def test_a_follower_whose_next_bytes_were_rotated_away_waits_for_the_server_that_has_them(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        logs = it.one()
        logs.collect(it.attempt, it.running, 1)
        it.log.write(*lines(0, 60))
        await it.settled()
        await logs.close()
        it.log.write(*lines(60, 60))
        it.log.rotate()
        it.log.write(*lines(120, 60), apart_ns=50_000_000)
        reader = it.one(NEVER)
        asked = len(it.server.of(LOG))
        following = asyncio.create_task(whole(reader, it.attempt, follow=True))
        await until(lambda: len(it.server.of(LOG)) > asked)
        second = it.one()
        second.collect(it.attempt, it.running, 2)
        await until(lambda: any("-2-" in name for name in it.stored()))
        await second.keep(it.attempt, it.end(), 2)
        assert await following == b"".join(lines(0, 60)) + GAP + b"".join(lines(120, 60))


async def test_what_breaks_is_taken_up_where_it_broke(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        logs = it.one()
        told, times = it.log.tell, [0]

        async def breaking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, query: dict[str, str]) -> None:
            times[0] += 1
            if times[0] % 3 == 1:
                return await cut(writer)
            if times[0] % 3 == 2:
                return await stream(b"failed to create fsnotify watcher: too many open files")(writer)
            return await told(reader, writer, query)

        it.log.tell = breaking  # type: ignore[method-assign]  # a log of this test alone
        logs.collect(it.attempt, it.running, 1)
        for round in range(5):
            it.log.write(*lines(100 * round, 100))
            await it.settled()
        await logs.keep(it.attempt, it.end(), 1)
        assert await whole(logs, it.attempt) == it.log.content


async def test_as_many_logs_are_followed_as_there_is_room_for_and_the_others_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock_server.launch.kubernetes.logs.collector.FOLLOWED_MAX", 0)
    async with world(tmp_path) as it:
        logs = it.one()
        logs.collect(it.attempt, it.running, 1)
        for round in range(5):
            it.log.write(*lines(100 * round, 100))
            await it.settled()
        assert {asked.query["follow"] for asked in it.server.of(LOG)} == {"false"}
        await logs.keep(it.attempt, it.end(), 1)
        assert await whole(logs, it.attempt) == it.log.content


async def test_once_a_new_file_was_begun_looks_will_do_again(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        logs = it.one(replace(QUICK, rotated_at_bytes=200_000))
        logs.collect(it.attempt, it.running, 1)
        it.log.write(*lines(0, 1500))
        await it.rotated()
        it.log.write(*lines(1500, 1))
        followed = len(it.server.of(LOG))
        await until(lambda: len(looks(it.server.of(LOG)[followed:])) > 3)
        await until(lambda: it.log.followers == 0)
        await logs.keep(it.attempt, it.end(), 1)
        assert await whole(logs, it.attempt) == it.log.content


async def test_one_whom_the_kubelet_leaves_behind_at_an_old_file_goes_on_with_the_new_one(tmp_path: Path) -> None:
    """The kubelet does not see a rotation before it has told the first file to its end."""
    async with world(tmp_path) as it:
        logs = it.one()
        it.log.may_tell.clear()
        logs.collect(it.attempt, it.running, 1)
        it.log.write(*lines(0, 300))
        await until(lambda: it.log.opened > 0)
        it.log.rotate()
        it.log.write(*lines(300, 100))
        it.log.may_tell.set()
        await it.settled()
        assert await whole(logs, it.attempt) == it.log.content
        it.log.write(*lines(400, 100))
        await logs.keep(it.attempt, it.end(), 1)
        assert await whole(logs, it.attempt) == it.log.content


async def test_what_was_written_at_once_is_followed_though_it_is_not_much_of_a_file(tmp_path: Path) -> None:
    """The file may have been begun a moment ago."""
    async with world(tmp_path) as it:
        logs = it.one(replace(QUICK, rotated_at_bytes=200_000, first_s=1, least_s=0.3, most_s=5))
        logs.collect(it.attempt, it.running, 1)
        it.log.write(*lines(0, 300), apart_ns=1_000)
        await until(lambda: it.log.opened > 0)
        await logs.keep(it.attempt, it.end(), 1)


async def test_a_log_of_a_pod_that_vanishes_is_kept_as_far_as_it_was_stored(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        logs = it.one()
        logs.collect(it.attempt, it.running, 1)
        it.log.write(*lines(0, 300))
        await it.settled()
        it.log.end()
        it.pod = None
        del it.server.logs["pod"]
        assert await logs.keep(it.attempt, pod(ended(60)), 1) == ""
        for follow in (False, True):
            assert it.log.content.startswith(await whole(logs, it.attempt, follow=follow))
        assert len(await whole(logs, it.attempt)) > 10_000


async def test_one_that_goes_on_to_be_told_though_its_container_has_ended_is_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from a node that has vanished, which never says that this was all."""
    monkeypatch.setattr("penstock_server.launch.kubernetes.logs.collector.ENDING_S", 0.1)
    async with world(tmp_path) as it:
        logs = it.one()
        logs.collect(it.attempt, it.running, 1)
        it.log.write(*lines(0, 300))
        await until(lambda: it.log.followers > 0)
        it.log.has_ended = True
        await logs.keep(it.attempt, pod(ended(60)), 1)
        assert await whole(logs, it.attempt) == it.log.content


async def test_nothing_is_left_of_the_logs_of_a_run_that_is_deleted(tmp_path: Path) -> None:
    async with world(tmp_path) as it:
        logs = it.one()
        logs.collect(it.attempt, it.running, 1)
        it.log.write(*lines(0, 300))
        await it.settled()
        await logs.keep(it.attempt, it.end(), 1)
        await logs.forget(it.attempt)
        it.pod = None
        await it.records.discard(it.attempt.run_uid)
        assert it.stored() == []
        with pytest.raises(NotFound):
            await whole(logs, it.attempt)


def looks(asked: Sequence[Asked]) -> list[Asked]:
    """The requests for all that there is."""
    return [each for each in asked if each.query["follow"] == "false" and "limitBytes" not in each.query]
