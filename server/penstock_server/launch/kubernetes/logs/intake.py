"""Brings the log of one pod into the object store, each byte once: from where what is stored ends, part by part.

    stored ──► read on from there ──► passed over ──► new ──► part ──► stored
                  ▲                        │ the place is not there any more: from the newest file's beginning,
                  └────────────────────────┘ with a line that says so

At most a part, and what the connection holds, is in memory.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from penstock_server.launch.kubernetes.logs.parts import LogPart, StoredLog
from penstock_server.launch.kubernetes.logs.rhythm import LogRhythm
from penstock_server.launch.kubernetes.logs.source import MainLog, ticking
from penstock_server.launch.kubernetes.logs.stamped import Position, PositionLostError, StampedLog
from penstock_server.launch.kubernetes.logs.stored import LogStore
from penstock_server.model.ids import AttemptId

GAP = b"penstock: the node has rotated this log between two reads of it: some of it may be missing here\n"
MOMENT_S = 0.25
"""What was written within so short a time says no more of how fast a log grows."""
IsEnough = Callable[[], Awaitable[bool]]


async def never() -> bool:
    """It is never enough."""
    return False


@dataclass(slots=True)
class LogIntake:
    """The way of one log into the store.

    After an error (ApiError, NoLogError, Unavailable) it is of no use any more: what is stored is to be found out anew.
    """

    attempt: AttemptId
    source: MainLog
    store: LogStore
    stored: StoredLog
    fence: int
    rhythm: LogRhythm
    clock: Callable[[], float]
    first_ns: int | None = None
    """The time of the first line of the kubelet's newest file, when that was measured."""
    _has_to_measure: bool = True
    """How large that file is has to be found out: it is read from its beginning."""
    _before_bytes: int | None = None
    """How much of it comes before what is new in what is read at present; None: what is passed over."""
    _flushed_bytes: int = 0
    """How much of it is new and stored."""
    _log: StampedLog = field(default_factory=StampedLog)
    """What is read at present."""
    _content: bytearray = field(default_factory=bytearray)
    """What was read of it and is not stored."""
    _since_s: float = 0.0
    """Since when that waits."""
    told_s: float = 0.0
    """When the kubelet has told something last."""
    _is_lost: bool = False
    """The place at which what is stored ends is not in the kubelet's file any more."""
    _is_bridged: bool = False
    """Nothing was written between that place and the beginning of the kubelet's file."""
    _has_ended: bool = False
    """The kubelet has told all there was to the end of the container."""

    @property
    def file_bytes(self) -> int:
        """How large the kubelet's newest file was when it was read last."""
        return self._before + self._log.new_bytes

    @property
    def written_per_s(self) -> float:
        """How fast was written what was read last; 0 where that was little, or no time can be told."""
        began_ns, at, size = self._log.new_ns, self._log.position, self._log.new_bytes
        if size < self.rhythm.look_bytes or began_ns is None or at is None:
            return 0.0
        return size / max(MOMENT_S, (at.stamp_ns - began_ns) / 1e9)

    @property
    def is_over(self) -> bool:
        """True when the log is stored to its end, or by a server that has taken it over since."""
        return self.stored.is_complete or self.stored.fence > self.fence

    @property
    def has_told(self) -> bool:
        """Whether the kubelet has told anything of what is read at present."""
        return self._log.first_ns is not None

    @property
    def position(self) -> Position | None:
        """Behind what was read last."""
        return self._log.position

    async def look(self, *, is_brief: bool) -> bool:
        """Read what there is, and store it if it is much; with `is_brief` a part at most. Whether that was all."""
        was_all = await self._read(follow=False, is_enough=self._has_part if is_brief else never)
        if len(self._content) >= self.rhythm.look_bytes:
            await self._flush()
        return was_all

    async def follow(self, is_enough: IsEnough) -> None:
        """Read until the container ends, or it is enough, which is asked with every tick; store all of it."""
        await self._read(follow=True, is_enough=is_enough)
        await self._flush()

    def begin_new_file(self, *, is_next: bool) -> None:
        """The kubelet has a newer file than was measured; with `is_next` all was read that was written before it."""
        self._has_to_measure = True
        self._is_bridged = is_next

    async def finish(self) -> None:
        """Read until the container ends, and store the rest as the last part."""
        await self._read(follow=True)
        if self._is_lost and not (self._content or self._has_ended or self._is_bridged):
            self._content += self._gap()
        await self._write(None)

    async def _has_part(self) -> bool:
        return self._flushed_bytes > 0

    async def _read(self, *, follow: bool, is_enough: IsEnough = never) -> bool:
        """Whether all was read, and it was not enough before."""
        while True:
            try:
                return await self._read_on(follow, is_enough)
            except PositionLostError:
                # Only in a file that was told from its beginning nothing can look like a time and be none.
                self._is_lost = self._before_bytes is None
                self._has_to_measure = True

    async def _read_on(self, follow: bool, is_enough: IsEnough) -> bool:
        """Read from where what is stored ends; from the beginning of the file where that is lost, or not known."""
        after = None if self._is_lost else self.stored.position
        is_measuring = self._is_lost or self._has_to_measure
        self._before_bytes = None if is_measuring else self._before + self._flushed_bytes
        self._log, self._flushed_bytes, self._has_to_measure = StampedLog(after), 0, False
        self._content.clear()
        told = self.source.stamped(None if is_measuring else after, follow=follow)
        was_all = await self._take_all(told, follow, is_enough)
        if was_all:
            self._log.end()
            self._has_ended = self._has_ended or follow
        if is_measuring:
            self.first_ns = self._log.first_ns
        return was_all

    async def _take_all(self, told: AsyncGenerator[bytes], follow: bool, is_enough: IsEnough) -> bool:
        """Whether it was not enough before the end."""
        self.told_s = asked_s = self.clock()
        async with aclosing(ticking(told, self.rhythm.tick_s)) as pieces:
            async for piece in pieces:
                now_s = self.clock()
                if piece:
                    self.told_s = now_s
                    self._take(piece, now_s)
                is_old = follow and now_s - self._since_s >= self.rhythm.flush_s
                if len(self._content) >= self.rhythm.part_bytes or is_old:
                    await self._flush()
                if not follow or now_s - asked_s >= self.rhythm.tick_s:
                    asked_s = now_s
                    if await is_enough():
                        return False
        return True

    def _take(self, piece: bytes, now_s: float) -> None:
        new = self._log.feed(piece)
        if new and not self._content:
            self._since_s = now_s
            if self._is_lost and not self._is_bridged:
                self._content += self._gap()
        if new:
            self._content += new
            self._has_ended = False

    @property
    def _before(self) -> int:
        return self._log.passed_bytes if self._before_bytes is None else self._before_bytes

    def _gap(self) -> bytes:
        at = self.stored.position
        return GAP if at is None or at.taken is None else b"\n" + GAP

    async def _flush(self) -> None:
        if self._content:
            await self._write(self._log.position)

    async def _write(self, position: Position | None) -> None:
        part = LogPart(self.stored.size_bytes, self.fence, len(self._content), position)
        await self.store.write_part(self.attempt, part, bytes(self._content))
        self.stored = self.stored.plus(part)
        self._flushed_bytes = self._log.new_bytes
        if self._is_lost:
            self._is_lost = self._is_bridged = False
        self._content.clear()
