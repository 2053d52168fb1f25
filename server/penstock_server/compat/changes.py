"""Changes of pipelines and versions: what a PATCH gives, written at the revision that was read."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from penstock_server.compat import naming
from penstock_server.model.errors import Conflict
from penstock_server.rpc.call import Call

TRIES = 5
"""Of a change that others overtake."""

T = TypeVar("T")


class Given(Protocol):
    """The message of a PATCH."""

    @property
    def display_name(self) -> str: ...
    @property
    def tags(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of the display name and the tags; None: they stay."""

    display_name: str | None
    tags: Mapping[str, str] | None


def change_of(message: Given, call: Call, field: str) -> Change:
    """What the message gives: over REST also what it gives as empty. Raises InvalidArgument."""
    given = call.given or frozenset()
    display_name = message.display_name if message.display_name or "display_name" in given else None
    tags = message.tags if message.tags or "tags" in given else None
    return Change(
        None if display_name is None else naming.check_display_name(display_name, f"{field}.display_name"),
        None if tags is None else naming.check_tags(tags, f"{field}.tags"),
    )


async def repeated(change: Callable[[], Awaitable[T]]) -> T:
    """What `change` makes; it is repeated when somebody else was faster. Raises what it raises."""
    for tries_left in reversed(range(TRIES)):
        try:
            return await change()
        except Conflict:
            if not tries_left:
                raise
    raise AssertionError("unreachable")
