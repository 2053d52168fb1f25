"""Files and folders as content: what may be stored of them, and their digests.

The digest of a folder is over the names, sizes and digests of its files in the order of their names, so it is the same
in every store, and says whether it is whole.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from penstock_agent.report import StoredContent, new_digest

BLOCK_BYTES = 1024 * 1024
_NOT_FILES = frozenset({errno.ELOOP, errno.ENXIO})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})


class ContentError(Exception):
    """Content that cannot be stored, or is not what it should be; the message is a sentence that says why."""


class ContentMissingError(ContentError):
    """There is nothing at the place."""


class Source(NamedTuple):
    """Content to be stored."""

    path: str
    within: tuple[str, ...] = ()
    """The folders, absolute and without links, that it has to lie in, wherever links lead. Empty: anywhere."""

    def names(self) -> list[str] | None:
        """The names of all files of a folder, as digests order them; None for a file.

        Raises ContentError for what is neither, such as a link to a folder.
        """
        if not is_there(self.path):
            raise ContentMissingError(f"there is nothing at {self.path}")
        return sorted(_names(self.path), key=_order) if os.path.isdir(self.path) else None

    def open(self, name: str = "") -> int:
        """A descriptor of the file, or of the file `name` in the folder. Raises ContentError."""
        return open_file(os.path.join(self.path, name) if name else self.path, self.within, name)


def is_there(path: str) -> bool:
    """Whether there is anything at `path`. Raises ContentError where that may not be seen."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unreadable(error, path, os.path.basename(path)) from error
    return True


def size_of(path: str) -> int:
    """How many bytes are at `path` by now, in a file or in a folder that somebody may be writing."""
    files = (os.path.join(parent, name) for parent, _, names in os.walk(path) for name in names)
    return sum(map(_file_size, (path, *files)))


def _file_size(path: str) -> int:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def open_file(path: str, within: tuple[str, ...] = (), name: str = "") -> int:
    """A descriptor of a file that somebody else has written, whatever it is. Raises ContentError.

    `name` is what errors call it; a link to a file counts as the file.
    """
    name = name or os.path.basename(path)
    real = os.path.realpath(path) if within else path
    if within and not any(real.startswith(f"{folder}/") for folder in within):
        raise ContentError(f"{name} is a link that leads out of {' and '.join(within)}")
    try:
        # Without waiting: it may be a pipe.
        fd = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (os.O_NOFOLLOW if within else 0))
    except OSError as error:
        raise _unreadable(error, path, name) from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise no_file(name)
    return fd


def _unreadable(error: OSError, path: str, name: str) -> Exception:
    """What it means that a file cannot be opened: it may be nobody's fault but the disk's."""
    if error.errno in _FORBIDDEN:
        return ContentError(f"{name} may not be read by others than its owner: give it mode 0644, and its folders 0755")
    if os.path.islink(path) or error.errno in _NOT_FILES:
        return no_file(name)
    if isinstance(error, FileNotFoundError):
        return ContentMissingError(f"there is nothing at {path}")
    return error


def no_file(name: str) -> ContentError:
    """Raised for what cannot be stored."""
    return ContentError(f"{name} is a device, or a link to a folder or to nothing; write a file or a folder")


class Blocks:
    """The content of a file, piece by piece, digested on the way."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self._digest = new_digest()
        self._size_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self._digest.update(piece)
            self._size_bytes += len(piece)
            yield piece

    @property
    def stored(self) -> StoredContent:
        """What has gone by."""
        return StoredContent(f"sha256:{self._digest.hexdigest()}", self._size_bytes)


def blocks_of(fd: int) -> Iterator[bytes]:
    """The content of a file from its present position on."""
    while block := os.read(fd, BLOCK_BYTES):
        yield block


def folder_content(files: Iterable[tuple[str, StoredContent]]) -> StoredContent:
    """The content of a folder of these files, in the order of digests."""
    digest, size_bytes = new_digest(), 0
    for name, stored in files:
        digest.update(os.fsencode(name) + f"\0{stored.size_bytes}\0{stored.digest}\n".encode())
        size_bytes += stored.size_bytes
    return StoredContent(f"sha256:{digest.hexdigest()}", size_bytes)


def check_digest(uri: str, digest: str, found: StoredContent) -> None:
    """Raises ContentError for content that is not what was stored; an empty digest is not known."""
    if digest and digest != found.digest:
        raise ContentError(f"the content of {uri} has the digest {found.digest} and was stored with {digest}")


def write_file(target: str, pieces: Iterable[bytes]) -> StoredContent:
    """Write a file and the folders it lies in."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    blocks = Blocks(pieces)
    with open(target, "wb") as file:
        for block in blocks:
            file.write(block)
    return blocks.stored


def remove(path: str) -> None:
    """Remove a file, or a folder with all that is in it; what is not there is removed already."""
    if not os.path.isdir(path) or os.path.islink(path):
        _ignoring_absence(os.unlink, path)
        return
    for parent, folders, files in os.walk(path, topdown=False):
        for name in files:
            _ignoring_absence(os.unlink, os.path.join(parent, name))
        for name in folders:
            inner = os.path.join(parent, name)
            _ignoring_absence(os.unlink if os.path.islink(inner) else os.rmdir, inner)
    _ignoring_absence(os.rmdir, path)


def _ignoring_absence(action: Callable[[str], None], path: str) -> None:
    try:
        action(path)
    except FileNotFoundError:
        return


def _names(folder: str) -> Iterator[str]:
    for parent, folders, files in os.walk(folder, onerror=_raise):
        inner = os.path.relpath(parent, folder)
        for name in folders:
            if os.path.islink(os.path.join(parent, name)):
                raise no_file(os.path.normpath(os.path.join(inner, name)))
        yield from (os.path.normpath(os.path.join(inner, name)) for name in files)


def _raise(error: OSError) -> None:
    raise _unreadable(error, str(error.filename), os.path.basename(str(error.filename)))


def _order(name: str) -> list[str]:
    return name.split("/")
