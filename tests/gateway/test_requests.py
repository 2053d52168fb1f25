"""Whatever comes as body and query becomes a message or is refused; nothing else happens."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock_server.gateway.requests import read_request
from penstock_server.gateway.routes import Found, Routes
from penstock_server.model.errors import InvalidArgument
from penstock_server.rpc.method import service_of
from tests.gateway.conftest import RUN_SERVICE, Script

ROUTES = Routes([service_of(RUN_SERVICE, Script())])
NAMES = st.sampled_from(
    [
        *("name", "displayName", "labels", "parameters", "inlineSpec", "struct", "text", "createTime", "deadline"),
        *("state", "cachePolicy", "outputs", "taskCounts", "value", "@type", "seconds", "x"),
    ]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(["STATE_FAILED", "2024-01-01T00:00:00Z", "5s", "1e400", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(["page_size", "pageSize", "filter", "view", "parent", "run.name", "a.b", "", "page_size."])


def found(http_method: str, path: str) -> Found:
    route = ROUTES.find(http_method, path)
    assert isinstance(route, Found)
    return route


CREATE = found("POST", "/v1/namespaces/default/runs")
LIST = found("GET", "/v1/namespaces/default/runs")


@given(JSON)
@example("\ud800")
@example({"\ud800": 1})
@example({"displayName": "\U0001f600"})
def test_any_json_is_read_or_refused(document: Any) -> None:
    outcome(CREATE, "", json.dumps(document).encode())


@given(st.binary(max_size=64))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    outcome(CREATE, "", body)


@given(st.lists(st.tuples(FIELDS, st.text(max_size=6)), max_size=4))
def test_any_query_is_read_or_refused(pairs: list[tuple[str, str]]) -> None:
    query = "&".join(f"{quote(name)}={quote(value, errors='surrogatepass')}" for name, value in pairs)
    outcome(LIST, query, b"")


def outcome(route: Found, query: str, body: bytes) -> None:
    try:
        request = read_request(route, query, body).message
    except InvalidArgument as error:
        reason = error.reason
    else:
        reason = ""
        request.SerializeToString()
        assert getattr(request, "parent") == "namespaces/default"  # noqa: B009  # not every message has it
    assert reason in ("", "REQUEST_UNREADABLE", "INVALID_QUERY")


def test_too_many_fields_in_a_query_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="cannot be read"):
        read_request(LIST, "&".join(["filter=x"] * 300), b"")
