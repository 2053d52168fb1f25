"""KFP's lists: filters in both spellings, orders, pages, tokens."""

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from penstock.kfp.v2beta1.filter_pb2 import Predicate
from penstock_server.store.database import Database
from tests.compat.packages import form, ir
from tests.compat.packages import text as package_text
from tests.compat.serving import Answer, KfpSite

NAMES = ("alpha", "Beta*", "100%_done", "delta", "äther")
"""Of the pipelines of this world, a minute apart."""
FIRST = datetime(2026, 1, 31, 9, 0, 0, 400_000, tzinfo=UTC)
EPOCH = int(FIRST.timestamp())


@asynccontextmanager
async def world(kfp: KfpSite) -> AsyncIterator[KfpSite]:
    """Pipelines, each with tags, an experiment of the same name, and a version of the first of them."""
    for index, name in enumerate(NAMES):
        tags = {"team": "even" if index % 2 == 0 else "odd", "index": str(index)}
        made = await kfp.ask("POST", "/pipelines", {"name": name, "display_name": name.upper(), "tags": tags})
        assert made.status == 200, made.body
        assert (await kfp.ask("POST", "/experiments", {"display_name": name})).status == 200
    await date(kfp.database)
    yield kfp


async def date(database: Database) -> None:
    """Set the times of making, in the order of the names."""
    statements = (
        "UPDATE pipeline SET create_time = %s + %s * interval '1 minute' WHERE coalesce(kfp_name, id) = %s",
        "UPDATE experiment SET create_time = %s + %s * interval '1 minute' WHERE display_name = %s",
    )
    async with database.connection() as connection:
        for index, name in enumerate(NAMES):
            for statement in statements:
                await connection.execute(statement.encode(), [FIRST, index, name])


@pytest.fixture
async def listed(kfp: KfpSite) -> AsyncIterator[KfpSite]:
    async with world(kfp) as site:
        yield site


def ui(operation: str, key: str, **value: Any) -> str:
    """A filter as the user interface writes it: names of operations, names of fields as in the schema."""
    return json.dumps({"predicates": [{"key": key, "operation": operation, **value}]})


def sdk(operation: str, key: str, **value: Any) -> str:
    """The same as users of the SDK write it: numbers of operations, camelCase."""
    camel = {name.split("_")[0] + name.split("_")[1].title(): given for name, given in value.items()}
    return json.dumps({"predicates": [{"operation": Predicate.Operation.Value(operation), "key": key, **camel}]})


async def pipelines(kfp: KfpSite, **query: Any) -> list[str]:
    answer = await kfp.ask("GET", "/pipelines", query=query)
    assert answer.status == 200, answer.body
    found = [item["name"] for item in answer.body.get("pipelines", [])]
    assert answer.body.get("total_size", 0) >= len(found)
    return found


def at(index: int) -> int:
    """Seconds of the making of a pipeline."""
    return EPOCH + 60 * index


