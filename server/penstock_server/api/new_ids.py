"""Ids for what is made without one."""

import re
import secrets
from collections.abc import Callable

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
        suffix = "".join(_ALPHABET[byte % 32] for byte in self._random_bytes(_SUFFIX_CHARS))
        return f"{word}-{suffix}"


def slug(text: str) -> str:
    """`text` in lower-case letters, digits and hyphens, starting with a letter; empty when nothing is."""
    words = _OTHER.sub("-", text.lower()).lstrip("-0123456789")
    return words[:_SLUG_CHARS_MAX].rstrip("-")
