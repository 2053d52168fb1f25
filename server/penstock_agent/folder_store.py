"""The object store in a folder, which may be a volume that pods share.

Content is written under a temporary name, digested on the way, and takes its final name in one rename: it is there
whole or not at all. What steps call their files becomes names in the folder only, so any name will do.

A URI is taken literally: it is the path below the root, as text, and nothing in it is decoded.
"""

import errno
import os
import stat
import time
from collections.abc import Callable
from typing import TypeVar

from penstock_agent.content import (
    ContentError,
    Source,
    blocks_of,
    check_digest,
    folder_content,
    open_file,
    remove,
    write_file,
)
from penstock_agent.report import StoredContent
from penstock_agent.stores import StoreDeniedError, StoreError, StoreRefusedError

TEMPORARY = ".unpublished"
ABANDONED_AFTER_S = 24 * 3600.0
"""What lies under a temporary name for longer was left behind by a process that was killed."""
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_OCCUPIED = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR, errno.ENOTDIR})
T = TypeVar("T")


class FolderStore:
    """Implements `stores.Store` for `file://` URIs below a folder."""

    def __init__(self, root: str) -> None:
        self._root = root

    def path_of(self, uri: str) -> str | None:
        """The place of a URI; None unless it lies under the root."""
        inner = uri.removeprefix(f"file://{self._root}/")
        parts = [part for part in inner.split("/") if part not in ("", ".")]
        if inner == uri or "\0" in uri or not parts or inner.startswith("/") or parts[0] == TEMPORARY or ".." in parts:
            return None
        return f"{self._root}/{'/'.join(parts)}"

    def exists(self, uri: str) -> bool:
        """Whether there is content."""
        return self._mode(self._place(uri)) != 0

    def is_file(self, uri: str) -> bool:
        """Whether there is a file."""
        return stat.S_ISREG(self._mode(self._place(uri)))

    def read(self, uri: str, size_bytes_max: int) -> bytes | None:
        """The content of a file; None where there is none."""
        path = self._place(uri)
        if not self._has_readable(path):
            return None
        fd = open_file(path)
        with open(fd, "rb") as file:
            content = file.read(size_bytes_max + 1)
        if len(content) > size_bytes_max:
            raise ContentError(f"{uri} is larger than {size_bytes_max} bytes")
        return content

    def write(self, uri: str, content: bytes) -> None:
        """Store a small file."""
        self._put(self._place(uri), lambda whole: write_file(whole, (content,)))

    def publish(self, source: Source, uri: str) -> StoredContent:
        """Store a file or folder."""
        return self._put(self._place(uri), lambda whole: _copy(source, whole))

    def fetch(self, uri: str, target: str, digest: str = "") -> bool:
        """Bring the content to `target`."""
        path = self._place(uri)
        if not self._has_readable(path):
            return False
        check_digest(uri, digest, _copy(Source(path), target))
        return True

    def delete(self, uri: str) -> None:
        """Remove the content."""
        self._told(lambda: remove(self._place(uri)))

    def sweep(self) -> None:
        """Remove what processes that were killed have left behind; another may be doing the same."""
        limit = time.time() - ABANDONED_AFTER_S
        folder = f"{self._root}/{TEMPORARY}"
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            path = f"{folder}/{name}"
            try:
                if os.lstat(path).st_mtime <= limit:
                    remove(path)
            except FileNotFoundError:
                continue  # the other one was faster

    def _place(self, uri: str) -> str:
        path = self.path_of(uri)
        if path is None:
            raise StoreRefusedError(f"{uri} does not lie under file://{self._root}")
        return path

    def _put(self, target: str, write: Callable[[str], T]) -> T:
        workplace = f"{self._root}/{TEMPORARY}/{os.urandom(16).hex()}"

        def put() -> T:
            os.makedirs(workplace)
            stored = write(f"{workplace}/whole")
            os.makedirs(os.path.dirname(target), exist_ok=True)
            _put_in_place(f"{workplace}/whole", target, f"{workplace}/replaced")
            return stored

        try:
            return self._told(put)
        finally:
            if os.path.isdir(workplace):
                remove(workplace)

    def _has_readable(self, path: str) -> bool:
        """Whether there is anything. Raises StoreDeniedError for what we may not read."""
        if not self._mode(path):
            return False
        if not os.access(path, os.R_OK):
            raise self._failed("read", PermissionError(errno.EACCES, os.strerror(errno.EACCES), path))
        return True

    def _mode(self, path: str) -> int:
        """What is there, and who may do what with it; 0 where there is nothing."""
        try:
            return os.stat(path).st_mode
        except OSError as error:
            if error.errno in _ABSENT:
                return 0
            raise self._failed("read", error) from error

    def _told(self, action: Callable[[], T]) -> T:
        """What `action`, which writes, returns."""
        try:
            return action()
        except OSError as error:
            raise self._failed("write", error) from error

    def _failed(self, what: str, error: OSError) -> StoreError:
        place, why = error.filename or self._root, error.strerror or str(error)
        if error.errno in _DENIED:
            return StoreDeniedError(f"the artifact store does not let user {os.geteuid()} {what} {place}: {why}")
        return StoreError(f"the artifact store cannot be {'written' if what == 'write' else what}: {place}: {why}")


def _copy(source: Source, target: str) -> StoredContent:
    names = source.names()
    if names is None:
        return _copy_file(source, "", target)
    os.makedirs(target, exist_ok=True)
    return folder_content([(name, _copy_file(source, name, os.path.join(target, name))) for name in names])


def _copy_file(source: Source, name: str, target: str) -> StoredContent:
    fd = source.open(name)
    try:
        return write_file(target, blocks_of(fd))
    finally:
        os.close(fd)


def _put_in_place(whole: str, target: str, replaced: str) -> None:
    """Give it its final name. A folder takes no other's place in one step, so an old one steps aside first."""
    try:
        os.replace(whole, target)
    except OSError as error:
        if error.errno not in _OCCUPIED:
            raise
        os.rename(target, replaced)
        os.replace(whole, target)