def rfc(index: int) -> str:
    return datetime.fromtimestamp(at(index), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


OPERATIONS: list[tuple[str, str, dict[str, Any], list[int]]] = [
    ("EQUALS", "name", {"string_value": "alpha"}, [0]),
    ("EQUALS", "name", {"string_value": "Beta*"}, [1]),
    ("EQUALS", "name", {"string_value": "alph*"}, []),
    ("EQUALS", "name", {"string_value": "nothing"}, []),
    ("EQUALS", "display_name", {"string_value": "ALPHA"}, [0]),
    ("EQUALS", "tags.team", {"string_value": "odd"}, [1, 3]),
    ("EQUALS", "tags.index", {"string_value": "2"}, [2]),
    ("EQUALS", "pipeline_id", {"string_value": "nothing"}, []),
    ("EQUALS", "id", {"string_value": "00000000-0000-0000-0000-000000000000"}, []),
    ("NOT_EQUALS", "name", {"string_value": "alpha"}, [1, 2, 3, 4]),
    ("GREATER_THAN", "name", {"string_value": "alpha"}, [3, 4]),
    ("GREATER_THAN_EQUALS", "name", {"string_value": "alpha"}, [0, 3, 4]),
    ("LESS_THAN", "name", {"string_value": "alpha"}, [1, 2]),
    ("LESS_THAN_EQUALS", "name", {"string_value": "alpha"}, [0, 1, 2]),
    ("IS_SUBSTRING", "name", {"string_value": "ta"}, [1, 3]),
    ("IS_SUBSTRING", "name", {"string_value": "%"}, [2]),
    ("IS_SUBSTRING", "name", {"string_value": "_"}, [2]),
    ("IS_SUBSTRING", "name", {"string_value": "*"}, [1]),
    ("IN", "name", {"string_values": {"values": ["delta", "alpha", "Beta*", "nothing"]}}, [0, 1, 3]),
    ("IN", "name", {"string_values": {"values": []}}, []),
    ("EQUALS", "created_at", {"timestamp_value": rfc(1)}, [1]),
    ("EQUALS", "created_at", {"string_value": str(at(1))}, [1]),
    ("EQUALS", "created_at", {"string_value": rfc(1)}, [1]),
    ("EQUALS", "created_at", {"long_value": str(at(1))}, [1]),
    ("EQUALS", "created_at", {"int_value": at(1)}, [1]),
    ("NOT_EQUALS", "created_at", {"int_value": at(1)}, [0, 2, 3, 4]),
    ("GREATER_THAN", "created_at", {"timestamp_value": rfc(2)}, [3, 4]),
    ("GREATER_THAN_EQUALS", "created_at", {"timestamp_value": rfc(2)}, [2, 3, 4]),
    ("LESS_THAN", "created_at", {"timestamp_value": rfc(2)}, [0, 1]),
    ("LESS_THAN_EQUALS", "created_at", {"timestamp_value": rfc(2)}, [0, 1, 2]),
    ("IN", "created_at", {"long_values": {"values": [str(at(0)), str(at(4))]}}, [0, 4]),
    ("IN", "created_at", {"int_values": {"values": [at(3)]}}, [3]),
]


async def test_each_operation_in_either_spelling(listed: KfpSite) -> None:
    told = []
    for operation, key, value, expected in OPERATIONS:
        for spelling in (ui, sdk):
            found = await pipelines(listed, filter=spelling(operation, key, **value))
            if found != [NAMES[index] for index in expected]:
                told.append((operation, key, value, spelling.__name__, found))
    assert not told


async def test_all_predicates_have_to_hold(listed: KfpSite) -> None:
    one, other = (json.loads(ui("EQUALS", "tags.team", string_value=team)) for team in ("odd", "even"))
    name = json.loads(ui("IS_SUBSTRING", "name", string_value="TA"))
    both = json.dumps({"predicates": one["predicates"] + name["predicates"]})
    assert await pipelines(listed, filter=both) == ["Beta*", "delta"]
    neither = json.dumps({"predicates": one["predicates"] + other["predicates"]})
    assert await pipelines(listed, filter=neither) == []
    assert await pipelines(listed, filter='{"predicates": []}') == list(NAMES)


STATES: list[tuple[str, str, bool, bool]] = [
    ("EQUALS", "ARCHIVED", True, False),
    ("EQUALS", "AVAILABLE", False, True),
    ("NOT_EQUALS", "ARCHIVED", False, True),
    ("NOT_EQUALS", "NOTHING", True, True),
    ("EQUALS", "NOTHING", False, False),
    ("IS_SUBSTRING", "chiv", True, False),
    ("GREATER_THAN", "ARCHIVED", False, True),
    ("LESS_THAN_EQUALS", "ARCHIVED", True, False),
]


async def test_experiments_are_told_apart_by_their_storage_state(listed: KfpSite) -> None:
    everything = (await listed.ask("GET", "/experiments")).body["experiments"]
    await listed.ask("POST", f"/experiments/{everything[0]['experiment_id']}:archive")
    for operation, state, archived, available in STATES:
        query = {"filter": ui(operation, "storage_state", string_value=state)}
        page = (await listed.ask("GET", "/experiments", query=query)).body
        assert page.get("total_size", 0) == archived + available * (len(everything) - 1), (operation, state)
    several = ui("IN", "storage_state", string_values={"values": ["ARCHIVED", "AVAILABLE"]})
    assert (await listed.ask("GET", "/experiments", query={"filter": several})).body["total_size"] == len(everything)


async def test_versions_are_filtered_and_sorted_too(kfp: KfpSite) -> None:
    pipeline = {"pipeline": {"name": "p"}, "pipeline_version": {"pipeline_spec": ir(), "name": "Version one"}}
    made = (await kfp.ask("POST", "/pipelines/create", pipeline)).body
    path = f"/pipelines/{made['pipeline_id']}/versions"
    fields = ("id", "pipeline_version_id", "name", "display_name", "created_at", "status", "description")
    for sort_by in fields:
        assert (await kfp.ask("GET", path, query={"sort_by": f"{sort_by} desc"})).body["total_size"] == 1, sort_by
    for found in (
        ui("EQUALS", "status", string_value="READY"),
        ui("IS_SUBSTRING", "pipeline_spec", string_value="hello-world"),
        ui("EQUALS", "name", string_value="Version one"),
    ):
        assert (await kfp.ask("GET", path, query={"filter": found})).body["total_size"] == 1, found
    assert (await kfp.ask("GET", path, query={"filter": ui("EQUALS", "status", string_value="GONE")})).body == {}


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/pipelines", ("id", "pipeline_id", "name", "display_name", "created_at", "description", "namespace")),
        (
            "/experiments",
            (
                *("id", "experiment_id", "name", "display_name", "created_at"),
                *("last_run_created_at", "description", "namespace", "storage_state"),
            ),
        ),
    ],
)
async def test_every_page_is_seen_once_in_any_order(listed: KfpSite, path: str, fields: tuple[str, ...]) -> None:
    whole = (await listed.ask("GET", path)).body
    (items,) = (name for name in whole if name.endswith("s"))
    ids = sorted(json.dumps(item) for item in whole[items])
    for field in fields:
        walks = [await walk(listed, path, items, f"{field}{way}") for way in ("", " ASC", " desc")]
        assert walks[0] == walks[1] == walks[2][::-1], field
        assert sorted(walks[0]) == ids, field


