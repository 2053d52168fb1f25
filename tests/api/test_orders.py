"""The order of lists."""

import pytest

from penstock_server.api.filter_values import ListFields
from penstock_server.api.orders import parse_order
from penstock_server.model.errors import InvalidArgument
from penstock_server.model.query import Order

FIELDS = ListFields(types={}, orders=frozenset({"name", "create_time"}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("  ", ()),
        ("name", (Order("name"),)),
        ("name asc", (Order("name"),)),
        ("create_time desc, name", (Order("create_time", descending=True), Order("name"))),
    ],
)
def test_what_an_order_means(text: str, expected: tuple[Order, ...]) -> None:
    assert parse_order(text, FIELDS) == expected


@pytest.mark.parametrize("text", ["state", "name down", "name,", ",", "name desc asc", "name, name", "name;"])
def test_a_wrong_order_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="order_by"):
        parse_order(text, FIELDS)
