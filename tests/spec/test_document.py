"""Documents are read as KFP means them; what a compiler never writes is refused early and cheaply."""

import json
import time
import tracemalloc
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from penstock_server.model.errors import InvalidArgument
from penstock_server.model.json import JsonObject
from penstock_server.spec.document import (
    DEPTH_MAX,
    Document,
    canonical,
    digest,
    from_canonical,
    from_struct,
    load,
)
from tests.spec.graphs import CORPUS

SECONDS_MAX = 0.1
BYTES_MAX = 50 * 1024 * 1024
SPEC = "pipelineInfo: {name: p}\nroot: {dag: {}}\n"
FILES = sorted(path for path in CORPUS.rglob("*.yaml") if path.parent.name != "invalid")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_corpus_is_read_as_the_reference_reads_it(path: Any) -> None:
    text = path.read_text()
    documents = list(yaml.safe_load_all(text))
    read = load(text)
    assert [d for d in (read.pipeline, read.platform) if d is not None] == documents
    assert load(json.dumps(read.pipeline)).pipeline == read.pipeline


HOSTILE = {
    "alias": SPEC + "a: &x [1]\nb: *x",
    "billion laughs": SPEC + "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]",
    "deep flow list": "[" * 100_000,
    "deep flow map": "{a: " * 100_000,
    "deep JSON": '{"root":' + '{"a":' * 100_000 + "1" + "}" * 100_001,
    "deep block": "\n".join(" " * depth + "a:" for depth in range(1_000)),
    "duplicate key": SPEC + "root: {}",
    "duplicate JSON key": '{"root": {}, "root": {}}',
    "tag": SPEC + "a: !!python/object/apply:os.system [ls]",
    "own tag": SPEC + "a: !x 1",
    "too large": SPEC + "a: " + "x" * (64 << 20),
    "NUL": SPEC + "a: \0",
    "escape": SPEC + "a: \x1b[31m",
    "not UTF-8": b"root: \xff\xfe",
    "not YAML": SPEC + "a: [1, 2",
    "many documents": "---\na: 1\n" * 100,
    "two pipelines": SPEC + "---\n" + SPEC,
    "no pipeline": "a: 1",
    "empty": "",
    "Argo": "apiVersion: argoproj.io/v1alpha1\nkind: Workflow\nroot: {}",
    "list as key": SPEC + "? [a]\n: 1",
    "NUL that is escaped": SPEC + 'a: "\\0"',
    "NUL that JSON escapes": '{"root": {}, "a": "\\u0000"}',
    "surrogate": SPEC + "a: \ud800",
    "surrogate that is escaped": '{"root": {}, "a": "\\ud800"}',
    "directives": "".join(f"%TAG !t{n}! x\n" for n in range(100_000)) + "---\n" + SPEC,
    "number as key": SPEC + "1: x",
    "null as key": SPEC + "~: x",
    "infinity": SPEC + "a: -.inf",
    "number that overflows": '{"root": {}, "a": 1e400}',
    "huge integer": SPEC + "a: " + "9" * 5000,
    "huge JSON integer": '{"root": {}, "a": ' + "9" * 400 + "}",
    "JSON NaN": '{"root": {}, "a": NaN}',
    "JSON of too many values": '{"root": {}, "a": [' + "{}," * 1_000_000 + "1]}",
    "cut JSON": '{"root": {"a": [1, 2',
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_document_is_refused_quickly_and_in_little_memory(text: str | bytes) -> None:
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(InvalidArgument) as refused:
        load(text)
    seconds, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refused.value.reason in ("INVALID_SPEC", "SPEC_TOO_LARGE")
    assert seconds < SECONDS_MAX
    assert peak < BYTES_MAX


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[
            ("1", 1),
            ("1.5", 1.5),
            ("1.0e+5", 1e5),
            ("1e5", "1e5"),
            ("0o7", "0o7"),
            ("010", 8),
            ("-3", -3),
            ("1_000", 1000),
        ],
        *[("true", True), ("off", False), ("'true'", "true"), ("null", None), ("~", None), ("", None)],
        *[("2026-01-02", "2026-01-02"), ("12:30:45", 45045), ("'1'", "1"), ("x", "x")],
    ],
)
def test_plain_scalars_have_the_values_that_kfp_writes_them_for(text: str, value: object) -> None:
    if text == "12:30:45":
        with pytest.raises(InvalidArgument):
            load(SPEC + f"a: {text}")
        return
    read = load(SPEC + f"a: {text}").pipeline["a"]
    assert (type(read), read) == (type(value), value)


