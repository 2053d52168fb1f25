"""The object store in S3, GCS or Azure, through `obstore`.

A file is one object, put whole. A folder is one object for each file below the URI, so that other programs read it as
they read any prefix; beside it, in `.penstock/`, stands its manifest, which says `unfinished` before the first file is
put and lists all files once the last one is. A folder that is unfinished is absent. A prefix without a manifest is of
somebody else's making, and is read as it is.

A URI is taken literally: its key is its text behind the bucket, and nothing in it is decoded.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import AzureStore, GCSStore, S3Store

from penstock_agent.content import (
    BLOCK_BYTES,
    Blocks,
    ContentError,
    Source,
    blocks_of,
    check_digest,
    folder_content,
    write_file,
)
from penstock_agent.parallel import in_parallel
from penstock_agent.plan import JOURNAL, StoreOptions
from penstock_agent.report import StoredContent
from penstock_agent.stores import StoreError, StoreRefusedError, scheme_of

PART_BYTES = 8 * 1024 * 1024
"""What is larger is put in parts of this size."""
PARTS_MAX = 9_000
"""S3 takes 10,000 parts; a very large file has larger ones."""
FILES_AT_ONCE = 4
PARTS_AT_ONCE = 2
KEY_BYTES_MAX = 1024
MANIFEST_BYTES_MAX = 512 * 1024 * 1024
RETRIES = 2
"""Of one request, within a second; who asks has patience of their own."""
REQUEST_TIMEOUTS = {"timeout": "30s"}
READ_TIMEOUTS = {"timeout": "24h", "read_timeout": "30s"}
"""Of a request that brings content, which may be as large as it is; but something has to come."""
T = TypeVar("T")


class _Listed(NamedTuple):
    """A file of a folder."""

    name: str
    key: str
    """Below the URI of the folder."""
    size_bytes: int
    digest: str = ""
    """Empty for what is of somebody else's making."""


class _Clients:
    """How a bucket is asked. Making a client takes milliseconds, which every pod would pay for one it does not use."""

    def __init__(self, make: Callable[[Mapping[str, str]], Any]) -> None:
        self._make = make
        self.store = make(REQUEST_TIMEOUTS)
        self._reader: Any = None

    @property
    def reader(self) -> Any:
        """For content, which may be large."""
        if self._reader is None:
            self._reader = self._make(READ_TIMEOUTS)
        return self._reader


class _Bucket(NamedTuple):
    """The bucket that a URI lies in, and where."""

    clients: _Clients
    key: str

    @property
    def store(self) -> Any:
        """For all but content."""
        return self.clients.store

    def below(self, key: str) -> "_Bucket":
        """A place below this one."""
        return self._replace(key=f"{self.key}/{key}")

    @property
    def manifest(self) -> "_Bucket":
        """Of the folder at this place."""
        parent, slash, name = self.key.rpartition("/")
        return self._replace(key=f"{parent}{slash}{JOURNAL}/{name}.folder.json")


class ObjectStore:
    """Implements `stores.Store` for the URIs of `SCHEMES`, whatever their bucket."""

    def __init__(self, options: StoreOptions) -> None:
        self._options = options
        self._buckets: dict[str, _Clients] = {}

    def exists(self, uri: str) -> bool:
        """Whether there is content."""
        at = self._at(uri)
        return _is_there(at) or _files(at) is not None

    def is_file(self, uri: str) -> bool:
        """Whether there is a file."""
        return _is_there(self._at(uri))

    def read(self, uri: str, size_bytes_max: int) -> bytes | None:
        """The content of a file; None where there is none."""
        return _read(self._at(uri), size_bytes_max)

    def write(self, uri: str, content: bytes) -> None:
        """Store a small file."""
        _put(self._at(uri), content)

    def publish(self, source: Source, uri: str) -> StoredContent:
        """Store a file or folder."""
        at = self._at(uri)
        names = source.names()
        if names is not None:
            return _put_folder(source, names, at)
        if _is_there(at.manifest):
            self.delete(uri)  # a folder was there
        return _put_file(source, "", at)

    def fetch(self, uri: str, target: str, digest: str = "") -> bool:
        """Bring the content to `target`."""
        at = self._at(uri)
        stored = _fetch_file(at, target)
        if stored is None:
            files = _files(at)
            if files is None:
                return False
            stored = _fetch_folder(at, files, target)
        check_digest(uri, digest, stored)
        return True

    def delete(self, uri: str) -> None:
        """Remove the content."""
        at = self._at(uri)
        keys = [at.manifest.key, *([at.key] if _is_there(at) else ()), *(meta["path"] for meta in _below(at))]
        _asked(lambda: obstore.delete(at.store, keys))

    def _at(self, uri: str) -> _Bucket:
        """Raises StoreRefusedError."""
        scheme = scheme_of(uri)
        bucket, _, key = uri.removeprefix(f"{scheme}://").partition("/")
        key = key.rstrip("/")
        if scheme not in SCHEMES or not bucket or not key:
            raise StoreRefusedError(f"{uri} is no place in a store of {', '.join(SCHEMES)}")
        root = f"{scheme}://{bucket}"
        if root not in self._buckets:
            self._buckets[root] = _Clients(partial(SCHEMES[scheme], bucket, self._options))
        return _Bucket(self._buckets[root], key)


