"""The artifact store: content by URI below one root, in a folder or in S3, GCS or Azure.

What a store does is written once, in the agent that stores from within pods (`penstock_agent.stores`); here it is for
the event loop, under a root, and its failures are errors of the domain.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from penstock_agent.content import ContentError, ContentMissingError, Source
from penstock_agent.folder_store import TEMPORARY, FolderStore
from penstock_agent.plan import JOURNAL, StoreOptions
from penstock_agent.report import StoredContent
from penstock_agent.stores import Store, StoreError, StoreRefusedError, open_store, scheme_of
from penstock_server.model.errors import FailedPrecondition, InvalidArgument, NotFound, Unavailable

PROBE = f"{JOURNAL}/store.json"
"""Written when a server starts, to see that it can be."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Artifacts:
    """Artifacts below a root.

    A URI is taken literally: it is the place below the root, as text, and nothing in it is decoded.
    """

    options: StoreOptions
    """With the root's URI, which has no slash at its end."""
    _store: Store

    @classmethod
    def at(cls, options: StoreOptions) -> "Artifacts":
        """The store that `options` tell of. Raises FailedPrecondition(ARTIFACT_STORE_UNUSABLE)."""
        try:
            store = open_store(options)
            if isinstance(store, FolderStore):
                os.makedirs(_folder(options.root), exist_ok=True)
                store.sweep()
        except (StoreError, OSError) as error:
            raise _unusable(options.root, error) from error
        return cls(options, store)

    @classmethod
    def in_folder(cls, folder: Path) -> "Artifacts":
        """A store in a folder of this machine."""
        return cls.at(StoreOptions(root=f"file://{folder.absolute()}"))

    @property
    def root_uri(self) -> str:
        """The URI under which everything lies, without a slash at its end."""
        return self.options.root

    @property
    def folder(self) -> str:
        """The folder of a `file://` store; empty for any other."""
        return _folder(self.root_uri) if self._is_folder else ""

    async def check(self) -> None:
        """See that the store can be written and read.

        Raises FailedPrecondition(ARTIFACT_STORE_UNUSABLE) where it does not let us, Unavailable where it may later.
        """
        uri = f"{self.root_uri}/{PROBE}"

        def probe() -> None:
            self._store.write(uri, b"{}\n")
            self._store.exists(f"{uri}.absent")

        try:
            await asyncio.to_thread(_told, probe)
        except Unavailable as error:
            if isinstance(error.__cause__, StoreRefusedError):
                raise _unusable(self.root_uri, error.__cause__) from error
            raise

    def contains(self, uri: str) -> bool:
        """True for a URI that lies under the root."""
        inner = uri.removeprefix(f"{self.root_uri}/")
        parts = PurePosixPath(inner).parts
        if inner == uri or "\0" in uri or not parts or parts[0] in ("/", TEMPORARY) or ".." in parts:
            return False
        return self._is_folder or "//" not in inner

    def local_path(self, uri: str) -> Path | None:
        """Where the content can be read in place; None where it has to be fetched, or there is none."""
        place = self._store.path_of(uri) if isinstance(self._store, FolderStore) else None
        return Path(place) if place is not None and os.path.exists(place) else None

    def has_content(self, uri: str) -> bool:
        """False when `uri` lies under the root and there is nothing; of other places nothing is known here.

        Asks the store, which may take a while. Raises Unavailable.
        """
        return not self.contains(uri) or _told(lambda: self._store.exists(uri))

    async def publish(self, source: Path, uri: str) -> StoredContent:
        """Store the file or folder at `uri`, instead of what is there.

        Raises InvalidArgument for a URI outside of the root and for what is neither file nor folder, NotFound
        without a `source`, Unavailable where it cannot be written, as on a disk that is full.
        """
        self._check_inside(uri)
        return await self._ask(lambda: self._store.publish(Source(str(source)), uri))

    async def fetch(self, uri: str, target: Path) -> None:
        """Copy the content to `target`, also from elsewhere in the same kind of store.

        Raises NotFound(ARTIFACT_NOT_FOUND), Unavailable.
        """
        is_reached = self.contains(uri) or (not self._is_folder and scheme_of(uri) == scheme_of(self.root_uri))
        if not is_reached or not await self._ask(lambda: self._store.fetch(uri, str(target))):
            raise _not_found(uri)

    async def read(self, uri: str, size_bytes_max: int) -> bytes:
        """The content of a file.

        Raises NotFound(ARTIFACT_NOT_FOUND), FailedPrecondition(ARTIFACT_NOT_READABLE) for a folder or a larger file,
        Unavailable.
        """
        if not self.contains(uri):
            raise _not_found(uri)
        content = await self.find(uri, size_bytes_max)
        if content is not None:
            return content
        is_folder = await asyncio.to_thread(self.has_content, uri)
        raise _not_readable(uri, size_bytes_max) if is_folder else _not_found(uri)

    async def find(self, uri: str, size_bytes_max: int) -> bytes | None:
        """The content of a file; None without one.

        Raises FailedPrecondition(ARTIFACT_NOT_READABLE) for a larger one, Unavailable.
        """
        self._check_inside(uri)
        try:
            return await asyncio.to_thread(_told, lambda: self._store.read(uri, size_bytes_max))
        except ContentError as error:
            raise _not_readable(uri, size_bytes_max) from error

    async def write(self, uri: str, content: bytes) -> None:
        """Store a small file. Raises InvalidArgument for a URI outside of the root, Unavailable."""
        self._check_inside(uri)
        await self._ask(lambda: self._store.write(uri, content))

    async def delete(self, uri: str) -> None:
        """Remove the content and all below it. Raises InvalidArgument for a URI outside of the root, Unavailable."""
        self._check_inside(uri)
        await self._ask(lambda: self._store.delete(uri))

    @property
    def _is_folder(self) -> bool:
        return isinstance(self._store, FolderStore)

    def _check_inside(self, uri: str) -> None:
        if not self.contains(uri):
            message = f"{uri} does not lie under {self.root_uri}"
            raise InvalidArgument("URI_OUTSIDE_STORE", message, metadata={"uri": uri})

    async def _ask(self, question: Callable[[], T]) -> T:
        try:
            return await asyncio.to_thread(_told, question)
        except ContentMissingError as error:
            raise NotFound("ARTIFACT_NOT_FOUND", str(error)) from error
        except ContentError as error:
            raise InvalidArgument("ARTIFACT_NOT_A_FILE", str(error)) from error


def _told(question: Callable[[], T]) -> T:
    """What the store answers. Raises Unavailable."""
    try:
        return question()
    except (StoreError, OSError) as error:
        raise Unavailable("ARTIFACT_STORE_UNAVAILABLE", str(error), retry_after_s=1) from error


def _folder(root: str) -> str:
    return root.removeprefix("file://")


def _not_found(uri: str) -> NotFound:
    return NotFound("ARTIFACT_NOT_FOUND", f"there is no content at {uri}", metadata={"uri": uri})


def _not_readable(uri: str, size_bytes_max: int) -> FailedPrecondition:
    message = f"{uri} is a folder, or larger than {size_bytes_max} bytes; read it where it is"
    return FailedPrecondition("ARTIFACT_NOT_READABLE", message, metadata={"uri": uri})


def _unusable(root: str, error: Exception) -> FailedPrecondition:
    message = f"the artifact store {root} cannot be used: {error}; see artifacts_url and what comes after it"
    return FailedPrecondition("ARTIFACT_STORE_UNUSABLE", message)
