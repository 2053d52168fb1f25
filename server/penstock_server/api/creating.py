"""Creates: repeats of one request recognised."""

import hashlib
import uuid

from google.protobuf.message import Message

from penstock_server.store.requested import RequestKey


def request_key(request_id: str, request: Message) -> RequestKey | None:
    """What tells a repeat of `request` from another one with the same id; None without an id."""
    if not request_id:
        return None
    asked = request.SerializeToString(deterministic=True)
    return RequestKey(uuid.UUID(request_id), hashlib.sha256(asked).hexdigest())
