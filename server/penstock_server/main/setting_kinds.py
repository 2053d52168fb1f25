"""The kinds of settings that there are several of, each with what those have in common."""

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

from penstock_server.main.declared import setting

Number = TypeVar("Number", int, float)


def text(
    doc: str,
    default: str = "",
    *,
    metavar: str = "NAME",
    default_text: str = "",
    secret: bool = False,
    check: Callable[[str], None] | None = None,
) -> str:
    """Any text, or what `check` raises no ValueError for."""
    return setting(default, doc=doc, metavar=metavar, default_text=default_text, secret=secret, check=check)


def texts(
    doc: str,
    default: tuple[str, ...] = (),
    *,
    metavar: str = "NAME,...",
    default_text: str = "",
    secret: bool = False,
    check: Callable[[tuple[str, ...]], None] | None = None,
) -> tuple[str, ...]:
    """A list of texts."""
    if not default and not default_text:
        default_text = "none"
    return setting(default, doc=doc, metavar=metavar, default_text=default_text, secret=secret, check=check)


def http_url(doc: str, *, default_text: str) -> str:
    """Where something answers by HTTP; empty by default."""
    return text(doc, metavar="URL", default_text=default_text, check=check_http_url)


def choice(doc: str, default: str, choices: tuple[str, ...], *, metavar: str, default_text: str = "") -> str:
    """One of `choices`."""
    return setting(default, doc=doc, metavar=metavar, choices=choices, default_text=default_text)


def flag(doc: str, default: bool) -> bool:
    """On or off."""
    return setting(default, doc=doc, metavar="BOOL")


def number(doc: str, default: Number, *, minimum: float, maximum: float | None = None, metavar: str = "N") -> Number:
    """A number of things from `minimum` to `maximum`, both allowed; whole where `default` is."""
    return setting(default, doc=doc, metavar=metavar, minimum=minimum, maximum=maximum)


def seconds(
    doc: str, default: Number, *, minimum: float, maximum: float | None = None, default_text: str = ""
) -> Number:
    """A time from `minimum` to `maximum`, both allowed; in whole seconds where `default` is a whole number."""
    return setting(
        default, doc=doc, metavar="SECONDS", unit="s", default_text=default_text, minimum=minimum, maximum=maximum
    )


def size_bytes(doc: str, default: int, *, minimum: int, maximum: int) -> int:
    """A size from `minimum` to `maximum`, both allowed."""
    return setting(default, doc=doc, metavar="BYTES", unit="bytes", minimum=minimum, maximum=maximum)


def check_http_url(url: str) -> None:
    """Raises ValueError for what is neither empty nor an address of HTTP."""
    if url and urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"{url!r} has to begin with http:// or https://, such as http://127.0.0.1:4317")
