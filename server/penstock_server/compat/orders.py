"""KFP's `sort_by`: a field, and `asc` or `desc` behind it."""

from collections.abc import Mapping

from penstock_server.compat.fields import METRIC, Field
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
    columns = _columns(name, fields)
    if not columns:
        named = ", ".join(sorted(_shown(name) for name, each in fields.items() if each.sortable))
        raise wrong("sort_by", f"cannot be {name[:100]!r}; there are {named}", "INVALID_ORDER_BY")
    return tuple(Order(column, descending=direction == "desc") for column in columns)


def _columns(name: str, fields: Mapping[str, Field]) -> tuple[str, ...]:
    """The columns of a field, of a metric with its name; none where there is no such order."""
    metric = name.removeprefix(METRIC)
    if metric != name:
        is_one = METRIC in fields and metric and "\0" not in metric
        return (f"{fields[METRIC].column}.{metric}",) if is_one else ()
    field = fields.get(name)
    return (field.column, *field.then) if field is not None and field.sortable else ()


def _shown(name: str) -> str:
    return f"{METRIC}NAME" if name == METRIC else name