def _s3(bucket: str, options: StoreOptions, timeouts: Mapping[str, str]) -> Any:
    region: dict[str, Any] = {"region": options.region} if options.region else {}
    return S3Store(bucket, **region, **_endpoint(options), **_how(options, timeouts))


def _gcs(bucket: str, options: StoreOptions, timeouts: Mapping[str, str]) -> Any:
    return GCSStore(bucket, **_how(options, timeouts))


def _azure(container: str, options: StoreOptions, timeouts: Mapping[str, str]) -> Any:
    return AzureStore(container, **_endpoint(options), **_how(options, timeouts))


def _endpoint(options: StoreOptions) -> dict[str, Any]:
    return {"endpoint": options.endpoint} if options.endpoint else {}


def _how(options: StoreOptions, timeouts: Mapping[str, str]) -> dict[str, Any]:
    client = {"allow_http": options.allow_http, **timeouts}
    return {"client_options": client, "retry_config": {"max_retries": RETRIES}}


SCHEMES: dict[str, Callable[[str, StoreOptions, Mapping[str, str]], Any]] = {
    "s3": _s3,
    "minio": _s3,
    "gs": _gcs,
    "az": _azure,
}


def _asked(request: Callable[[], T]) -> T | None:
    """What the store answers; None for what is not there. Raises StoreError."""
    try:
        return request()
    except FileNotFoundError:
        return None
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise StoreRefusedError(f"the object store does not let us: {_first_line(error)}") from error
    except BaseError as error:
        raise StoreError(f"the object store does not answer as it should: {_first_line(error)}") from error
    except ValueError as error:
        raise StoreRefusedError(f"the object store has no such place: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(": ") if str(error) else type(error).__name__


def _is_there(at: _Bucket) -> bool:
    return _asked(lambda: obstore.head(at.store, at.key)) is not None


def _below(at: _Bucket) -> Iterator[Any]:
    """The objects below a place."""
    chunks = _asked(lambda: list(obstore.list(at.store, prefix=f"{at.key}/")))
    return (meta for chunk in chunks or () for meta in chunk)


def _read(at: _Bucket, size_bytes_max: int) -> bytes | None:
    answer = _asked(lambda: obstore.get(at.store, at.key))
    if answer is None:
        return None
    if answer.meta["size"] > size_bytes_max:
        raise ContentError(f"{at.key} is larger than {size_bytes_max} bytes")
    content = _asked(answer.bytes)
    return None if content is None else bytes(content)


# Files


def _put(at: _Bucket, content: bytes | Iterator[bytes], part_bytes: int = 0) -> None:
    """Put an object, in one go or in parts of that size."""

    def put() -> object:
        if not part_bytes:
            return obstore.put(at.store, at.key, content, use_multipart=False)
        return obstore.put(
            at.store, at.key, content, use_multipart=True, chunk_size=part_bytes, max_concurrency=PARTS_AT_ONCE
        )

    if _asked(put) is None:
        raise StoreRefusedError(f"the object store has no such bucket as is to hold {at.key}")


def _put_file(source: Source, name: str, at: _Bucket) -> StoredContent:
    if len(at.key.encode()) > KEY_BYTES_MAX:
        raise ContentError(f"{name or source.path} has a longer name than an object store takes")
    fd = source.open(name)
    try:
        size_bytes = os.fstat(fd).st_size
        blocks = Blocks(blocks_of(fd))
        if size_bytes <= PART_BYTES:
            content = b"".join(blocks)
            _put(at, content)
        else:
            _put_parts(blocks, at, size_bytes)
        return blocks.stored
    finally:
        os.close(fd)


def _put_parts(blocks: Blocks, at: _Bucket, size_bytes: int) -> None:
    """Put a large file, and see that all of it is there."""
    part_bytes = max(PART_BYTES, size_bytes // PARTS_MAX)
    _put(at, iter(blocks), part_bytes)
    found = _asked(lambda: obstore.head(at.store, at.key))
    if found is None or found["size"] != blocks.stored.size_bytes:
        raise StoreError(f"the object store has not kept {at.key} as it was put")


def _fetch_file(at: _Bucket, target: str) -> StoredContent | None:
    answer = _asked(lambda: obstore.get(at.clients.reader, at.key))
    if answer is None:
        return None
    try:
        return write_file(target, map(bytes, answer.stream(min_chunk_size=BLOCK_BYTES)))
    except BaseError as error:
        raise StoreError(f"the object store stopped in the middle of {at.key}: {_first_line(error)}") from error


# Folders


def _put_folder(source: Source, names: list[str], at: _Bucket) -> StoredContent:
    _put_manifest(at, "unfinished", [])
    if _is_there(at):
        _asked(lambda: obstore.delete(at.store, at.key))  # a file was there
    keys = [_key_of(name) for name in names]
    stored = in_parallel(
        [_putting(source, name, at.below(key)) for name, key in zip(names, keys, strict=True)], FILES_AT_ONCE
    )
    files = zip(names, keys, stored, strict=True)
    _put_manifest(at, "whole", [_Listed(name, key, s.size_bytes, s.digest) for name, key, s in files])
    return folder_content(zip(names, stored, strict=True))


def _putting(source: Source, name: str, at: _Bucket) -> Callable[[], StoredContent]:
    return lambda: _put_file(source, name, at)


def _put_manifest(at: _Bucket, state: str, files: list[_Listed]) -> None:
    content = json.dumps({"state": state, "files": files}, separators=(",", ":")).encode()
    _put(at.manifest, content)


def _key_of(name: str) -> str:
    """The name of a file as part of a key. Stores take only text, without control characters."""
    if name.isprintable():
        return name
    return f".penstock-name-{hashlib.sha256(os.fsencode(name)).hexdigest()[:32]}"


def _files(at: _Bucket) -> list[_Listed] | None:
    """The files of a whole folder; None where there is none."""
    content = _read(at.manifest, MANIFEST_BYTES_MAX)
    if content is not None:
        manifest = json.loads(content)
        return [_Listed(*item) for item in manifest["files"]] if manifest["state"] == "whole" else None
    found = ((meta["path"].removeprefix(f"{at.key}/"), meta["size"]) for meta in _below(at))
    return [_Listed(key, key, size_bytes) for key, size_bytes in found if ".." not in key.split("/")] or None


def _fetch_folder(at: _Bucket, files: list[_Listed], target: str) -> StoredContent:
    os.makedirs(target, exist_ok=True)
    stored = in_parallel([_fetching(at, listed, target) for listed in files], FILES_AT_ONCE)
    return folder_content((listed.name, content) for listed, content in zip(files, stored, strict=True))


def _fetching(at: _Bucket, listed: _Listed, target: str) -> Callable[[], StoredContent]:
    def fetch() -> StoredContent:
        stored = _fetch_file(at.below(listed.key), os.path.join(target, listed.name))
        if stored is None:
            raise StoreError(f"the object store has lost {at.key}/{listed.key}")
        check_digest(f"{at.key}/{listed.key}", listed.digest, stored)
        return stored

    return fetch
