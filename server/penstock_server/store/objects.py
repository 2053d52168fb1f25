"""The artifact store on a local folder, through `obstore`.

Content is written under a temporary key, digested on the way, and takes its final name in one rename: it is there
whole or not at all. What steps call their files becomes names in the folder only, never keys, so any name will
do; devices and links to folders are refused, and no URI leads out of the root.
"""

import asyncio
import errno
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore

from penstock_server.model.errors import InvalidArgument, NotFound, Unavailable

TEMPORARY = ".unpublished"
BLOCK_BYTES = 1024 * 1024
ABANDONED_AFTER_S = 24 * 3600.0
"""What lies under a temporary key for longer was left behind by a server that was killed."""
_OCCUPIED = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR, errno.ENOTDIR})


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What was published."""

    digest: str
    """`sha256:` and 64 hex digits; of a folder, over the sorted names, sizes and digests of its files."""
    size_bytes: int


class LocalArtifacts:
    """Artifacts as files and folders under `root`, with `file://` URIs. Several servers may share the folder.

    As in KFP a URI is `file://` and the path as it is: nothing in it is percent-encoded.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._root.mkdir(parents=True, exist_ok=True)
        self._store = LocalStore(self._root)
        _sweep(self._root / TEMPORARY)

    @property
    def root_uri(self) -> str:
        """The URI under which everything lies, without a slash at its end."""
        return f"file://{self._root}"

    def contains(self, uri: str) -> bool:
        """True for a URI that lies under the root."""
        return self._find(uri) is not None

    def local_path(self, uri: str) -> Path | None:
        """Where the content can be read in place; None where this store has nothing of that URI."""
        path = self._find(uri)
        return path if path is not None and path.exists() else None

    def has_content(self, uri: str) -> bool:
        """False when `uri` lies under the root and there is nothing; of other places nothing is known here."""
        path = self._find(uri)
        return path is None or path.exists()

    async def publish(self, source: Path, uri: str) -> StoredObject:
        """Store the file or folder at `uri`, instead of what is there.

        Raises InvalidArgument for a URI outside of the root and for what is neither file nor folder, NotFound
        without a `source`, Unavailable where it cannot be written, as on a disk that is full.
        """
        target = self._find(uri)
        if target is None:
            message = f"{uri} does not lie under {self.root_uri}"
            raise InvalidArgument("URI_OUTSIDE_STORE", message, metadata={"uri": uri})
        return await asyncio.to_thread(self._publish, source, target)

    async def fetch(self, uri: str, target: Path) -> None:
        """Copy the content to `target`. Raises NotFound(ARTIFACT_NOT_FOUND)."""
        path = self.local_path(uri)
        if path is None:
            raise NotFound("ARTIFACT_NOT_FOUND", f"there is no content at {uri}", metadata={"uri": uri})
        await asyncio.to_thread(_copy, path, target)

    def _find(self, uri: str) -> Path | None:
        """The place of a URI; None unless it lies under the root."""
        inner = uri.removeprefix(f"{self.root_uri}/")
        parts = PurePosixPath(inner).parts
        if inner == uri or "\0" in uri or not parts or parts[0] in ("/", TEMPORARY) or ".." in parts:
            return None
        return self._root.joinpath(*parts)

    def _publish(self, source: Path, target: Path) -> StoredObject:
        workplace = self._root / TEMPORARY / uuid.uuid4().hex
        try:
            workplace.mkdir(parents=True)
            stored = self._write(source, workplace / "whole")
            target.parent.mkdir(parents=True, exist_ok=True)
            _put_in_place(workplace / "whole", target, workplace / "replaced")
        except FileNotFoundError as error:
            raise NotFound("ARTIFACT_NOT_FOUND", f"there is nothing at {error.filename}") from error
        except (OSError, BaseError) as error:
            raise _unavailable(error) from error
        finally:
            shutil.rmtree(workplace, ignore_errors=True)
        return stored

    def _write(self, source: Path, whole: Path) -> StoredObject:
        if not source.is_dir():
            return self._write_file(source, whole)
        whole.mkdir()
        digest, size = hashlib.sha256(), 0
        for path in _files(source):
            inner = path.relative_to(source)
            (whole / inner).parent.mkdir(parents=True, exist_ok=True)
            stored = self._write_file(path, whole / inner)
            digest.update(os.fsencode(inner) + f"\0{stored.size_bytes}\0{stored.digest}\n".encode())
            size += stored.size_bytes
        return StoredObject(f"sha256:{digest.hexdigest()}", size)

    def _write_file(self, source: Path, target: Path) -> StoredObject:
        if not source.is_file() and source.lstat():
            raise _no_file(source.name)
        digest, size = hashlib.sha256(), 0

        def blocks() -> Iterator[bytes]:
            nonlocal size
            with source.open("rb") as file:
                while block := file.read(BLOCK_BYTES):
                    digest.update(block)
                    size += len(block)
                    yield block

        key = f"{TEMPORARY}/{uuid.uuid4().hex}"
        try:
            obstore.put(self._store, key, blocks())
            (self._root / key).replace(target)
        finally:
            (self._root / key).unlink(missing_ok=True)
        return StoredObject(f"sha256:{digest.hexdigest()}", size)


def _files(folder: Path) -> list[Path]:
    """All files below, by path; a link to a file counts as one. Raises InvalidArgument for anything else."""
    found: list[Path] = []
    for parent, folders, files in os.walk(folder):
        found += [Path(parent, name) for name in files]
        for path in (Path(parent, name) for name in folders):
            if path.is_symlink():
                raise _no_file(str(path.relative_to(folder)))
    return sorted(found)


def _no_file(name: str) -> InvalidArgument:
    message = f"{name} is a device, or a link to a folder or to nothing; write a file or a folder"
    return InvalidArgument("ARTIFACT_NOT_A_FILE", message)


def _unavailable(error: Exception) -> Unavailable:
    """The store cannot be written; of what was under way nothing is left."""
    message = f"the artifact store cannot be written: {str(error).splitlines()[0]}"
    return Unavailable("ARTIFACT_STORE_UNAVAILABLE", message, retry_after_s=1)


def _put_in_place(whole: Path, target: Path, replaced: Path) -> None:
    """Give it its final name. A folder takes no other's place in one step, so an old one steps aside first."""
    try:
        whole.replace(target)
    except OSError as error:
        if error.errno not in _OCCUPIED:
            raise
        target.rename(replaced)
        whole.replace(target)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, target)


def _sweep(folder: Path) -> None:
    """Remove what servers that were killed have left behind; another server may be doing the same."""
    limit = time.time() - ABANDONED_AFTER_S
    for path in folder.glob("*"):
        try:
            if path.lstat().st_mtime > limit:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        except FileNotFoundError:
            continue  # the other one was faster
