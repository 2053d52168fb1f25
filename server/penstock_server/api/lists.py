"""What all lists have in common: filter, order, page and token in, a page of bounded size out."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from penstock_server.api.filter_values import ListFields
from penstock_server.api.filters import parse_filter
from penstock_server.api.orders import parse_order
from penstock_server.model.query import Page, Rows
from penstock_server.rpc.pages import bounded_page
from penstock_server.rpc.paging import Tokens, page_size

T = TypeVar("T")
ResponseT = TypeVar("ResponseT", bound="ListResponse")


class ListRequest(Protocol):
    """What every List request has."""

    page_size: int
    page_token: str
    filter: str
    order_by: str


class ListResponse(Protocol):
    """What every List response has beside its items."""

    next_page_token: str

    def ByteSize(self) -> int:  # noqa: N802 - protobuf's name
        """Size on the wire."""


@dataclass(frozen=True, slots=True)
class Lists:
    """Answers List requests."""

    tokens: Tokens

    async def answer(
        self,
        request: ListRequest,
        fields: ListFields,
        scope: tuple[str, ...],
        fetch: Callable[[Page], Awaitable[Rows[T]]],
        respond: Callable[[Sequence[T]], Awaitable[ResponseT]],
    ) -> ResponseT:
        """The page that `request` asks for of the list `scope` (the method's name, and where it looks).

        Raises InvalidArgument for a wrong filter, order, page size or token.
        """
        question = (*scope, request.filter, request.order_by)
        page = Page(
            size=page_size(request.page_size),
            filter=parse_filter(request.filter, fields),
            order=parse_order(request.order_by, fields) or fields.default_order,
            after=self.tokens.read_page(request.page_token, *question),
        )
        response, rows = await bounded_page(page, fetch, respond)
        if rows.next is not None:
            response.next_page_token = self.tokens.write(rows.next, *question)
        return response
