"""Small files and logs in the object store, by URI, for launchers that keep what they know of attempts there."""

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, GenericError
from obstore.store import LocalStore, ObjectStore

from penstock_agent.buckets import REQUEST_TIMEOUTS, SCHEMES
from penstock_agent.plan import StoreOptions
from penstock_agent.stores import FILE_SCHEME, scheme_of
from penstock_server.model.errors import InvalidArgument, NotFound, Unavailable

if TYPE_CHECKING:
    from obstore import GetResult

CHUNK_BYTES = 256 * 1024
PART_BYTES = 5 * 1024 * 1024
"""What is written in pieces is put in parts of this size, the smallest that S3 takes."""

DROPS_MAX = 100
"""Each time there is less to remove, since somebody has removed something."""


class StoredRecords:
    """The files below `root_uri`, in a store whose keys begin there."""

    def __init__(self, store: ObjectStore, root_uri: str) -> None:
        self._store = store
        self._root = root_uri.rstrip("/")

    @classmethod
    def in_folder(cls, root: Path) -> "StoredRecords":
        """The files below a folder, which servers and pods may share."""
        root.mkdir(parents=True, exist_ok=True)
        return cls(LocalStore(root.absolute(), automatic_cleanup=True), f"file://{root.absolute()}")

    @classmethod
    def at(cls, options: StoreOptions) -> "StoredRecords":
        """The files in the store that `options` tell of."""
        scheme = scheme_of(options.root)
        place = options.root.removeprefix(f"{scheme}://")
        if scheme == FILE_SCHEME:
            return cls.in_folder(Path(place))
        bucket = place.partition("/")[0]
        return cls(SCHEMES[scheme](bucket, options, REQUEST_TIMEOUTS), f"{scheme}://{bucket}")

    async def read(self, uri: str) -> bytes | None:
        """The whole content; None where there is none. Raises Unavailable."""
        try:
            found = await obstore.get_async(self._store, self._key(uri))
            return bytes(await found.bytes_async())
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error

    async def stream(self, uri: str, offset: int) -> AsyncIterator[bytes]:
        """The content from a byte on, in pieces. Raises NotFound, Unavailable."""
        key = self._key(uri)
        try:
            if offset and offset >= (await obstore.head_async(self._store, key))["size"]:
                return
            found, before = await self._found(key, offset)
            async for piece in found.stream(CHUNK_BYTES):
                if rest := bytes(piece)[before:]:
                    yield rest
                before = max(0, before - len(piece))
        except FileNotFoundError as error:
            raise NotFound("LOG_NOT_FOUND", f"there is nothing at {uri}") from error
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error

    async def write(self, uri: str, content: bytes | AsyncIterator[bytes]) -> None:
        """Store the content, whole or not at all, instead of what is there. Raises Unavailable, and what an iterator
        raises."""
        key = self._key(uri)
        try:
            if isinstance(content, bytes):
                await obstore.put_async(self._store, key, content, use_multipart=False)
            else:
                await self._write_pieces(key, content)
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error

    async def list(self, uri: str) -> list[tuple[str, int]]:
        """What lies directly below the URI: names, and sizes in bytes. Raises Unavailable."""
        key = self._key(uri)
        try:
            found = [meta async for listed in obstore.list(self._store, prefix=key) for meta in listed]
        except FileNotFoundError:
            return []
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error
        below = ((meta["path"].removeprefix(f"{key}/"), meta["size"]) for meta in found)
        return [(name, size) for name, size in below if "/" not in name]

    async def drop(self, uri: str) -> None:
        """Remove all that lies below the URI, whoever does the same. Raises Unavailable."""
        key = self._key(uri)
        for _ in range(DROPS_MAX):
            # Whoever finds something gone has been overtaken, and who was faster does not see to the rest.
            with suppress(FileNotFoundError):
                return await self._drop(key)
        message = f"others keep removing what lies below {uri}"
        raise Unavailable("ARTIFACT_STORE_UNAVAILABLE", message, retry_after_s=1)

    async def _drop(self, key: str) -> None:
        """Raises FileNotFoundError where something that was listed is gone, Unavailable."""
        try:
            async for listed in obstore.list(self._store, prefix=key):
                await obstore.delete_async(self._store, [meta["path"] for meta in listed])
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as error:
            raise _unavailable(error) from error

    async def _found(self, key: str, offset: int) -> "tuple[GetResult, int]":
        """The content from a byte on, or all of it with how many bytes come before: not every store sends parts."""
        if offset:
            with suppress(GenericError):
                return await obstore.get_async(self._store, key, options={"range": {"offset": offset}}), 0
        return await obstore.get_async(self._store, key), offset

    async def _write_pieces(self, key: str, pieces: AsyncIterator[bytes]) -> None:
        """In one go where there is little, which takes one call; else in parts."""
        async with obstore.open_writer_async(self._store, key, buffer_size=PART_BYTES) as writer:
            async for piece in pieces:
                await writer.write(piece)

    def _key(self, uri: str) -> str:
        inner = uri.removeprefix(f"{self._root}/")
        if inner == uri or ".." in inner.split("/"):
            message = f"{uri} does not lie under {self._root}"
            raise InvalidArgument("URI_OUTSIDE_STORE", message, metadata={"uri": uri})
        return inner


def _unavailable(error: Exception) -> Unavailable:
    message = f"the object store does not answer: {str(error).splitlines()[0] if str(error) else type(error).__name__}"
    return Unavailable("ARTIFACT_STORE_UNAVAILABLE", message, retry_after_s=1)
