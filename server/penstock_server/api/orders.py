"""The `order_by` of lists (AIP-132): `create_time desc, display_name`."""

from penstock_server.api.filter_values import ListFields
from penstock_server.model.errors import FieldViolation, InvalidArgument
from penstock_server.model.query import Order

KEYS_MAX = 4


def parse_order(text: str, fields: ListFields) -> tuple[Order, ...]:
    """The keys of the order; empty for the list's own. Raises InvalidArgument INVALID_ORDER_BY."""
    if not text.strip():
        return ()
    keys = tuple(_key(part, fields) for part in text.split(","))
    if len(keys) > KEYS_MAX:
        raise _wrong(f"names more than {KEYS_MAX} fields")
    if len({key.field for key in keys}) != len(keys):
        raise _wrong("names a field twice")
    return keys


def _key(part: str, fields: ListFields) -> Order:
    words = part.split()
    if not words or len(words) > 2 or (len(words) == 2 and words[1] not in ("asc", "desc")):
        raise _wrong(f"has '{part.strip()}' where a field, or a field and 'desc', is expected")
    if words[0] not in fields.orders:
        raise _wrong(f"cannot order by '{words[0]}'; there are {', '.join(sorted(fields.orders))}")
    return Order(words[0], descending=words[-1] == "desc" and len(words) == 2)


def _wrong(description: str) -> InvalidArgument:
    return InvalidArgument(
        "INVALID_ORDER_BY", f"order_by {description}", violations=[FieldViolation("order_by", description)]
    )
