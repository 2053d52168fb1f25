"""Packages as `kfp` writes them: a file with the spec, bare or in an archive.

Nothing is unpacked to a disk: of an archive one file is read, never more of it than a package may hold, so that neither
links, nor paths out of the archive, nor bombs do anything.
"""

import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import TypeAlias

from penstock_server.model.errors import InvalidArgument

BYTES_MAX = 32 * 1024 * 1024
"""Of a package as it comes, and of all that is unpacked of it."""
FILES_MAX = 1_000
"""Files in an archive that are looked at."""
DIRECTORY_BYTES_MAX = 1024 * 1024
"""Of the table of contents of a zip file, which is read whole."""
SPEC_NAME = "pipeline.yaml"
_TEXTS = (".yaml", ".yml", ".json")
_ZIP_END = struct.Struct("<4s4H2LH")
_ZIP_COMMENT_BYTES_MAX = 65_535
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Of which no more is unpacked at a time than is read; the others' bombs go off whole."""
_BROKEN = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError),
    *(EOFError, OSError, RuntimeError, ValueError, struct.error, NotImplementedError),
)
"""What the libraries raise for archives that are broken, encrypted, or packed in a way that they cannot read."""

_Reader: TypeAlias = Callable[[bytes], bytes]


def package_text(file_name: str, content: bytes) -> bytes:
    """The text of the spec in a package. Raises InvalidArgument INVALID_PACKAGE."""
    if _is_text(file_name):
        return content
    if content.startswith(b"PK"):
        return _unpacked(_from_zip, content)
    if content.startswith(b"\x1f\x8b"):
        return _unpacked(_from_tar, content)
    raise _refused("is of no known form; give a .yaml, a .zip or a .tar.gz")


def _unpacked(read: _Reader, content: bytes) -> bytes:
    try:
        return read(content)
    except InvalidArgument:
        raise
    except _BROKEN as error:
        raise _refused(f"is an archive that cannot be read: {error}") from error


def _from_zip(content: bytes) -> bytes:
    _check_zip_directory(content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = [entry for entry in archive.infolist() if not entry.is_dir()]
        if len(files) > FILES_MAX:
            raise _refused(f"holds more than {FILES_MAX} files")
        chosen = files[_chosen([entry.filename for entry in files])]
        if chosen.compress_type not in _ZIP_METHODS:
            raise _refused("is packed in a way that is not taken; let zip deflate it")
        with archive.open(chosen) as file:
            return _bounded(file.read(BYTES_MAX + 1))


def _check_zip_directory(content: bytes) -> None:
    """Refuse a table of contents that is too large before anything is made of it."""
    end = content.rfind(b"PK\x05\x06", max(0, len(content) - _ZIP_END.size - _ZIP_COMMENT_BYTES_MAX))
    if end < 0 or len(content) < end + _ZIP_END.size:
        raise _refused("is a zip file without an end")
    directory_bytes = _ZIP_END.unpack_from(content, end)[5]
    if directory_bytes > DIRECTORY_BYTES_MAX or content[max(0, end - 20) : end].startswith(b"PK\x06\x07"):
        raise _refused("is a zip file of too many files")


def _from_tar(content: bytes) -> bytes:
    first: bytes | None = None
    with (
        gzip.GzipFile(fileobj=io.BytesIO(content)) as unpacked,
        tarfile.open(fileobj=_Bounded(unpacked), mode="r|") as archive,
    ):
        for index, member in enumerate(archive):
            if index >= FILES_MAX:
                raise _refused(f"holds more than {FILES_MAX} files")
            if not member.isreg():
                continue
            if first is None or _is_spec(member.name):
                file = archive.extractfile(member)
                assert file is not None
                read = _bounded(file.read(BYTES_MAX + 1))
                if _is_spec(member.name):
                    return read
                first = read if _is_text(member.name) else b""
    if not first:
        raise _without_spec()
    return first


class _Bounded(io.RawIOBase):
    """Reads on until more was unpacked than a package may hold."""

    def __init__(self, file: gzip.GzipFile) -> None:
        self._file = file
        self._left_bytes = BYTES_MAX

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(min(size, self._left_bytes + 1) if size >= 0 else self._left_bytes + 1)
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            raise _too_large()
        return data


def _chosen(names: list[str]) -> int:
    """Which file holds the spec."""
    for index, name in enumerate(names):
        if _is_spec(name):
            return index
    if not names or not _is_text(names[0]):
        raise _without_spec()
    return 0


def _is_spec(name: str) -> bool:
    return PurePosixPath(name).name == SPEC_NAME


def _is_text(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in _TEXTS


def _bounded(data: bytes) -> bytes:
    if len(data) > BYTES_MAX:
        raise _too_large()
    return data


def _too_large() -> InvalidArgument:
    return _refused(f"holds more than {BYTES_MAX} bytes unpacked")


def _without_spec() -> InvalidArgument:
    return _refused(f"holds no {SPEC_NAME}, and its first file is not YAML")


def _refused(description: str) -> InvalidArgument:
    return InvalidArgument("INVALID_PACKAGE", f"the package {description}")
