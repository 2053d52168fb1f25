"""The artifact store on a local folder, through `obstore`.

Content is written under a temporary key, digested on the way, and takes its final name in one rename: it is there
whole or not at all. No URI leads out of the root.
"""

import asyncio
import hashlib
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit

import obstore
from obstore.store import LocalStore

from penstock_server.model.errors import InvalidArgument, NotFound

TEMPORARY = ".unpublished"
BLOCK_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What was published."""

    digest: str
    """`sha256:` and 64 hex digits; of a folder, over the sorted names, sizes and digests of its files."""
    size_bytes: int


class LocalArtifacts:
    """Artifacts as files and folders under `root`, with `file://` URIs."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._root.mkdir(parents=True, exist_ok=True)
        self._store = LocalStore(self._root)

    @property
    def root_uri(self) -> str:
        """The URI under which everything lies."""
        return f"file://{quote(str(self._root))}"

    def contains(self, uri: str) -> bool:
        """True for a URI that lies under the root."""
        try:
            self._path(uri)
        except InvalidArgument:
            return False
        return True

    def local_path(self, uri: str) -> Path | None:
        """Where the content can be read in place; None where this store has nothing of that URI."""
        if not self.contains(uri):
            return None
        path = self._path(uri)
        return path if path.exists() else None

    async def publish(self, source: Path, uri: str) -> StoredObject:
        """Store the file or folder at `uri`, instead of what is there. Raises InvalidArgument outside the root."""
        target = self._path(uri)
        return await asyncio.to_thread(self._publish, source, target)

    async def fetch(self, uri: str, target: Path) -> None:
        """Copy the content to `target`. Raises NotFound(ARTIFACT_NOT_FOUND)."""
        path = self.local_path(uri)
        if path is None:
            raise NotFound("ARTIFACT_NOT_FOUND", f"there is no content at {uri}", metadata={"uri": uri})
        copy = shutil.copytree if path.is_dir() else shutil.copyfile
        await asyncio.to_thread(copy, path, target)

    def _publish(self, source: Path, target: Path) -> StoredObject:
        key = f"{TEMPORARY}/{uuid.uuid4()}"
        unpublished = self._root / key
        try:
            stored = self._store_folder(source, key) if source.is_dir() else self._store_file(source, key)
            target.parent.mkdir(parents=True, exist_ok=True)
            _replace(unpublished, target)
        finally:
            _remove(unpublished)
        return stored

    def _store_file(self, source: Path, key: str) -> StoredObject:
        digest, size = hashlib.sha256(), 0

        def blocks() -> Iterator[bytes]:
            nonlocal size
            with source.open("rb") as file:
                while block := file.read(BLOCK_BYTES):
                    digest.update(block)
                    size += len(block)
                    yield block

        obstore.put(self._store, key, blocks())
        return StoredObject(f"sha256:{digest.hexdigest()}", size)

    def _store_folder(self, source: Path, key: str) -> StoredObject:
        (self._root / key).mkdir(parents=True)
        digest, size = hashlib.sha256(), 0
        for path in sorted(path for path in source.rglob("*") if path.is_file()):
            name = path.relative_to(source).as_posix()
            stored = self._store_file(path, f"{key}/{name}")
            digest.update(f"{name}\0{stored.size_bytes}\0{stored.digest}\n".encode())
            size += stored.size_bytes
        return StoredObject(f"sha256:{digest.hexdigest()}", size)

    def _path(self, uri: str) -> Path:
        """The place of a URI. Raises InvalidArgument(URI_OUTSIDE_STORE) unless it lies under the root."""
        parts = urlsplit(uri)
        path = PurePosixPath(unquote(parts.path))
        inside = parts.scheme == "file" and not parts.netloc and path.is_relative_to(self._root)
        if not inside or ".." in path.parts or path == self._root or "\0" in uri:
            raise InvalidArgument(
                "URI_OUTSIDE_STORE", f"{uri} does not lie under {self.root_uri}", metadata={"uri": uri}
            )
        return Path(path)


def _replace(source: Path, target: Path) -> None:
    """Give `source` its final name. A folder takes no other's place in one step, so an old one steps aside first."""
    if target.is_dir():
        aside = source.with_name(f"{source.name}.old")
        target.rename(aside)
        source.rename(target)
        shutil.rmtree(aside)
    else:
        source.replace(target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