async def walk(kfp: KfpSite, path: str, items: str, sort_by: str) -> list[str]:
    """All items, two at a time; later pages are asked for as the SDK does, with the token and the order."""
    query, found = {"page_token": "", "page_size": 2, "sort_by": sort_by, "filter": "", "namespace": ""}, []
    while True:
        page = (await kfp.ask("GET", path, query=query)).body
        found += [json.dumps(item) for item in page[items]]
        assert len(page[items]) <= 2
        if "next_page_token" not in page:
            return found
        query["page_token"] = page["next_page_token"]


async def test_a_token_needs_nothing_beside_it_and_fits_nothing_else(listed: KfpSite) -> None:
    wanted = {"sort_by": "name desc", "filter": ui("IS_SUBSTRING", "name", string_value="a"), "page_size": 2}
    first = (await listed.ask("GET", "/pipelines", query=wanted)).body
    token = {"page_token": first["next_page_token"]}
    second = await pipelines(listed, **token)
    assert [item["name"] for item in first["pipelines"]] + second == ["delta", "alpha", "Beta*"]
    assert await pipelines(listed, **token, **wanted) == second
    others: list[tuple[str, dict[str, Any]]] = [
        ("/pipelines", {"sort_by": "name"}),
        ("/pipelines", {"filter": ui("IS_SUBSTRING", "name", string_value="b")}),
        ("/experiments", {}),
    ]
    for path, other in others:
        refused = await listed.ask("GET", path, query=token | other)
        assert (refused.status, refused.body["code"]) == (400, 3), (path, other)


