"""Reads what a KFP installation holds, through its REST API (v2beta1): pages, tries again, and what KFP answers."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, ProtocolError

from penstock.values import Json

Resource = dict[str, Json]
"""As KFP tells it."""
BASE = "/apis/v2beta1"
TIMEOUT_S = 60.0
FIRST_TRIES_MAX = 2
"""So often a request is repeated before KFP has ever answered: the address may be wrong."""
TRIES_MAX = 8
"""So often after that: it has been there, and will be again."""
BACKOFF_MAX_S = 30
RETRY_AFTER_MAX_S = 120
"""So long is waited at most where KFP says when to come back."""
CONNECT_TIMEOUT_S = 10.0
"""So long is waited at most for somebody to be there."""
_AGAIN = (429, 500, 502, 503, 504)
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SHOWN_CHARS_MAX = 300


class KfpHostError(Exception):
    """KFP could not be asked, or refused to answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        """Of the HTTP answer; None where there was none."""


@dataclass(frozen=True, slots=True)
class KfpAccess:
    """Where KFP is, and how it lets one in."""

    url: str
    """With its scheme, and the path before `/apis` where it stands behind one."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every request: cookies, the headers of a proxy."""
    token: str = field(default="", repr=False)
    """Sent as `authorization: Bearer`."""
    ca_file: Path | None = None
    """Certificates to trust instead of the machine's."""
    timeout_s: float = TIMEOUT_S
    """How long one request may take."""

    @classmethod
    def at(cls, host: str, **more: Any) -> "KfpAccess":
        """The access to a host. Without a scheme `https://` is meant, and on this machine `http://`.

        Raises ValueError.
        """
        url = host if "://" in host else f"{'http' if _is_local(host) else 'https'}://{host}"
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"{host!r} is no address of KFP; expected such as https://kfp.example or localhost:8888")
        if parts.username or parts.password:
            raise ValueError("the address of KFP must hold no password; give a token or a header")
        return cls(url.rstrip("/").removesuffix(BASE), **more)


@dataclass(frozen=True, slots=True)
class Listed:
    """One item of a list."""

    item: Resource
    total: int
    """How many the list has, by the page that the item is on."""


class KfpHost:
    """One KFP installation. A context manager."""

    def __init__(self, access: KfpAccess, *, backoff_s: float = 0.5) -> None:
        """`backoff_s`: the pause before the second try; it doubles with each one."""
        self.url = access.url
        self._headers = {"accept": "application/json", **access.headers}
        if access.token:
            self._headers["authorization"] = f"Bearer {access.token}"
        self._retries = urllib3.Retry(
            total=FIRST_TRIES_MAX,
            redirect=False,
            status_forcelist=_AGAIN,
            backoff_factor=backoff_s,
            backoff_max=BACKOFF_MAX_S,
            backoff_jitter=backoff_s,
            raise_on_status=False,
            retry_after_max=RETRY_AFTER_MAX_S,
        )
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=min(CONNECT_TIMEOUT_S, access.timeout_s), read=access.timeout_s),
            ca_certs=None if access.ca_file is None else str(access.ca_file),
        )

    def __enter__(self) -> "KfpHost":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.clear()

    def get(self, *path: str) -> Resource:
        """One resource, such as `get("runs", run_id)`. Raises KfpHostError."""
        return self._ask("/".join(quote(part, safe="") for part in path), {})

    def pages(self, path: str, items: str, *, page_size: int, **query: str) -> Iterator[Listed]:
        """All of a list, the oldest first, page by page; `items` is the field that holds them. Raises KfpHostError."""
        token = ""
        while True:
            asked = {"page_size": str(page_size), "page_token": token, "sort_by": "created_at asc", **query}
            page = self._ask(path, {name: value for name, value in asked.items() if value})
            found, total = page.get(items) or [], page.get("total_size")
            if not isinstance(found, list):
                raise KfpHostError(f"{self.url} answered {path} without a list of {items}")
            for item in found:
                if isinstance(item, dict):
                    yield Listed(item, total if isinstance(total, int) else 0)
            following = page.get("next_page_token")
            if not isinstance(following, str) or following in ("", token):
                return
            token = following

    def _ask(self, path: str, query: Mapping[str, str]) -> Resource:
        url = f"{self.url}{BASE}/{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            answer = self._pool.request("GET", url, headers=self._headers, retries=self._retries)
        except HTTPError as error:
            raise KfpHostError(f"KFP does not answer at {self.url}: {_cause(error)}") from error
        self._retries = self._retries.new(total=TRIES_MAX)
        if answer.status != 200:
            raise KfpHostError(f"{self.url} answered /{path} with {answer.status}: {_told(answer.data)}", answer.status)
        try:
            document = json.loads(answer.data)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            message = f"{self.url} answered /{path} with no JSON object: is it KFP, and are you let in?"
            raise KfpHostError(message, answer.status)
        return document


def _is_local(host: str) -> bool:
    return urlsplit(f"//{host}").hostname in _LOOPBACK


def _cause(error: HTTPError) -> str:
    reason = getattr(error, "reason", None) or error
    text = str(reason)
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text:
        return f"it does not speak TLS; use http:// in place of https:// ({text})"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return f"its certificate is not trusted ({text})"
    if isinstance(reason, ProtocolError) and "BadStatusLine" in text:
        return "it does not speak HTTP; is this a port of gRPC? KFP's REST API has a port of its own, here 8888"
    return text


def _told(body: bytes) -> str:
    """What an answer says is wrong."""
    text = body.decode(errors="replace")
    with suppress(ValueError):
        text = _message(json.loads(text)) or text
    return text[:_SHOWN_CHARS_MAX] or "no explanation"


def _message(document: object) -> str:
    """The message in an error, of KFP or of whatever answers in its place; empty for none."""
    if isinstance(document, str):
        return document
    if not isinstance(document, dict):
        return ""
    return next(filter(None, (_message(document.get(name)) for name in ("message", "error_message", "error"))), "")
