"""The log of one pod, from its first look to its end.

    begin ──► look ──► wait ──► look ──► follow ──► ...        end asked for
                                           │ no room to follow: look as often as may be
    finish ◄───────────────────────────────┘ what is under way comes to its end first

Of a step that is shorter than the wait before the first look nothing is stored, and nothing asked, but at its end.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from penstock_server.launch import verdicts
from penstock_server.launch.kubernetes import names
from penstock_server.launch.kubernetes.api import ClusterApi
from penstock_server.launch.kubernetes.api_errors import ApiError, ApiNotFoundError, ApiUnavailableError
from penstock_server.launch.kubernetes.logs.following import Following
from penstock_server.launch.kubernetes.logs.intake import LogIntake
from penstock_server.launch.kubernetes.logs.rhythm import LogRhythm, Pace
from penstock_server.launch.kubernetes.logs.source import MainLog
from penstock_server.launch.kubernetes.logs.stamped import NoLogError
from penstock_server.launch.kubernetes.logs.stored import LogStore
from penstock_server.launch.kubernetes.view import Ended, PodView
from penstock_server.model.errors import Unavailable
from penstock_server.model.ids import AttemptId

_log = logging.getLogger(__name__)

LOOKS_MAX = 8
FOLLOWED_MAX = 100
"""Each holds a connection, and on its node what is to tell of changes to files, of which a node has few."""
TRIES_MAX = 4
RETRY_S = 1.0
ENDING_S = 15.0
"""A log that is followed ends within so long after its container, or is read anew."""


class LogTraffic:
    """How many logs are read at a time: looks wait for one another, and so do not hold up what else is asked of the API
    server; who cannot follow looks."""

    def __init__(self) -> None:
        self.looks = asyncio.Semaphore(LOOKS_MAX)
        self._room = FOLLOWED_MAX

    @property
    def has_room(self) -> bool:
        """Whether one more may be followed."""
        return self._room > 0

    def take(self) -> bool:
        """Room to follow a log, if there is some."""
        had_room = self.has_room
        self._room -= had_room
        return had_room

    def give_back(self) -> None:
        """It is not followed any more."""
        self._room += 1


@dataclass(frozen=True, slots=True)
class LogPlace:
    """What all collectors share."""

    api: ClusterApi
    store: LogStore
    rhythm: LogRhythm
    traffic: LogTraffic = field(default_factory=LogTraffic)


@dataclass(slots=True)
class LogCollector:
    """The log of one attempt. All methods are for the event loop."""

    attempt: AttemptId
    pod: PodView
    fence: int | None
    """Of the lease under which it is stored; None: whoever stores it holds none, and goes on for the last that did."""
    place: LogPlace
    _intake: LogIntake | None = None
    """None: what is stored is not known."""
    _pace: Pace | None = None
    _waited_s: float = 0.0
    _following: Following | None = None
    _timer: asyncio.TimerHandle | None = None
    _turn: "asyncio.Task[None] | None" = None
    _ending: "asyncio.Task[str] | None" = None

    @property
    def ending(self) -> "asyncio.Task[str] | None":
        """What stores the rest; None while nobody has asked for that."""
        return self._ending

    def begin(self, *, has_run: bool) -> None:
        """`main` runs: look at its log from time to time; at once where it has run for who knows how long."""
        if self._pace is None and self._ending is None:
            first_s = self.place.rhythm.first_s
            self._pace = Pace(_now() - first_s if has_run else _now())
            self._wait(0 if has_run else first_s)

    def finish(self, pod: PodView) -> "asyncio.Task[str]":
        """Store what is not stored, to the end of the container; the task ends with the last lines."""
        if self._ending is None:
            self._stop_waiting()
            if self._following is not None:
                self._following.is_to_the_end = True
            self._ending = asyncio.create_task(self._finish(pod), name=f"log-{self.attempt}")
        return self._ending

    async def close(self) -> None:
        """Leave what is not stored to another server."""
        self._stop_waiting()
        tasks = [task for task in (self._turn, self._ending) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Looking

    def _wait(self, seconds: float) -> None:
        self._waited_s = seconds
        self._timer = asyncio.get_running_loop().call_later(seconds, self._begin_turn)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin_turn(self) -> None:
        self._timer = None
        self._turn = asyncio.create_task(self._take_turn(), name=f"log-look-{self.attempt}")

    async def _take_turn(self) -> None:
        try:
            wait_s = await self._look()
        except ApiNotFoundError:
            wait_s = None  # The pod is gone.
        except (ApiError, NoLogError, Unavailable) as error:
            _log.warning("log not read", extra={"attempt": str(self.attempt), "error": str(error)})
            wait_s = self._begin_anew()
        except Exception:
            # A fault of ours must not keep what comes from being stored.
            _log.exception("log not read", extra={"attempt": str(self.attempt)})
            wait_s = self._begin_anew()
        self._turn = None
        if wait_s is not None and self._ending is None:
            self._wait(wait_s)

    def _begin_anew(self) -> float:
        """What is stored has to be found out; seconds until then."""
        self._intake = None
        return self.place.rhythm.retry_s(self._waited_s)

    async def _look(self) -> float | None:
        """Look, or follow; seconds until the next time, None for never."""
        assert self._pace is not None
        async with self.place.traffic.looks:
            intake = await self._opened()
            if intake.is_over:
                return None
            was_all = await intake.look(is_brief=self.place.traffic.has_room)
        self._pace.note(_now(), intake.file_bytes, intake.written_per_s)
        wait_s = self.place.rhythm.wait_s(intake.file_bytes, self._pace.rate_per_s, self._waited_s)
        if was_all and wait_s is not None:
            return wait_s
        return await self._follow(intake, self._pace)

    async def _follow(self, intake: LogIntake, pace: Pace) -> float:
        """Follow, if there is room; seconds until the next look."""
        least_s, following = self.place.rhythm.least_s, Following(intake, pace, _now)
        if self._ending is not None or not self.place.traffic.take():
            return least_s
        self._following = following
        try:
            await intake.follow(following.is_enough)
        finally:
            self._following = None
            self.place.traffic.give_back()
        return 0 if following.has_new_file else least_s

    async def _opened(self) -> LogIntake:
        if self._intake is None:
            stored = await self.place.store.parts_of(self.attempt)
            made_under = names.fence_in(self.pod.annotations) or 0
            fence = max(stored.fence, made_under) if self.fence is None else self.fence
            source = MainLog(self.place.api, self.pod.namespace, self.pod.name)
            self._intake = LogIntake(self.attempt, source, self.place.store, stored, fence, self.place.rhythm, _now)
        return self._intake

    # Ending

    async def _finish(self, pod: PodView) -> str:
        await self._end_turn(pod)
        tail = _Tail()
        for last in (False,) * (TRIES_MAX - 1) + (True,):
            try:
                return await self._store_rest(pod, tail)
            except (ApiError, NoLogError, Unavailable) as error:
                may_help = isinstance(error, (ApiUnavailableError, NoLogError, Unavailable))
                if last or not may_help:
                    _log.warning("log not kept", extra={"attempt": str(self.attempt), "error": str(error)})
                    break
            self._intake = None
            await asyncio.sleep(RETRY_S)
        return tail.text()

    async def _end_turn(self, pod: PodView) -> None:
        """Let what is under way come to its end."""
        turn, has_ended = self._turn, pod.ended(names.MAIN) is not None
        if turn is None:
            return
        await asyncio.wait([turn], timeout=ENDING_S if has_ended else None)
        if not turn.done():
            turn.cancel()
            await asyncio.wait([turn])
            self._intake = None

    async def _store_rest(self, pod: PodView, tail: "_Tail") -> str:
        """As one object where nothing is stored, else as the last part; the last lines."""
        may_have_parts = self._intake is not None or not _was_short(pod, self.place.rhythm.first_s)
        if self._intake is None or not self._intake.stored.parts:
            self._intake = None  # Another server may have begun to store it.
        if not may_have_parts or not (intake := await self._opened()).stored.parts:
            return await self._store_whole(pod, tail)
        if not intake.is_over:
            await intake.finish()
        return await self.place.store.tail(self.attempt, intake.stored)

    async def _store_whole(self, pod: PodView, tail: "_Tail") -> str:
        tail.clear()
        contents = MainLog(self.place.api, pod.namespace, pod.name).plain(follow=True)
        await self.place.store.write(self.attempt, tail.of(contents))
        return tail.text()


class _Tail:
    """Lets a log pass and remembers its end."""

    def __init__(self) -> None:
        self._end = b""
        self._size = 0

    def clear(self) -> None:
        """It is read from its beginning."""
        self._end, self._size = b"", 0

    async def of(self, contents: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The contents, as they are."""
        async for content in contents:
            self._size += len(content)
            self._end = (self._end + content)[-verdicts.TAIL_BYTES :]
            yield content

    def text(self) -> str:
        """The last lines."""
        return verdicts.tail_of(self._end, is_cut=self._size > len(self._end))


def _was_short(pod: PodView, seconds: float) -> bool:
    """Whether its step has ended before any server may have looked at its log."""
    main = pod.state_of(names.MAIN)
    if not isinstance(main, Ended) or main.started_at is None or main.finished_at is None:
        return False
    return (main.finished_at - main.started_at).total_seconds() < seconds


def _now() -> float:
    return asyncio.get_running_loop().time()
