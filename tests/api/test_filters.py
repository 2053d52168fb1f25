"""The filter language."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_server.api.filter_values import ListFields
from penstock_server.api.filters import COMPARISONS_MAX, DEPTH_MAX, LENGTH_MAX, parse_filter
from penstock_server.model.errors import InvalidArgument
from penstock_server.model.query import And, Comparison, FieldType, Filter, Not, Operator, Or

FIELDS = ListFields(
    types={
        "name": FieldType.TEXT,
        "display_name": FieldType.TEXT,
        "state": FieldType.ENUM,
        "create_time": FieldType.TIME,
        "number": FieldType.NUMBER,
        "archived": FieldType.BOOLEAN,
        "labels": FieldType.MAP,
    },
    enums={"state": frozenset({"RUNNING", "FAILED"})},
)


def parse(text: str) -> Filter | None:
    return parse_filter(text, FIELDS)


def equal(field: str, value: str) -> Comparison:
    return Comparison(field, Operator.EQUAL, value)


A, B, C = equal("name", "a"), equal("name", "b"), equal("name", "c")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("  \n ", None),
        ("name=a", A),
        ("(((name = a)))", A),
        ("name = a AND name = b", And((A, B))),
        ("name = a name = b", And((A, B))),
        ("name = a name = b AND name = c", And((And((A, B)), C))),
        ("name = a OR name = b", Or((A, B))),
        ("name = a AND name = b OR name = c", And((A, Or((B, C))))),
        ("(name = a AND name = b) OR name = c", Or((And((A, B)), C))),
        ("NOT name = a", Not(A)),
        ("-name = a", Not(A)),
        ("NOT (name = a OR name = b)", Not(Or((A, B)))),
        ("name = AND AND name = b", And((equal("name", "AND"), B))),
        ('display_name = "two words"', equal("display_name", "two words")),
        ("display_name = 'it\\'s'", equal("display_name", "it's")),
        ('display_name = "\\"a\\" \\\\ \\n"', equal("display_name", '"a" \\ \n')),
        ("display_name:lo", Comparison("display_name", Operator.HAS, "lo")),
        ("display_name:*", Comparison("display_name", Operator.HAS, "*")),
        ("display_name = pre*", equal("display_name", "pre*")),
        ("state = RUNNING", equal("state", "RUNNING")),
        ("state = STATE_RUNNING", equal("state", "RUNNING")),
        ("state:FAILED", equal("state", "FAILED")),
        ("labels:team", Comparison("labels", Operator.HAS, "team")),
        ("labels.team = vision", equal("labels.team", "vision")),
        ('labels."penstock.dev/team" != x', Comparison("labels.penstock.dev/team", Operator.NOT_EQUAL, "x")),
        ("labels.penstock.dev/team:*", Comparison("labels.penstock.dev/team", Operator.HAS, "*")),
        ("number >= 3", Comparison("number", Operator.GREATER_EQUAL, 3)),
        ("number < -1.5", Comparison("number", Operator.LESS, -1.5)),
        ("archived = true", Comparison("archived", Operator.EQUAL, True)),
        ("NOT create_time:*", Not(Comparison("create_time", Operator.HAS, "*"))),
        (
            "create_time > 2026-01-31T09:30:00Z",
            Comparison("create_time", Operator.GREATER, datetime(2026, 1, 31, 9, 30, tzinfo=UTC)),
        ),
        (
            'create_time <= "2026-01-31T09:30:00+02:00"',
            Comparison("create_time", Operator.LESS_EQUAL, datetime(2026, 1, 31, 7, 30, tzinfo=UTC)),
        ),
        (
            "create_time > 2026-01-31",
            Comparison("create_time", Operator.GREATER, datetime(2026, 1, 31, tzinfo=UTC)),
        ),
    ],
)
def test_what_a_filter_means(text: str, expected: Filter | None) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "position", "what"),
    [
        ("nam = a", 1, "no field 'nam'"),
        ("name", 5, "expected one of ="),
        ("name =", 7, "expected a value"),
        ("= a", 1, "expected the name of a field"),
        ("name = a AND", 13, "expected the name of a field"),
        ("name = a OR OR name = b", 13, "no field 'OR'"),
        ("(name = a", 1, "never closed"),
        ("name = a)", 9, "expected AND"),
        ('name = "a', 8, "quote is never closed"),
        ("name = 'a", 8, "quote is never closed"),
        ("name ~ a", 6, "expected one of ="),
        ("labels = a", 10, "labels.key"),
        ("labels.team.", 13, "expected a key"),
        ("name.x = a", 1, "no field 'name.x'"),
        ("state = DONE", 9, "FAILED, RUNNING"),
        ("state < RUNNING", 9, "does not apply"),
        ("number = ten", 10, "expected a number"),
        ("number = nan", 10, "out of range"),
        ("number = 1e300", 10, "out of range"),
        ("archived = yes", 12, "true or false"),
        ("create_time > yesterday", 15, "expected a time"),
        ("create_time > 0001-01-01T00:00:00+14:00", 15, "too far"),
        ("create_time:2026-01-31", 13, "does not apply"),
        ("name = a, name = b", 9, "expected the name of a field"),
        ("NOT", 4, "expected the name of a field"),
        ("name = a and name = b", 10, "no field 'and'"),
    ],
)
def test_what_is_wrong_is_told_with_its_position(text: str, position: int, what: str) -> None:
    with pytest.raises(InvalidArgument, match=re.escape(what)) as raised:
        parse(text)
    assert raised.value.reason == "INVALID_FILTER"
    assert f"at position {position}," in raised.value.message
    assert raised.value.violations[0].field == "filter"


@pytest.mark.parametrize(
    "text",
    [
        "(" * (DEPTH_MAX + 1) + "name = a" + ")" * (DEPTH_MAX + 1),
        " ".join(["name = a"] * (COMPARISONS_MAX + 1)),
        "name = " + "a" * LENGTH_MAX,
        "(" * LENGTH_MAX,
        "NOT " * 1000 + "name = a",
        'name = "a\0b"',
        'labels."a\0b" = c',
    ],
)
def test_what_is_too_much_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        parse(text)


@pytest.mark.parametrize("text", ["'; DROP TABLE run; --", 'a" OR 1=1', "%s", "{0}", "$1", "\\", "\u202e"])
def test_a_value_is_only_ever_a_value(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    assert parse(f'name = "{quoted}"') == equal("name", text)


TOKENS = st.sampled_from(
    [
        "name",
        "state",
        "labels.a",
        "labels",
        "number",
        "(",
        ")",
        "AND",
        "OR",
        "NOT",
        "-",
        "=",
        ":",
        "<",
        ">=",
        "*",
        "'",
        '"',
        "\\",
        ".",
        ",",
        "RUNNING",
        "1",
        "true",
        "é",
        "\x00",
    ]
)


@given(st.one_of(st.text(max_size=60), st.lists(TOKENS, max_size=30).map(" ".join)))
def test_any_text_is_either_read_or_refused(text: str) -> None:
    try:
        parse(text)
    except InvalidArgument as error:
        assert error.reason == "INVALID_FILTER"  # noqa: PT017 - whether it is refused is up to the text


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40))
def test_any_quoted_text_comes_back_as_it_was(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    assert parse(f'name = "{quoted}"') == equal("name", text)