async def test_pages_have_twenty_items_and_never_more_than_two_hundred(kfp: KfpSite) -> None:
    async with kfp.database.connection() as connection:
        await connection.execute(
            "INSERT INTO pipeline (namespace, id) SELECT 'default', 'p' || n FROM generate_series(1, 250) AS n"
        )
    for size, expected in ((None, 20), (0, 20), (7, 7), (200, 200), (1_000, 200)):
        query = {} if size is None else {"page_size": size}
        page = (await kfp.ask("GET", "/pipelines", query=query)).body
        assert (len(page["pipelines"]), page["total_size"]) == (expected, 250)


HOSTILE: dict[str, dict[str, Any]] = {
    "no JSON": {"filter": "name = 'x'"},
    "no object": {"filter": "[]"},
    "a text": {"filter": '"x"'},
    "a surrogate": {"filter": '{"predicates": [{"key": "\\ud800"}]}'},
    "a key twice": {"filter": '{"predicates": [], "predicates": []}'},
    "deep": {"filter": "[" * 4_000},
    "long": {"filter": ui("EQUALS", "name", string_value="x" * 9_000)},
    "unknown field": {"filter": '{"predicates": [], "or": []}'},
    "unknown operation": {"filter": ui("LIKE", "name", string_value="x")},
    "no operation": {"filter": '{"predicates": [{"key": "name", "string_value": "x"}]}'},
    "operation 4": {"filter": '{"predicates": [{"key": "name", "operation": 4, "string_value": "x"}]}'},
    "no value": {"filter": '{"predicates": [{"key": "name", "operation": 1}]}'},
    "two values": {"filter": ui("EQUALS", "name", string_value="x", int_value=1)},
    "unknown key": {"filter": ui("EQUALS", "password", string_value="x")},
    "a column": {"filter": ui("EQUALS", "uid", string_value="x")},
    "SQL as a key": {"filter": ui("EQUALS", "name; DROP TABLE run", string_value="x")},
    "NUL in a key": {"filter": ui("EQUALS", "tags.a\0b", string_value="x")},
    "NUL in a value": {"filter": ui("EQUALS", "name", string_value="a\0b")},
    "no tag": {"filter": ui("EQUALS", "tags.", string_value="x")},
    "all tags": {"filter": ui("EQUALS", "tags", string_value="x")},
    "a part of a tag": {"filter": ui("IS_SUBSTRING", "tags.team", string_value="x")},
    "tags in a list": {"filter": ui("IN", "tags.team", string_values={"values": ["x"]})},
    "IN with one text": {"filter": ui("IN", "name", string_value="x")},
    "EQUALS with a list": {"filter": ui("EQUALS", "name", string_values={"values": ["x"]})},
    "a part of a number": {"filter": ui("IS_SUBSTRING", "name", int_value=1)},
    "a part of a time": {"filter": ui("IS_SUBSTRING", "created_at", string_value="1")},
    "a number for a name": {"filter": ui("EQUALS", "name", int_value=1)},
    "a word for a time": {"filter": ui("EQUALS", "created_at", string_value="yesterday")},
    "a far time": {"filter": ui("EQUALS", "created_at", long_value=2**62)},
    "many predicates": {"filter": json.dumps({"predicates": [{"key": "id", "operation": 1, "int_value": 1}] * 100})},
    "many values": {"filter": ui("IN", "name", string_values={"values": ["x"] * 501})},
    "unknown order": {"sort_by": "password"},
    "two orders": {"sort_by": "name,created_at"},
    "three words": {"sort_by": "name desc desc"},
    "another way": {"sort_by": "name down"},
    "SQL as an order": {"sort_by": "name;DROP"},
    "a tag as an order": {"sort_by": "tags.team"},
    "a negative size": {"page_size": -1},
    "an empty size": {"page_size": ""},
    "a huge size": {"page_size": 2**40},
    "no token": {"page_token": "garbage"},
    "a token of another kind": {"page_token": "eyJTb3J0QnlGaWVsZE5hbWUiOiJuYW1lIn0="},
    "a token that is not text": {"page_token": "ä" * 100},
}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("name = 'x'", "filter is no JSON: Expecting value: line 1 column 1"),
        ('{"predicates": [], "predicates": []}', "filter is no JSON: the key 'predicates' occurs twice"),
        ("[]", "filter has to be a JSON object with `predicates`"),
        ('{"or": []}', "filter has the field 'or', and there is only `predicates`"),
        ('{"predicates": 1}', "filter has to have a list as `predicates`"),
        (["x"], "it has to be an object with key, operation and a value"),
        ({"key": "name", "operation": "LIKE", "string_value": "x"}, "operation has to be EQUALS, NOT_EQUALS,"),
        ({"key": "name", "operation": [], "string_value": "x"}, "operation has to be EQUALS, NOT_EQUALS,"),
        ({"key": 7, "operation": 1, "string_value": "x"}, "key has to be text"),
        ({"key": "name", "operation": 1, "string_value": 1}, "string_value has to be text"),
        ({"key": "name", "operation": 1, "stringValue": 1}, "stringValue has to be text"),
        ({"key": "name", "operation": 1, "int_value": "x"}, "int_value has to be a whole number of 32 bits"),
        ({"key": "name", "operation": 1, "long_value": 2**64}, "long_value has to be a whole number of 64"),
        ({"key": "created_at", "operation": 1, "timestamp_value": 1}, "timestamp_value has to be a time"),
        ({"key": "id", "operation": 8, "string_values": ["x"]}, 'string_values has to be as {"values": ["a"]}'),
        ({"key": "id", "operation": 8, "int_values": {"values": ["x"]}}, 'int_values has to be as {"values": [1'),
        ({"key": "name", "op": 1, "string_value": "x"}, "there is no field 'op'; there are key, operation, "),
        ({"key": "name", "operation": 1, "string_value": "x", "int_value": 1}, "it has more than one value"),
    ],
)
async def test_a_wrong_filter_is_told_in_words_of_filters(kfp: KfpSite, given: Any, told: str) -> None:
    """Given are filters as text, and second predicates."""
    if not isinstance(given, str):
        given = json.dumps({"predicates": [{"key": "name", "operation": 1, "string_value": "x"}, given]})
        told = f"filter is wrong in predicate 2: {told}"
    refused = await kfp.ask("GET", "/pipelines", query={"filter": given})
    assert (refused.status, refused.body["message"][: len(told)]) == (400, told)


