"""A container's log as a kubelet keeps and tells it: files of lines with times, of which only the newest is told.

Written after what the kubelet's own reader does (`ReadLogs`); `tests/kubernetes/test_logs.py` holds the same promises
on a real one.
"""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.launch.kubernetes.api_server import ApiServer, Asked, Reply, begin_stream, refusal, write_piece

START_NS = 1_764_136_552_162_391_369
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Written:
    """A line, or a piece of one, as the container runtime writes it down."""

    ns: int
    content: bytes
    """With the line's end, if it has it."""

    @property
    def file_bytes(self) -> int:
        """What it takes in the file."""
        return len(stamp(self.ns)) + len(b" stdout F ") + len(self.content)


def stamp(ns: int) -> bytes:
    seconds = datetime.fromtimestamp(ns // _SECOND_NS, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{seconds}.{ns % _SECOND_NS:09d}Z".encode()


def told(file: Iterable[Written], since_s: int = 0, *, stamps: bool = True) -> Iterator[bytes]:
    """What the kubelet tells of a file."""
    is_new_line = True
    for each in file:
        if each.ns >= since_s * _SECOND_NS:
            yield (stamp(each.ns) + b" " if stamps and is_new_line else b"") + each.content
        is_new_line = each.content.endswith(b"\n")


@dataclass
class KubeletLog:
    """The log of one container."""

    files: list[list[Written]] = field(default_factory=lambda: [[]])
    """Oldest first."""
    has_ended: bool = False
    ns: int = START_NS
    """When the next line is written."""
    followers: int = 0
    """Requests that wait for more."""
    opened: int = 0
    """Requests to follow it, so far."""
    may_tell: asyncio.Event = field(default_factory=asyncio.Event)
    """Clear: what is followed is opened, and not yet told."""
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may_tell.set()

    @property
    def content(self) -> bytes:
        """All that was ever written."""
        return b"".join(each.content for file in self.files for each in file)

    @property
    def file_bytes(self) -> int:
        """Of the newest file."""
        return sum(each.file_bytes for each in self.files[-1])

    def write(self, *contents: bytes, apart_ns: int = 1_000_000) -> None:
        """Lines, or pieces of them, one after the other."""
        for content in contents:
            self.files[-1].append(Written(self.ns, content))
            self.ns += apart_ns
        self._wake()

    def rotate(self) -> None:
        """Begin a new file."""
        self.files.append([])
        self._wake()

    def end(self) -> None:
        """The container has ended."""
        self.has_ended = True
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def tell(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, query: dict[str, str]) -> None:
        """Answer to a request for the log, until the one who asked hangs up."""
        begin_stream(writer)
        telling = _Telling(self, query)
        if telling.follows:
            self.opened += 1
            await self.may_tell.wait()
        while True:
            news = self._news
            for piece in telling.pieces():
                await write_piece(writer, piece)
            if telling.follows and telling.has_new_file():
                continue
            if not telling.follows or self.has_ended:
                break
            if await self._has_hung_up(reader, news):
                return
        await write_piece(writer, b"")

    async def _has_hung_up(self, reader: asyncio.StreamReader, news: asyncio.Event) -> bool:
        """Wait for news, or for the one who asked to hang up."""
        self.followers += 1
        try:
            while not news.is_set() and not reader.at_eof():
                await asyncio.sleep(0.005)  # nothing tells of that
            return reader.at_eof()
        finally:
            self.followers -= 1


class _Telling:
    """One answer to a request."""

    def __init__(self, log: KubeletLog, query: dict[str, str]) -> None:
        self.follows = query.get("follow") == "true"
        self._log = log
        since = query.get("sinceTime")
        self._since_s = int(datetime.fromisoformat(since).timestamp()) if since else 0
        self._stamps = query.get("timestamps") == "true"
        self._limit = int(query.get("limitBytes", 2**62))
        self._file = log.files[-1]
        self._number = 0
        self._is_new_line = True
        self._files_seen = 0
        """0 before the folder is watched."""

    def pieces(self) -> Iterator[bytes]:
        """What is new in the file that is open."""
        while self._number < len(self._file) and self._limit:
            each, self._number = self._file[self._number], self._number + 1
            piece = b"".join(told([each], self._since_s, stamps=self._stamps and self._is_new_line))[: self._limit]
            self._is_new_line, self._limit = each.content.endswith(b"\n"), self._limit - len(piece)
            if piece:
                yield piece

    def has_new_file(self) -> bool:
        """Whether another file was begun since the folder is watched, which it is from the end of the first file on."""
        is_new = 0 < self._files_seen < len(self._log.files)
        self._files_seen = len(self._log.files)
        if is_new:
            self._file, self._number = self._log.files[-1], 0
        return is_new


@dataclass
class KubeletServer(ApiServer):
    """An API server that tells the logs of pods, by their names."""

    logs: dict[str, KubeletLog] = field(default_factory=dict)
    readers: dict[asyncio.StreamWriter, asyncio.StreamReader] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.readers[writer] = reader
        await super().serve(reader, writer)

    def reply_to(self, asked: Asked) -> Reply:
        """A log that there is, or as was said of requests of that kind."""
        pod, slash, part = asked.path.rpartition("/")
        log = self.logs.get(pod.rpartition("/")[2])
        if part != "log" or not slash:
            return super().reply_to(asked)
        if log is None:
            return refusal(404, "NotFound")
        return lambda writer: log.tell(self.readers[writer], writer, asked.query)
