"""Files in an object store: one object each, put whole."""

import os
from collections.abc import Iterator
from typing import Any

import obstore
from obstore.exceptions import BaseError

from penstock_agent.buckets import Place, asked, in_short
from penstock_agent.content import BLOCK_BYTES, Blocks, ContentError, Source, blocks_of, write_file
from penstock_agent.report import StoredContent
from penstock_agent.stores import StoreError, StoreRefusedError

PART_BYTES = 8 * 1024 * 1024
"""What is larger is put in parts of this size."""
PARTS_MAX = 9_000
"""S3 takes 10,000 parts; a very large file has larger ones."""
PARTS_AT_ONCE = 2
KEY_BYTES_MAX = 1024


def is_there(at: Place) -> bool:
    """Whether there is an object."""
    return asked(lambda: obstore.head(at.store, at.key)) is not None


def below(at: Place) -> Iterator[Any]:
    """What is told of the objects below a place."""
    chunks = asked(lambda: list(obstore.list(at.store, prefix=f"{at.key}/")))
    return (meta for chunk in chunks or () for meta in chunk)


def delete(at: Place, keys: list[str]) -> None:
    """Remove objects of the same bucket; those that are not there are removed already."""
    asked(lambda: obstore.delete(at.store, keys))


def read(at: Place, size_bytes_max: int) -> bytes | None:
    """The content of an object; None where there is none. Raises ContentError for more than `size_bytes_max`."""
    answer = asked(lambda: obstore.get(at.store, at.key))
    if answer is None:
        return None
    if answer.meta["size"] > size_bytes_max:
        raise ContentError(f"{at.key} is larger than {size_bytes_max} bytes")
    content = asked(answer.bytes)
    return None if content is None else bytes(content)


def put(at: Place, content: bytes | Iterator[bytes], part_bytes: int = 0) -> None:
    """Put an object, in one go or in parts of that size."""

    def request() -> object:
        if not part_bytes:
            return obstore.put(at.store, at.key, content, use_multipart=False)
        return obstore.put(
            at.store, at.key, content, use_multipart=True, chunk_size=part_bytes, max_concurrency=PARTS_AT_ONCE
        )

    if asked(request) is None:
        raise StoreRefusedError(f"the object store has no such bucket as is to hold {at.key}")


def put_file(source: Source, name: str, at: Place) -> StoredContent:
    """Store a file, or the file `name` of a folder. Raises ContentError."""
    if len(at.key.encode()) > KEY_BYTES_MAX:
        raise ContentError(f"{name or source.path} has a longer name than an object store takes")
    fd = source.open(name)
    try:
        size_bytes = os.fstat(fd).st_size
        blocks = Blocks(blocks_of(fd))
        if size_bytes <= PART_BYTES:
            content = b"".join(blocks)
            put(at, content)
        else:
            _put_parts(blocks, at, size_bytes)
        return blocks.stored
    finally:
        os.close(fd)


def _put_parts(blocks: Blocks, at: Place, size_bytes: int) -> None:
    """Put a large file, and see that all of it is there."""
    part_bytes = max(PART_BYTES, size_bytes // PARTS_MAX)
    put(at, iter(blocks), part_bytes)
    found = asked(lambda: obstore.head(at.store, at.key))
    if found is None or found["size"] != blocks.stored.size_bytes:
        raise StoreError(f"the object store has not kept {at.key} as it was put")


def fetch_file(at: Place, target: str) -> StoredContent | None:
    """Bring an object to the path `target`; None where there is none."""
    answer = asked(lambda: obstore.get(at.clients.reader, at.key))
    if answer is None:
        return None
    try:
        return write_file(target, map(bytes, answer.stream(min_chunk_size=BLOCK_BYTES)))
    except BaseError as error:
        raise StoreError(f"the object store stopped in the middle of {at.key}: {in_short(error)}") from error
