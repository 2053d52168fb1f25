"""Logs in the object store: one object where a log is small, parts where it had to be stored while the step ran."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from penstock_server.launch import verdicts
from penstock_server.launch.base import LogChunk
from penstock_server.launch.kubernetes.logs.parts import LogPart, StoredLog, chain, part_of
from penstock_server.launch.kubernetes.records import Records
from penstock_server.model.errors import NotFound
from penstock_server.model.ids import AttemptId


@dataclass(frozen=True, slots=True)
class LogStore:
    """The stored logs of all attempts. All methods raise Unavailable."""

    records: Records

    async def write(self, attempt: AttemptId, content: bytes | AsyncIterator[bytes]) -> None:
        """Store a whole log as one object, which counts before any parts."""
        await self.records.store.write(self.records.log_uri(attempt), content)

    async def read(self, attempt: AttemptId, offset: int) -> AsyncIterator[LogChunk]:
        """A log that is one object, from a byte on. Raises NotFound."""
        async for content in self.records.store.stream(self.records.log_uri(attempt), offset):
            yield LogChunk(offset, content)
            offset += len(content)

    async def parts_of(self, attempt: AttemptId) -> StoredLog:
        """What is stored of a log in parts."""
        listed = await self.records.store.list(self.records.log_parts_uri(attempt))
        return chain(part for name, size in listed if (part := part_of(name, size)) is not None)

    async def write_part(self, attempt: AttemptId, part: LogPart, content: bytes) -> None:
        """Store a part."""
        await self.records.store.write(self._uri(attempt, part), content)

    async def read_parts(self, attempt: AttemptId, stored: StoredLog, offset: int) -> AsyncIterator[LogChunk]:
        """What is stored in parts, from a byte on. Raises NotFound where a part was removed."""
        for part in stored.since(offset):
            async for content in self.records.store.stream(self._uri(attempt, part), offset - part.offset):
                yield LogChunk(offset, content)
                offset += len(content)

    async def tail(self, attempt: AttemptId, stored: StoredLog) -> str:
        """The last lines of what is stored in parts."""
        offset = max(0, stored.size_bytes - verdicts.TAIL_BYTES)
        try:
            chunks = [chunk.content async for chunk in self.read_parts(attempt, stored, offset)]
        except NotFound:
            return ""  # The run was deleted meanwhile.
        return verdicts.tail_of(b"".join(chunks), is_cut=offset > 0)

    def _uri(self, attempt: AttemptId, part: LogPart) -> str:
        return f"{self.records.log_parts_uri(attempt)}/{part.name}"
