"""Etags: what a client sends back to say which revision of a resource it has seen."""

import base64
import hashlib
import uuid

from penstock_server.model.errors import Conflict


def etag(uid: uuid.UUID, revision: int) -> str:
    """Opaque, and another one after every change; equal on every server."""
    seen = uid.bytes + revision.to_bytes(8, "big")
    return base64.urlsafe_b64encode(hashlib.blake2b(seen, digest_size=9).digest()).decode()


def check_etag(given: str, uid: uuid.UUID, revision: int) -> None:
    """Raise Conflict ETAG_MISMATCH when an etag is given and is not that of this revision."""
    if given and given != etag(uid, revision):
        raise etag_mismatch()


def etag_mismatch() -> Conflict:
    """Somebody else was faster."""
    return Conflict("ETAG_MISMATCH", "the resource has changed since it was read; read it again and repeat the change")
