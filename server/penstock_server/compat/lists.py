"""A page of any of KFP's lists.

A page token carries the order and the filter of the list, so that the request for the next page need not repeat them;
it is refused where the request has others.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from penstock_server.compat.fields import KfpList
from penstock_server.compat.filters import parse_filter
from penstock_server.compat.orders import normalized, parse_order
from penstock_server.compat.refusals import wrong
from penstock_server.model.query import Page, Rows
from penstock_server.rpc.pages import bounded_page
from penstock_server.rpc.paging import Cursor, Tokens, page_size
from penstock_server.store.database import Connection

PAGE_SIZE_DEFAULT = 20
PAGE_SIZE_MAX = 200

T = TypeVar("T")
ResponseT = TypeVar("ResponseT", bound="ListResponse")


class ListRequest(Protocol):
    """What every request for a list has."""

    page_token: str
    page_size: int
    sort_by: str
    filter: str


class ListResponse(Protocol):
    """What every answer has beside its items."""

    next_page_token: str
    total_size: int

    def ByteSize(self) -> int:  # noqa: N802 - protobuf's name
        """Size on the wire."""


@dataclass(frozen=True, slots=True)
class Lists:
    """Answers requests for lists."""

    tokens: Tokens

    async def answer(
        self,
        connection: Connection,
        request: ListRequest,
        what: KfpList[T],
        scope: Mapping[str, object],
        respond: Callable[[Sequence[T]], Awaitable[ResponseT]],
    ) -> ResponseT:
        """The page that `request` asks for of the list `what`; `scope` are the parameters that its `select` names.

        `respond` makes the answer with the items of a page. Raises InvalidArgument for a wrong filter, order, page size
        or token.
        """
        bound = [what.listing.key, *(f"{name}={value}" for name, value in scope.items())]
        sort_by, text, after = self._question(request, bound)
        page = Page(
            size=page_size(request.page_size, default=PAGE_SIZE_DEFAULT, most=PAGE_SIZE_MAX),
            filter=parse_filter(text, what.fields),
            order=parse_order(sort_by, what.fields),
            after=after,
        )

        async def fetch(page: Page) -> Rows[T]:
            return await what.listing.page(connection, page, scope, with_total=True)

        response, rows = await bounded_page(page, fetch, respond)
        is_whole = after is None and rows.next is None
        total = len(rows.items) if is_whole else rows.total
        if total is None:
            total = await what.listing.count(connection, page.filter, scope)
        response.total_size = total
        if rows.next is not None:
            response.next_page_token = self.tokens.write((sort_by, text, *rows.next), *bound)
        return response

    def _question(self, request: ListRequest, bound: Sequence[str]) -> tuple[str, str, Cursor | None]:
        """Order, filter, and where the page starts: from the token, if there is one, otherwise as the request says."""
        sort_by, text = normalized(request.sort_by), request.filter
        cursor = self.tokens.read_page(request.page_token, *bound)
        if cursor is None:
            return sort_by, text, None
        first_sort_by, first_text, *after = cursor
        if (sort_by or first_sort_by) != first_sort_by or (text or first_text) != first_text:
            description = "belongs to a list with another sort_by or filter; repeat those, or leave them out"
            raise wrong("page_token", description, "INVALID_PAGE_TOKEN")
        return str(first_sort_by), str(first_text), tuple(after)
