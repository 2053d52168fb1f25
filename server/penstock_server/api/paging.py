"""Opaque tokens: where the next page of a list starts, or a stream resumes.

A token is base64url over a MAC and a JSON array: the digest of what was asked, then the cursor. It is authenticated,
so that nobody can make one up, and bound to the question, so that it cannot be used with another one.
"""

import base64
import binascii
import hashlib
import hmac
import json
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import TypeAlias

from penstock_server.model.errors import FieldViolation, InvalidArgument
from penstock_server.model.query import Scalar

Cursor: TypeAlias = tuple[Scalar, ...]

PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 1_000
_MAC_BYTES = 16
_BINDING_BYTES = 12


def page_size(asked: int) -> int:
    """How many items a page holds: 50 when nothing is asked, never more than 1,000.

    Raises InvalidArgument INVALID_PAGE_SIZE for a negative number.
    """
    if asked < 0:
        description = "must not be negative; 0 takes the default"
        violation = FieldViolation("page_size", description)
        raise InvalidArgument("INVALID_PAGE_SIZE", f"page_size {description}", violations=[violation])
    return min(asked or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)


class Tokens:
    """Makes tokens and reads them back."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, cursor: Sequence[Scalar], *question: str) -> str:
        """The token for `cursor` in the answer to `question` (method, parent, filter, order ...)."""
        body = json.dumps([_binding(question), *map(_packed, cursor)], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(body) + body).rstrip(b"=").decode()

    def read(self, token: str, *question: str, field: str = "page_token") -> Cursor | None:
        """The cursor in `token`; None when the token is empty.

        Raises InvalidArgument: <FIELD>_INVALID for one that is not ours, <FIELD>_MISMATCH for one that belongs to
        another question, where <FIELD> is PAGE_TOKEN or RESUME_TOKEN.
        """
        if not token:
            return None
        body = self._checked(token)
        if body is None:
            raise _refused(field, "INVALID", "is not one that this server gave; start without it")
        binding, *cursor = json.loads(body)
        if binding != _binding(question):
            raise _refused(
                field, "MISMATCH", "belongs to a list with other arguments; repeat those, or start without it"
            )
        return tuple(map(_unpacked, cursor))

    def _checked(self, token: str) -> bytes | None:
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None  # not base64: not ours
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        return body if hmac.compare_digest(mac, self._mac(body)) else None

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")[:_MAC_BYTES]


def _binding(question: Sequence[str]) -> str:
    digest = hashlib.sha256(json.dumps(question).encode()).digest()
    return base64.b64encode(digest[:_BINDING_BYTES]).decode()


def _packed(value: Scalar | uuid.UUID) -> Scalar | list[str]:
    match value:
        case datetime():
            return ["t", value.isoformat()]
        case uuid.UUID():
            return ["u", str(value)]
        case _:
            return value


def _unpacked(value: Scalar | list[str]) -> Scalar:
    if not isinstance(value, list):
        return value
    kind, text = value
    return datetime.fromisoformat(text) if kind == "t" else text


def _refused(field: str, what: str, description: str) -> InvalidArgument:
    return InvalidArgument(
        f"{field.upper()}_{what}", f"{field} {description}", violations=[FieldViolation(field, description)]
    )
