"""Creates: ids made up, and repeats of one request recognised."""

import hashlib
import uuid
from collections.abc import Awaitable, Callable
from typing import TypeVar

from google.protobuf.message import Message

from penstock_server.model.errors import AlreadyExists
from penstock_server.store.requested import RequestKey

T = TypeVar("T")
TRIES = 3
"""Draws of an id, since one drawn may be taken by chance."""


def request_key(request_id: str, request: Message) -> RequestKey | None:
    """What tells a repeat of `request` from another one with the same id; None without an id."""
    if not request_id:
        return None
    asked = request.SerializeToString(deterministic=True)
    return RequestKey(uuid.UUID(request_id), hashlib.sha256(asked).hexdigest())


async def with_id(given: str, draw: Callable[[], str], reason: str, insert: Callable[[str], Awaitable[T]]) -> T:
    """What `insert` makes under the given id, or, without one, under one drawn until it is free.

    `reason` is that of the AlreadyExists which `insert` raises for a taken id.
    """
    if given:
        return await insert(given)
    for tries_left in reversed(range(TRIES)):
        try:
            return await insert(draw())
        except AlreadyExists as error:
            if error.reason != reason or not tries_left:
                raise
    raise AssertionError("unreachable")
