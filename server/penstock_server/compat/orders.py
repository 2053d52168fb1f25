"""KFP's `sort_by`: a field, and `asc` or `desc` behind it."""

from collections.abc import Mapping

from penstock_server.compat.fields import Field
from penstock_server.compat.refusals import wrong
from penstock_server.model.query import Order

DEFAULT = "created_at asc"
_DIRECTIONS = ("asc", "desc")


def normalized(text: str) -> str:
    """`text` in one spelling; empty stays empty. Raises InvalidArgument INVALID_ORDER_BY."""
    words = text.lower().split()
    if not words:
        return ""
    if len(words) > 2 or (len(words) == 2 and words[1] not in _DIRECTIONS):
        raise wrong("sort_by", "has to be a field, and asc or desc behind it", "INVALID_ORDER_BY")
    return " ".join((*words, "asc")[:2])


def parse_order(text: str, fields: Mapping[str, Field]) -> tuple[Order, ...]:
    """The order that a normalized `text` asks for. Raises InvalidArgument INVALID_ORDER_BY."""
    name, direction = (text or DEFAULT).split()
    field = fields.get(name)
    if field is None or not field.sortable:
        named = ", ".join(sorted(name for name, each in fields.items() if each.sortable))
        raise wrong("sort_by", f"cannot be {name[:100]!r}; there are {named}", "INVALID_ORDER_BY")
    return tuple(Order(column, descending=direction == "desc") for column in (field.column, *field.then))
