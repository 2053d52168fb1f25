"""Opaque tokens: where the next page of a list starts, or a stream resumes.

A token is base64url over a MAC and a JSON array: the digest of what was asked, then the cursor. It is
authenticated, so that nobody can make one up, and bound to the question, so that it fits no other one.
"""

import base64
import binascii
import hashlib
import hmac
import json
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
_UNKNOWN = "is not one that this server gave; start without it"
_OTHER = "belongs to a request with other arguments; repeat those, or start without it"


def page_size(asked: int, *, default: int = PAGE_SIZE_DEFAULT, most: int = PAGE_SIZE_MAX) -> int:
    """How many items a page holds: `default` when nothing is asked, never more than `most`.

    Raises InvalidArgument INVALID_REQUEST for a negative number.
    """
    if asked < 0:
        description = "must not be negative; 0 takes the default"
        violation = FieldViolation("page_size", description)
        raise InvalidArgument("INVALID_REQUEST", f"page_size {description}", violations=[violation])
    return min(asked or default, most)


class Tokens:
    """Makes tokens and reads them back. Servers that share the key understand each other's."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def write(self, cursor: Sequence[Scalar], *question: str) -> str:
        """The token for `cursor` in the answer to `question` (method, parent, filter, order ...)."""
        body = json.dumps([_binding(question), *map(_packed, cursor)], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(body) + body).rstrip(b"=").decode()

    def read_page(self, token: str, *question: str) -> Cursor | None:
        """The cursor in a `page_token`; None when it is empty.

        Raises InvalidArgument INVALID_PAGE_TOKEN for one that is not ours or belongs to another question.
        """
        try:
            return self._read(token, question)
        except ValueError as error:
            violation = FieldViolation("page_token", str(error))
            message = f"page_token {error}"
            raise InvalidArgument("INVALID_PAGE_TOKEN", message, violations=[violation]) from None

    def read_resume(self, token: str, *question: str) -> Cursor | None:
        """The cursor in a `resume_token`; None when it is empty.

        Raises InvalidArgument INVALID_RESUME_TOKEN for one that is not ours or belongs to another question.
        """
        try:
            return self._read(token, question)
        except ValueError as error:
            violation = FieldViolation("resume_token", str(error))
            message = f"resume_token {error}"
            raise InvalidArgument("INVALID_RESUME_TOKEN", message, violations=[violation]) from None

    def _read(self, token: str, question: Sequence[str]) -> Cursor | None:
        if not token:
            return None
        binding, *cursor = json.loads(self._checked(token))
        if binding != _binding(question):
            raise ValueError(_OTHER)
        return tuple(map(_unpacked, cursor))

    def _checked(self, token: str) -> bytes:
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise ValueError(_UNKNOWN) from None
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(body)):
            raise ValueError(_UNKNOWN)
        return body

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, "sha256")[:_MAC_BYTES]


def _binding(question: Sequence[str]) -> str:
    digest = hashlib.sha256(json.dumps(question).encode()).digest()
    return base64.b64encode(digest[:_BINDING_BYTES]).decode()


def _packed(value: Scalar) -> Scalar | list[str]:
    return [value.isoformat()] if isinstance(value, datetime) else value


def _unpacked(value: Scalar | list[str]) -> Scalar:
    return datetime.fromisoformat(value[0]) if isinstance(value, list) else value
