"""Conditions and selectors: what they see, what they come to, and that none of them can hurt the server."""

import resource
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from penstock_server.model.resources import ArtifactValue, TaskValues
from penstock_server.spec.expressions import (
    EXPLAINED_MAX,
    SOURCE_BYTES_MAX,
    ExpressionError,
    check,
    check_condition,
    evaluate,
    select,
)
from tests.spec.graphs import CORPUS

P = "inputs.parameter_values"
INPUTS = TaskValues(
    {
        "x": "tails",
        "n": 5,
        "d": 2.5,
        "nothing": None,
        "flag": True,
        "list": [1, "b", None],
        "numbers": list(range(1000)),
        "struct": {"a": {"b": [1]}},
        "json": '{"a": [1, 2.5]}',
        "text_number": "5",
        "long": "x" * 1_000_000,
        "many": list(range(9000)),
    },
    {"data": (ArtifactValue("data", "system.Dataset", "file:///d", {"rows": 3}),)},
)
HOLD = [
    f"{P}['x'] == 'tails'",
    f'{P}["x"] != "heads"',
    f"{P}.x == 'tails'",
    f"{P}['n'] == 5 && {P}['n'] == 5.0 && {P}['n'] < 5.5 && {P}['n'] >= 5",
    f"int({P}['n']) > 4 && int({P}['d']) == 2",
    f"double({P}['text_number']) >= 5",
    f"int({P}['text_number']) == 5.0",
    f"string({P}['n']) == '5' && string({P}['d']) == '2.5'",
    f"{P}['n'] + 1.0 == 6",
    f"{P}['flag'] == true && {P}['flag']",
    f"{P}['nothing'] == null && {P}['nothing'] != 'null'",
    f"!has({P}.missing) && has({P}.nothing) && !('missing' in {P})",
    f"!({P}['x'] == 'heads') && !({P}['x'] == 'edge') && true",
    f"size({P}['list']) == 3 && 'b' in {P}['list'] && {P}['list'][2] == null",
    f"{P}['struct']['a'].b[0] == 1",
    f"parseJson({P}['json']).a[1] > 2 && parseJson({P}['json'])['a'] == [1.0, 2.5]",
    f"{P}['numbers'].exists(i, i == 999) && {P}['numbers'].all(i, i >= 0)",
    f"{P}['numbers'].filter(i, i < 10).map(i, i + 1.0).size() == 10",
    f"{P}['x'].matches('^t.*s$') && {P}['x'].startsWith('t')",
    f"{P}['x'] == 'heads' ? false : true",
    "inputs.parameters['n'].int_value == 5 && inputs.parameters['n'].double_value > 4.5",
    "inputs.parameters['x'].string_value == 'tails'",
    "inputs.artifacts['data'].artifacts[0].uri == 'file:///d'",
    "inputs.artifacts['data'].artifacts[0].metadata['rows'] == 3",
    "inputs.artifacts['data'].artifacts[0].type.schema_title == 'system.Dataset'",
    "size(outputs.parameters) == 0",
]


@pytest.mark.parametrize("source", HOLD)
def test_a_condition_sees_the_inputs_as_kfp_shows_them(source: str) -> None:
    check_condition(source)
    assert evaluate(source, INPUTS).value is True


def test_a_condition_is_shown_with_the_values_that_it_saw() -> None:
    shown = evaluate(f"{P}['x'] == 'heads' && {P}['n'] > 1", INPUTS).shown
    assert shown == f"{P}['x'] == 'heads' && {P}['n'] > 1 with x = \"tails\", n = 5"
    assert evaluate("1 == 2", INPUTS).shown == "1 == 2"


@pytest.mark.parametrize("source", [f"{P}['long'] == 'x'", f"{P} == outputs", f"{P}['x'] == '{'y' * 3000}'"])
def test_what_is_shown_is_short(source: str) -> None:
    assert len(evaluate(source, INPUTS).shown) <= EXPLAINED_MAX


FAIL = [
    (f"{P}['missing'] == 1", "missing"),
    (f"{P}['n']", "true or false"),
    (f"{P}['x']", "true or false"),
    (f"{P}['x'] < 5", "overload"),
    (f"{P}['nothing'].a == 1", "SELECT"),
    (f"int({P}['nothing']) == 1", "overload"),
    (f"int({P}['x']) == 1", "x = "),
    (f"{P}['list'][3] == 1", "index"),
    ("parseJson('{') == 1", "Expecting"),
    ("parseJson(1) == 1", "overload"),
    ("1 / 0 == 1", "zero"),
    ("inputs.artifacts['none'].artifacts[0].uri == ''", "none"),
    ("'a'.matches('(')", "regular expression"),
]


