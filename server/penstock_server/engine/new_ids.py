"""Ids for what is made without one."""

import hashlib
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import TypeVar

from penstock_server.model.errors import AlreadyExists
from penstock_server.model.ids import RESOURCE_ID

T = TypeVar("T")
TRIES = 3
"""Draws of an id, since one drawn may be taken by chance."""

_SUFFIX_CHARS = 8
_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # 32 of them, without those that are taken for another
_SLUG_CHARS_MAX = 63 - _SUFFIX_CHARS - 1
_OTHER = re.compile(r"[^a-z0-9]+")


class NewIds:
    """Draws ids."""

    def __init__(self, random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._random_bytes = random_bytes

    def resource_id(self, *hints: str, default: str) -> str:
        """A slug of the first of `hints` that says something, otherwise `default`, and 40 random bits."""
        slugs = (slug(hint) for hint in hints)
        word = next((found for found in slugs if found), default)
        return f"{word}-{_letters(self._random_bytes(_SUFFIX_CHARS))}"


def _letters(data: bytes) -> str:
    return "".join(_ALPHABET[byte % 32] for byte in data)


def slug(text: str) -> str:
    """`text` in lower-case letters, digits and hyphens, starting with a letter; empty when nothing is."""
    words = _OTHER.sub("-", text.lower()).lstrip("-0123456789")
    return words[:_SLUG_CHARS_MAX].rstrip("-")


def derived_ids(name: str, *, default: str) -> tuple[str, ...]:
    """Ids for what goes by `name`, the best first; the same ones for everybody who brings the same name."""
    word = slug(name) or default
    digest = hashlib.sha256(name.encode()).digest()
    suffixes = (digest[start : start + _SUFFIX_CHARS] for start in range(0, 3 * _SUFFIX_CHARS, _SUFFIX_CHARS))
    derived = tuple(f"{word}-{_letters(suffix)}" for suffix in suffixes)
    return (name, *derived) if RESOURCE_ID.match(name) else derived


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
