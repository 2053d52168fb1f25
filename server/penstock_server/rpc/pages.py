"""Pages of bounded size: what does not fit is left for the next one."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from penstock_server.model.query import Page, Rows

RESPONSE_BYTES_MAX = 3 * 1024 * 1024
"""A page that would be larger is cut short: clients take 4 MiB unless they say otherwise."""

T = TypeVar("T")


class Sized(Protocol):
    """A response."""

    def ByteSize(self) -> int:  # noqa: N802 - protobuf's name
        """Size on the wire."""


ResponseT = TypeVar("ResponseT", bound=Sized)


async def bounded_page(
    page: Page,
    fetch: Callable[[Page], Awaitable[Rows[T]]],
    respond: Callable[[Sequence[T]], Awaitable[ResponseT]],
) -> tuple[ResponseT, Rows[T]]:
    """The response with the rows of `page`, or with the first of them when all would be too much; and those rows."""
    rows = await fetch(page)
    response = await respond(rows.items)
    while response.ByteSize() > RESPONSE_BYTES_MAX and page.size > 1:
        page = replace(page, size=max(1, min(page.size, len(rows.items)) // 2))
        rows = await fetch(page)
        response = await respond(rows.items)
    return response, rows
