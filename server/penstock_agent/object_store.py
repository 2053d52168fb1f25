"""The object store in S3, GCS or Azure.

A file is one object (`object_files`), a folder one for each of its files and a manifest (`object_folders`); how a
bucket is asked is told in `buckets`.
"""

from penstock_agent.buckets import Buckets
from penstock_agent.content import Source, check_digest
from penstock_agent.object_files import below, delete, fetch_file, is_there, put, put_file, read
from penstock_agent.object_folders import fetch_folder, files_of, put_folder
from penstock_agent.plan import StoreOptions
from penstock_agent.report import StoredContent


class ObjectStore:
    """Implements `stores.Store` for the URIs of `buckets.SCHEMES`, whatever their bucket."""

    def __init__(self, options: StoreOptions) -> None:
        self._buckets = Buckets(options)

    def exists(self, uri: str) -> bool:
        """Whether there is content."""
        at = self._buckets.at(uri)
        return is_there(at) or files_of(at) is not None

    def is_file(self, uri: str) -> bool:
        """Whether there is a file."""
        return is_there(self._buckets.at(uri))

    def read(self, uri: str, size_bytes_max: int) -> bytes | None:
        """The content of a file; None where there is none."""
        return read(self._buckets.at(uri), size_bytes_max)

    def write(self, uri: str, content: bytes) -> None:
        """Store a small file."""
        put(self._buckets.at(uri), content)

    def publish(self, source: Source, uri: str) -> StoredContent:
        """Store a file or folder."""
        at = self._buckets.at(uri)
        names = source.names()
        if names is not None:
            return put_folder(source, names, at)
        if is_there(at.manifest):
            self.delete(uri)  # a folder was there
        return put_file(source, "", at)

    def fetch(self, uri: str, target: str, digest: str = "") -> bool:
        """Bring the content to `target`."""
        at = self._buckets.at(uri)
        stored = fetch_file(at, target)
        if stored is None:
            files = files_of(at)
            if files is None:
                return False
            stored = fetch_folder(at, files, target)
        check_digest(uri, digest, stored)
        return True

    def delete(self, uri: str) -> None:
        """Remove the content."""
        at = self._buckets.at(uri)
        delete(at, [at.manifest.key, *([at.key] if is_there(at) else ()), *(meta["path"] for meta in below(at))])