@pytest.mark.parametrize(("source", "told"), FAIL)
def test_a_condition_without_a_value_tells_why(source: str, told: str) -> None:
    check_condition(source)
    with pytest.raises(ExpressionError) as failed:
        evaluate(source, INPUTS)
    assert source in str(failed.value)
    assert told in str(failed.value)
    assert "UNKNOWN" not in str(failed.value)


UNREADABLE = [
    "",
    "(",
    f"{P}['it's'] == 1",
    "who == 1",
    "who(1) == 1",
    "inputs.exec('ls')",
    "true || [1].exists(x, y == 1)",
    "Task{name: 'a'} == null",
    "(" * 100 + "true" + ")" * 100,
    "true" + " || true" * SOURCE_BYTES_MAX,
    "[1].map(x, x).map(x, x).map(x, x).map(x, x).map(x, x) == []",
    "inputs" + ".a" * 1500 + " == 1",
    "inputs" + "[0]" * 1200 + " == 1",
    "inputs" + ".size()" * 500 + " == 1",
    "1" + "+1" * 1000 + " == 1",
    "'\ud800' == ''",
    "'a\0' == 'a' \0",
]


@pytest.mark.parametrize("source", UNREADABLE)
def test_a_condition_that_cannot_be_read_is_refused_beforehand(source: str) -> None:
    with pytest.raises(ExpressionError) as failed:
        check_condition(source)
    assert len(str(failed.value)) < 1000


GROW = "s + s + s + s + s + s + s + s"
BOMBS = [
    f"{P}['many'].map(x, x) == []",
    f"{P}['many'].filter(x, x > 1).size() == 1",
    f"{P}['many'].map(x, {P}['many'].map(y, x)) == []",
    f"{P}['many'].map(x, {P}['long'] + 'a') == []",
    f"{P}['many'].exists(x, {P}['many'].exists(y, y == -1))",
    f"{P}['many'].exists(x, {P}['long'].contains('yy'))",
    f"{P}['many'].exists(x, {P}['long'].matches('y.*y'))",
    f"{P}['many'].exists(x, ({P}['long'] + {P}['long']) == {P}['long'])",
    f"[{P}['long']].map(s, {GROW}).map(s, {GROW}).map(s, {GROW}).map(s, {GROW}) == []",
    f"['{'x' * 3000}'].map(s, {GROW}).map(s, {GROW}).map(s, {GROW}).map(s, {GROW}) == []",
    "[[1]].map(s, [s,s,s,s,s,s,s,s]).map(s, [s,s,s,s,s,s,s,s]).map(s, [s,s,s,s,s,s,s]).map(s, string(s)) == []",
    f"{P}['long'].contains({P}['long'] + 'y')",
    "[0,1,2,3,4,5,6,7,8,9].all(a, [0,1,2,3,4,5,6,7,8,9].all(b, "
    f"[0,1,2,3,4,5,6,7,8,9].all(c, {P}['numbers'].all(d, d + a != b + c))))",
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaa'.matches('(a{1000}){1000}')",
]


@pytest.mark.parametrize("source", BOMBS)
def test_a_bomb_ends_in_an_error_at_once(source: str) -> None:
    check_condition(source)
    memory, begun = _memory_bytes(), time.process_time()
    with pytest.raises(ExpressionError):
        evaluate(source, INPUTS)
    assert time.process_time() - begun < 0.1
    assert _memory_bytes() - memory < 50 * 1024 * 1024


def test_a_selector_cannot_grow_beyond_what_it_was_given() -> None:
    nested = "[list_value]" + ".map(s, [s, s, s, s, s, s, s, s, s, s])" * 4
    with pytest.raises(ExpressionError, match="too much"):
        select(nested, list(range(1000)))
    with pytest.raises(ExpressionError, match="nested"):
        select("parseJson(string_value)", "[" * 200 + "]" * 200)


def test_a_selector_goes_through_a_large_value() -> None:
    found = select("list_value", list(range(100_000)))
    assert isinstance(found, list)
    assert found[-1] == 99_999
    assert select("parseJson(string_value)[0]", "[1" + ",2" * 500_000 + "]") == 1
    assert select("list_value.exists(x, x == 'b')", ["a", "b"]) is True


def test_every_expression_of_the_corpus_can_be_read() -> None:
    conditions, selectors = _of_corpus("condition"), _of_corpus("parameterExpressionSelector")
    for source in conditions:
        check_condition(source)
    for source in selectors:
        check(source)
    assert len(conditions) > 10
    assert len(selectors) > 1


def _of_corpus(key: str) -> set[str]:
    return {
        source
        for path in CORPUS.rglob("*.yaml")
        for document in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader)
        for source in _texts(document, key)
    }


def _texts(value: Any, key: str) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get(key), str):
            yield value[key]
        for item in value.values():
            yield from _texts(item, key)
    if isinstance(value, list):
        for item in value:
            yield from _texts(item, key)


def _memory_bytes() -> int:
    """The most that this process has ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
