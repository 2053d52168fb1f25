"""Tokens of pages and streams."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_server.model.errors import InvalidArgument
from penstock_server.model.query import Scalar
from penstock_server.rpc.paging import Tokens, page_size

TOKENS = Tokens(b"k" * 32)
CURSOR = (datetime(2026, 1, 31, 9, 30, 0, 123456, tzinfo=UTC), "b6f0", 7, None, True, 1.5)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(),
    st.datetimes(timezones=st.just(UTC)),
)  # fmt: skip


def test_a_token_brings_its_cursor_back() -> None:
    token = TOKENS.write(CURSOR, "ListRuns", "namespaces/default", "", "")
    assert TOKENS.read_page(token, "ListRuns", "namespaces/default", "", "") == CURSOR


@given(st.lists(SCALARS, max_size=4).map(tuple), st.lists(st.text(), max_size=3))
def test_any_cursor_comes_back(cursor: tuple[Scalar, ...], question: list[str]) -> None:
    assert TOKENS.read_page(TOKENS.write(cursor, *question), *question) == cursor


def test_no_token_means_the_start() -> None:
    assert TOKENS.read_page("", "ListRuns") is None
    assert TOKENS.read_resume("", "WatchRun") is None


@pytest.mark.parametrize("question", [("ListRuns", "x", "y"), ("ListRuns", "xy", ""), ("ListTasks", "x", "")])
def test_a_token_does_not_fit_another_question(question: tuple[str, ...]) -> None:
    token = TOKENS.write(CURSOR, "ListRuns", "x", "")
    with pytest.raises(InvalidArgument, match="other arguments"):
        TOKENS.read_page(token, *question)


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "not base64!",
        "ü",
        "AAAA",
        base64.urlsafe_b64encode(b"\0" * 16 + b'["x",1]').decode(),
        Tokens(b"other").write(CURSOR, "q"),
        TOKENS.write(CURSOR, "q")[:-4],
        TOKENS.write(CURSOR, "q")[::-1],
    ],
)
def test_a_token_cannot_be_made_up(token: str) -> None:
    with pytest.raises(InvalidArgument, match="not one that this server gave") as raised:
        TOKENS.read_page(token, "q")
    assert raised.value.reason == "INVALID_PAGE_TOKEN"
    with pytest.raises(InvalidArgument) as raised:
        TOKENS.read_resume(token, "q")
    assert raised.value.reason == "INVALID_RESUME_TOKEN"


@pytest.mark.parametrize(("asked", "given"), [(0, 50), (1, 1), (1000, 1000), (1001, 1000), (2**31 - 1, 1000)])
def test_the_size_of_a_page_has_a_default_and_a_limit(asked: int, given: int) -> None:
    assert page_size(asked) == given


def test_a_negative_page_size_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="page_size"):
        page_size(-1)
