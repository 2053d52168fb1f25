"""The object store as the agent and the server use it: content by URI, whole or absent.

A store is asked from any thread. What it is asked again it does again, to the same effect.
"""

from typing import Protocol

from penstock_agent.content import Source
from penstock_agent.plan import StoreOptions
from penstock_agent.report import StoredContent

FILE_SCHEME = "file"


class StoreError(Exception):
    """The store did not do what it was asked; the message is a sentence."""

    is_lasting = False
    """True when asking again does not help."""


class StoreRefusedError(StoreError):
    """The store does not let us, or cannot hold what it was given."""

    is_lasting = True


class StoreDeniedError(StoreRefusedError):
    """It is for us that the store does not do it: for our keys, or our user."""


class Store(Protocol):
    """Content by URI. Every method raises StoreError."""

    def exists(self, uri: str) -> bool:
        """Whether there is content, a file or a whole folder."""

    def is_file(self, uri: str) -> bool:
        """Whether there is a file; cheaper than `exists`."""

    def read(self, uri: str, size_bytes_max: int) -> bytes | None:
        """The content of a file; None where there is none.

        Raises ContentError for a folder, and for more than `size_bytes_max`.
        """

    def write(self, uri: str, content: bytes) -> None:
        """Store a small file, instead of what is there."""

    def publish(self, source: Source, uri: str) -> StoredContent:
        """Store a file or folder, whole or not at all, instead of what is there. Raises ContentError."""

    def fetch(self, uri: str, target: str, digest: str = "") -> bool:
        """Bring the content to the path `target`, where nothing is; False where there is none.

        Raises ContentError for content of another digest.
        """

    def delete(self, uri: str) -> None:
        """Remove the content and all that lies below the URI."""


def scheme_of(uri: str) -> str:
    """The scheme of a URI; empty for a plain path."""
    scheme, separator, _ = uri.partition("://")
    return scheme if separator else ""


def open_store(options: StoreOptions) -> Store:
    """The store that the root lies in. Raises StoreRefusedError for one of an unknown kind."""
    # Imported where it is needed: a pod starts the agent twice, and pays for what it does not use.
    if scheme_of(options.root) == FILE_SCHEME:
        from penstock_agent.folder_store import FolderStore

        return FolderStore(options.root.removeprefix("file://"))
    from penstock_agent.buckets import SCHEMES
    from penstock_agent.object_store import ObjectStore

    if scheme_of(options.root) not in SCHEMES:
        raise StoreRefusedError(f"{options.root!r} lies in no store that is known: file, {', '.join(SCHEMES)}")
    return ObjectStore(options)
