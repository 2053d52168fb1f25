"""Folders in an object store: one object for each file below the URI, so that other programs read it as any prefix.

Beside it, in `.penstock/`, stands its manifest, which says `unfinished` before the first file is put and lists all
files once the last one is. A folder that is unfinished is absent. A prefix without a manifest is of somebody else's
making, and is read as it is.
"""

import json
import os
from collections.abc import Callable
from typing import NamedTuple

from penstock_agent.buckets import Place
from penstock_agent.content import Source, check_digest, folder_content
from penstock_agent.object_files import below, delete, fetch_file, is_there, put, put_file, read
from penstock_agent.parallel import in_parallel
from penstock_agent.report import StoredContent, new_digest
from penstock_agent.stores import StoreError

FILES_AT_ONCE = 4
MANIFEST_BYTES_MAX = 512 * 1024 * 1024


class Listed(NamedTuple):
    """A file of a folder."""

    name: str
    key: str
    """Below the URI of the folder."""
    size_bytes: int
    digest: str = ""
    """Empty for what is of somebody else's making."""


def put_folder(source: Source, names: list[str], at: Place) -> StoredContent:
    """Store the files `names` of a folder. Raises ContentError."""
    _put_manifest(at, "unfinished", [])
    if is_there(at):
        delete(at, [at.key])  # a file was there
    keys = [_key_of(name) for name in names]
    stored = in_parallel(
        [_putting(source, name, at.below(key)) for name, key in zip(names, keys, strict=True)], FILES_AT_ONCE
    )
    files = zip(names, keys, stored, strict=True)
    _put_manifest(at, "whole", [Listed(name, key, s.size_bytes, s.digest) for name, key, s in files])
    return folder_content(zip(names, stored, strict=True))


def files_of(at: Place) -> list[Listed] | None:
    """The files of a whole folder; None where there is none."""
    content = read(at.manifest, MANIFEST_BYTES_MAX)
    if content is not None:
        manifest = json.loads(content)
        return [Listed(*item) for item in manifest["files"]] if manifest["state"] == "whole" else None
    found = ((meta["path"].removeprefix(f"{at.key}/"), meta["size"]) for meta in below(at))
    return [Listed(key, key, size_bytes) for key, size_bytes in found if ".." not in key.split("/")] or None


def fetch_folder(at: Place, files: list[Listed], target: str) -> StoredContent:
    """Bring the files of a folder to the path `target`. Raises ContentError for a file of another digest."""
    os.makedirs(target, exist_ok=True)
    stored = in_parallel([_fetching(at, listed, target) for listed in files], FILES_AT_ONCE)
    return folder_content((listed.name, content) for listed, content in zip(files, stored, strict=True))


def _putting(source: Source, name: str, at: Place) -> Callable[[], StoredContent]:
    return lambda: put_file(source, name, at)


def _put_manifest(at: Place, state: str, files: list[Listed]) -> None:
    content = json.dumps({"state": state, "files": files}, separators=(",", ":")).encode()
    put(at.manifest, content)


def _key_of(name: str) -> str:
    """The name of a file as part of a key. Stores take only text, without control characters."""
    if name.isprintable():
        return name
    return f".penstock-name-{new_digest(os.fsencode(name)).hexdigest()[:32]}"


def _fetching(at: Place, listed: Listed, target: str) -> Callable[[], StoredContent]:
    def fetch() -> StoredContent:
        stored = fetch_file(at.below(listed.key), os.path.join(target, listed.name))
        if stored is None:
            raise StoreError(f"the object store has lost {at.key}/{listed.key}")
        check_digest(f"{at.key}/{listed.key}", listed.digest, stored)
        return stored

    return fetch
