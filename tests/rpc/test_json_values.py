"""JSON in messages."""

import pytest
from google.protobuf.struct_pb2 import ListValue, Value
from hypothesis import given
from hypothesis import strategies as st

from penstock_server.model.errors import InvalidArgument
from penstock_server.model.json import Json
from penstock_server.rpc.json_values import from_struct, from_value, to_struct, to_value

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=20,
)


@given(JSON)
def test_json_goes_there_and_back(value: Json) -> None:
    assert from_value(to_value(value), "value") == value


def test_integral_numbers_come_back_as_int() -> None:
    values = from_struct(to_struct({"a": 1.0, "b": [2.5, 3.0]}), "value")
    assert values == {"a": 1, "b": [2.5, 3]}
    assert isinstance(values["a"], int)


@pytest.mark.parametrize(
    "value",
    [
        Value(),
        Value(number_value=float("nan")),
        Value(number_value=float("inf")),
        Value(string_value="a\0b"),
        Value(list_value=ListValue(values=[Value()])),
        Value(struct_value=to_struct({"a\0": 1})),
    ],
)
def test_what_is_not_json_is_refused_with_its_path(value: Value) -> None:
    with pytest.raises(InvalidArgument) as raised:
        from_value(value, "run.parameters.x")
    assert raised.value.violations[0].field.startswith("run.parameters.x")