PATHS = ("/pipelines", "/experiments", "/runs", "/recurringruns", "/pipelines/{pipeline}/versions")
SQL = (
    "name; DROP TABLE run; --",
    "name' OR '1'='1",
    "name) UNION SELECT token_key FROM secret --",
    "pg_sleep(10)",
    "name,(SELECT 1/0)",
    "run.uid",
    "%(namespace)s",
    "{}",
)


async def path_of(kfp: KfpSite, path: str) -> str:
    """The path; where it names a pipeline, that of a new one."""
    made = await kfp.ask("POST", "/pipelines", {"name": "of versions"})
    return path.format(pipeline=made.body["pipeline_id"])


@pytest.mark.parametrize("path", PATHS)
async def test_whatever_cannot_be_a_list_is_refused_with_a_reason(kfp: KfpSite, path: str) -> None:
    path = await path_of(kfp, path)
    answers = {name: await kfp.ask("GET", path, query=query) for name, query in HOSTILE.items()}
    assert [(name, answer) for name, answer in answers.items() if not refused(answer)] == []


@pytest.mark.parametrize("path", PATHS)
async def test_sql_in_keys_orders_and_tokens_is_refused_and_in_values_it_is_text(kfp: KfpSite, path: str) -> None:
    path = await path_of(kfp, path)
    whole = (await kfp.ask("GET", path)).body
    for text in SQL:
        for query in ({"filter": ui("EQUALS", text, string_value="x")}, {"sort_by": text}, {"page_token": text}):
            assert refused(await kfp.ask("GET", path, query=query)), query
        for operation in ("EQUALS", "IS_SUBSTRING"):
            answer = await kfp.ask("GET", path, query={"filter": ui(operation, "name", string_value=text)})
            assert (answer.status, answer.body) == (200, {}), text
        answer = await kfp.ask("GET", path, query={"filter": ui("NOT_EQUALS", "name", string_value=text)})
        assert answer.body == whole, text
    assert (await kfp.ask("GET", path)).body == whole


