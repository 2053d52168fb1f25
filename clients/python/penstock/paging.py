"""Lists: pages are fetched as their items are asked for."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from google.protobuf.message import Message

from penstock.effects import Emit, Items, invoke

ItemT = TypeVar("ItemT")
ResponseT = TypeVar("ResponseT", bound=Message)


def pages(
    request: Message,
    response_type: type[ResponseT],
    items_of: Callable[[ResponseT], Iterable[ItemT]],
) -> Items[ItemT]:
    """Every item of a list, from the page that `request` asks for to the last one."""
    # Every List request has page_token and every response next_page_token; protobuf has no type that says so.
    page: Any = request
    while True:
        response = yield from invoke(page, response_type)
        for item in items_of(response):
            yield Emit(item)
        page.page_token = getattr(response, "next_page_token")  # noqa: B009 - see above
        if not page.page_token:
            return