def test_the_message_points_at_the_place() -> None:
    with pytest.raises(InvalidArgument, match="line 3, column 4"):
        load(SPEC + "a: &x 1")


def test_a_platform_spec_may_stand_before_or_behind() -> None:
    platform = "platforms: {kubernetes: {}}\n"
    for text in (SPEC + "---\n" + platform, platform + "---\n" + SPEC):
        assert load(text).platform == {"platforms": {"kubernetes": {}}}


def test_an_object_holds_the_bare_spec_or_both() -> None:
    bare = load(SPEC).pipeline
    assert from_struct(bare) == Document(bare)
    both = from_struct({"pipeline_spec": bare, "platform_spec": {"platforms": {}}})
    assert both.platform == {"platforms": {}}


def test_json_and_yaml_may_write_escapes_that_are_text() -> None:
    spec = {"root": {}, "a": "\U0001f600 \\ud83d\\ude00"}
    assert load(json.dumps(spec)).pipeline == spec
    assert load(SPEC + "a: '\\ud83d\\ude00'").pipeline["a"] == "\\ud83d\\ude00"


def test_json_may_be_a_stream_and_hold_what_yaml_has_no_room_for() -> None:
    spec: JsonObject = {"root": {}, "k" * 2000: ["\x7f\x80\x85\u2028\u2029\ufeff\uffff", 1e5, 1e-7]}
    platform: JsonObject = {"platforms": {}}
    text = f"\ufeff {json.dumps(spec, ensure_ascii=False)}\n--- \n{json.dumps(platform)}\n"
    assert load(text) == Document(spec, platform)
    assert load('{"root": {}, "a": 1e5}').pipeline["a"] == 1e5


def test_marks_within_strings_of_json_are_no_values() -> None:
    spec: JsonObject = {"root": {}, "a": "[,:{" * 200_000 + '\\"'}
    assert load(json.dumps(spec)).pipeline == spec


def test_flow_style_that_is_no_json_is_yaml() -> None:
    assert load("{root: {}, a: 'x', b: yes,}").pipeline == {"root": {}, "a": "x", "b": True}


@pytest.mark.parametrize("value", ["\0", "\ud800", float("nan"), float("inf"), {"\0": 1}])
def test_an_object_with_what_cannot_be_stored_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgument):
        from_struct({"root": {"a": [value]}})


def test_an_object_that_is_too_deep_is_refused() -> None:
    value: Any = 1
    for _ in range(DEPTH_MAX + 2):
        value = {"a": value}
    with pytest.raises(InvalidArgument):
        from_struct({"root": value})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


def test_text_and_struct_of_one_spec_have_one_digest() -> None:
    text = '{"root": {"dag": {}, "limits": [1.0, 2, 0.5, 1e3]}, "components": {"a": {"weight": -0.0}}}'
    struct: JsonObject = {"root": {"dag": {}, "limits": [1, 2.0, 0.5, 1000]}, "components": {"a": {"weight": 0}}}
    assert digest(canonical(load(text))) == digest(canonical(from_struct(struct)))


# Without U+0085: the YAML writer puts it down as a line break, so that it is gone from the text already.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\x85"), max_size=8)
NUMBERLIKE = st.from_regex(r"[-+]?[0-9._eExob:]{1,8}", fullmatch=True)
WORDS = st.sampled_from(["yes", "off", "Null", "~", "=", "<<", "2026-01-02", "0x1F", "1_0", "12e03"])


@given(TEXT | NUMBERLIKE | WORDS, st.booleans())
def test_text_comes_back_however_it_is_written(text: str, plain: bool) -> None:
    spec: JsonObject = {"root": {}, "a": text, "b": {text: [text]}}
    assert load(json.dumps(spec, ensure_ascii=not plain)).pipeline == spec
    assert load(yaml.safe_dump(spec, allow_unicode=plain)).pipeline == spec


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=4))
def test_the_canonical_form_is_stable_and_loses_nothing(spec: dict[str, Any]) -> None:
    data = canonical(Document(spec))
    assert from_canonical(data).pipeline == spec
    backwards = dict(reversed(list(spec.items())))
    assert digest(canonical(Document(backwards))) == digest(data)