@pytest.mark.parametrize("path", PATHS)
async def test_tokens_that_were_cut_changed_or_given_for_another_list_are_refused(kfp: KfpSite, path: str) -> None:
    path = await fill(kfp, path)
    for sort_by in ("", "name desc", "created_at"):
        first = (await kfp.ask("GET", path, query={"page_size": 1, "sort_by": sort_by})).body
        token = first["next_page_token"]
        forged = [token[:-1], token[1:], token[: len(token) // 2], token + "A", token.swapcase(), token * 2]
        forged += [token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in range(0, len(token), 7)]
        for wrong in forged:
            assert refused(await kfp.ask("GET", path, query={"page_token": wrong})), wrong
        for other in ({"sort_by": "description"}, {"filter": ui("EQUALS", "name", string_value="x")}):
            assert refused(await kfp.ask("GET", path, query={"page_token": token, **other})), other
        for elsewhere in set(PATHS) - {path}:
            answer = await kfp.ask("GET", elsewhere.format(pipeline=uuid.uuid4()), query={"page_token": token})
            assert answer.status in (400, 404), elsewhere
            assert "{" in elsewhere or refused(answer), elsewhere
        assert (await kfp.ask("GET", path, query={"page_token": token})).status == 200


async def fill(kfp: KfpSite, path: str) -> str:
    """Two of what the path lists; the path."""
    whole = await path_of(kfp, path)
    for name in ("one", "two"):
        if "{" in path:
            body, headers = form(package_text())
            query = {"pipelineid": whole.split("/")[2], "name": name}
            made = await kfp.ask("POST", "/pipelines/upload_version", body, query=query, headers=headers)
        else:
            given = {"name": name} if path == "/pipelines" else {"display_name": name}
            specified: dict[str, Any] = {"/runs": {}, "/recurringruns": JOB}
            more = {"pipeline_spec": ir(), **specified[path]} if path in specified else {}
            made = await kfp.ask("POST", path, given | more)
        assert made.status == 200, made.body
    return whole


JOB = {"mode": "ENABLE", "max_concurrency": 1, "trigger": {"periodic_schedule": {"interval_second": "3600"}}}


def refused(answer: Answer) -> bool:
    """With KFP's error: gRPC's number, a message, and the same in the first detail."""
    body = answer.body
    return (
        (answer.status, body.get("code")) == (400, 3)
        and len(body["message"]) >= 10
        and body["details"][0]
        == {"@type": "type.googleapis.com/google.rpc.Status", "code": 3, "message": body["message"]}
    )


@pytest.mark.parametrize("character", ["+", "%", "%2B", "&", "é", "'", "\\", '"'])
async def test_a_filter_is_decoded_once(kfp: KfpSite, character: str) -> None:
    name = f"a{character}b"
    assert (await kfp.ask("POST", "/pipelines", {"name": name})).status == 200
    assert await pipelines(kfp, filter=ui("EQUALS", "name", string_value=name)) == [name]
    assert await pipelines(kfp, filter=ui("IS_SUBSTRING", "name", string_value=character)) == [name]


async def test_unknown_parameters_of_a_query_are_passed_over(kfp: KfpSite) -> None:
    assert (await kfp.ask("GET", "/pipelines", query={"resource_reference_key.type": "NAMESPACE"})).body == {}
