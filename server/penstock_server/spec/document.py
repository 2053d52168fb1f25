"""Pipeline documents: YAML or JSON text in, plain JSON values out; canonical bytes and their digest.

The text comes from anywhere. It is read event by event, without recursion, and whatever a KFP compiler never writes -
aliases, tags, duplicate keys, absurd depth - is refused at the event that shows it, before anything is built from it.
"""

import hashlib
import json
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import yaml

from penstock_server.model.errors import FieldViolation, InvalidArgument
from penstock_server.model.json import Json, JsonObject, with_integers

TEXT_LENGTH_MAX = 4 * 1024 * 1024
DEPTH_MAX = 100
VALUES_MAX = 500_000
DOCUMENTS_MAX = 8
DIRECTIVES_MAX = 8

_LOADER = yaml.CSafeLoader
_RESOLVER: Any = yaml.SafeLoader("")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_UNSTORABLE = re.compile("[\\x00\ud800-\udfff]")
"""NUL and lone surrogates: no database takes them, and no program as an argument."""
_BREAKS = "\n\r\x85\u2028\u2029"
_SPACE = re.compile(r"[ \t\r\n]*")
_SEPARATOR = re.compile(r"[ \t\r\n]*\n---[ \t]*\r?\n")
"""Between the documents of a stream."""
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
_INT = "tag:yaml.org,2002:int"
_FLOAT = "tag:yaml.org,2002:float"
_BOOL = "tag:yaml.org,2002:bool"
_NULL = "tag:yaml.org,2002:null"
_DOUBLE_MAX = int(sys.float_info.max)
_TRUE = frozenset({"yes", "true", "on"})


@dataclass(frozen=True, slots=True)
class Document:
    """A pipeline spec and, where there is one, its platform spec."""

    pipeline: JsonObject
    platform: JsonObject | None = None


def load(text: str | bytes) -> Document:
    """Read YAML or JSON text. Raises InvalidArgument(INVALID_SPEC | SPEC_TOO_LARGE)."""
    # Characters are counted where there are characters: no copy is made of what may be too large.
    if len(text) > TEXT_LENGTH_MAX:
        message = f"the pipeline spec has a length of {len(text)}; at most {TEXT_LENGTH_MAX} is taken"
        raise InvalidArgument("SPEC_TOO_LARGE", message)
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError as error:
            _refuse(f"the text is not UTF-8: {error.reason} at byte {error.start}")
    if found := _CONTROL.search(text) or _UNSTORABLE.search(text):
        _refuse(f"the text has a control character (U+{ord(found[0]):04X}) at {_place(text, found.start())}")
    text = text.removeprefix("\ufeff")
    documents = _json_documents(text)
    return _chosen(_yaml_documents(text) if documents is None else documents)


def _yaml_documents(text: str) -> list[Json]:
    # The parser compares each directive with all before it.
    if sum(text.count(f"{line_break}%") for line_break in _BREAKS) > DIRECTIVES_MAX:
        _refuse(f"there are more than {DIRECTIVES_MAX} lines that begin with %")
    return _Composer().documents(text)


def _json_documents(text: str) -> list[Json] | None:
    """The documents of a text that is JSON, or a stream of it; None for one that is not.

    YAML is not quite a superset: it folds line breaks that JSON strings may hold, such as U+2028, refuses long
    keys, and reads `1e5` as text. What is wrong is left to YAML's reader, which tells the place.
    """
    if not text.startswith("{", _end_of_space(text, 0)):
        return None
    _check_count(text)
    decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_not_finite)
    found: list[Json] = []
    end = 0
    try:
        while len(found) < DOCUMENTS_MAX:
            value, end = decoder.raw_decode(text, _end_of_space(text, end))
            found.append(value)
            separator = _SEPARATOR.match(text, end)
            if separator is None:
                break
            end = separator.end()
    except (ValueError, RecursionError):
        return None
    if _end_of_space(text, end) != len(text):
        return None
    for document in found:
        _check_object(document)
    return found


def _end_of_space(text: str, start: int) -> int:
    space = _SPACE.match(text, start)
    return start if space is None else space.end()


def _check_count(text: str) -> None:
    """Refuse JSON of too many values before any of them is made. Strings are looked into only where it matters."""
    if _marks(text) > VALUES_MAX and _marks(_STRING.sub("", text)) > VALUES_MAX:
        _refuse(f"there are more than {VALUES_MAX} values")


def _marks(text: str) -> int:
    """At least as many as there are keys and values, less one."""
    return sum(text.count(mark) for mark in ",:[{")


def _unique(pairs: list[tuple[str, Json]]) -> JsonObject:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _not_finite(name: str) -> NoReturn:
    _refuse(f"{name} is no number of JSON")


def from_struct(value: JsonObject) -> Document:
    """The document in an object: a bare spec, or `{"pipeline_spec": ..., "platform_spec": ...}`.

    Raises InvalidArgument(INVALID_SPEC).
    """
    _check_object(value)
    if "pipeline_spec" not in value:
        return _chosen([value])
    pipeline, platform = value["pipeline_spec"], value.get("platform_spec")
    if unknown := set(value) - {"pipeline_spec", "platform_spec"}:
        _refuse(f"beside pipeline_spec and platform_spec there is {', '.join(sorted(unknown))}")
    if not isinstance(pipeline, dict) or not isinstance(platform, dict | None):
        _refuse("pipeline_spec and platform_spec have to be objects")
    return Document(pipeline, platform)


def canonical(document: Document) -> bytes:
    """The same bytes for the same document, whatever it was written in: `1.0`, as some write it, is `1`."""
    parts: JsonObject = {"pipeline_spec": document.pipeline}
    if document.platform is not None:
        parts["platform_spec"] = document.platform
    return json.dumps(with_integers(parts), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def from_canonical(data: bytes) -> Document:
    """What `canonical` has made."""
    parts = json.loads(data)
    return Document(parts["pipeline_spec"], parts.get("platform_spec"))


def digest(data: bytes) -> str:
    """`sha256:` and 64 hex digits."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _chosen(documents: list[Json]) -> Document:
    """The pipeline and the platform among the documents; others are passed over, two of a kind are not."""
    found: dict[str, JsonObject] = {}
    for document in documents:
        if not isinstance(document, dict):
            continue
        if "apiVersion" in document and "kind" in document:
            _refuse("this is a Kubernetes object, perhaps a KFP 1.x pipeline; compile with the KFP SDK 2.x")
        kind = "platforms" if "platforms" in document else "root" if "root" in document else ""
        if kind in found:
            _refuse("there are two pipeline specs, or two platform specs; give one of each")
        if kind:
            found[kind] = document
    if "root" not in found:
        _refuse("there is no pipeline spec: an object with pipelineInfo, root, components and deploymentSpec")
    return Document(found["root"], found.get("platforms"))


class _Composer:
    """Builds values from parser events, checking each."""

    def __init__(self) -> None:
        self._open: list[Any] = []
        """The containers that the event lies in, outermost first."""
        self._keys: list[str | None] = []
        """For each of them the key that waits for its value; None in a list, or where a key comes next."""
        self._count = 0
        self._done: list[Json] = []

    def documents(self, text: str) -> list[Json]:
        """All documents of the stream."""
        try:
            for event in yaml.parse(text, Loader=_LOADER):
                self._take(event)
        except yaml.YAMLError as error:
            _refuse(f"the text is neither YAML nor JSON: {_told(error)}")
        return self._done

    def _take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._add(event, _scalar(event))
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._begin(event, {} if isinstance(event, yaml.MappingStartEvent) else [])
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._open.pop()
            self._keys.pop()
        elif isinstance(event, yaml.AliasEvent):
            _refuse(f"aliases are not taken (*{event.anchor} at {_at(event)}); write the value out")

    def _begin(self, event: Any, container: Any) -> None:
        if len(self._open) >= DEPTH_MAX:
            _refuse(f"nesting is deeper than {DEPTH_MAX} at {_at(event)}")
        if event.tag not in (None, "!"):
            _refuse(f"tags are not taken ({event.tag} at {_at(event)})")
        self._add(event, container)
        self._open.append(container)
        self._keys.append(None)

    def _add(self, event: Any, value: Any) -> None:
        self._count += 1
        if self._count > VALUES_MAX:
            _refuse(f"there are more than {VALUES_MAX} values")
        if event.anchor is not None:
            _refuse(f"anchors are not taken (&{event.anchor} at {_at(event)}); write the value out")
        if not self._open:
            if len(self._done) >= DOCUMENTS_MAX:
                _refuse(f"there are more than {DOCUMENTS_MAX} documents")
            self._done.append(value)
        elif isinstance(self._open[-1], list):
            self._open[-1].append(value)
        elif self._keys[-1] is None:
            self._keys[-1] = self._key(event, value)
        else:
            self._open[-1][self._keys[-1]] = value
            self._keys[-1] = None

    def _key(self, event: Any, value: Any) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            _refuse(f"a key has to be text, at {_at(event)}")
        if not isinstance(value, str):
            _refuse(f"the key {event.value[:80]} at {_at(event)} is not text; put it in quotes")
        if value in self._open[-1]:
            _refuse(f"the key {value[:80]!r} stands twice, the second time at {_at(event)}")
        return value


def _scalar(event: Any) -> Json:
    """Plain text as PyYAML, which KFP writes with, would read it; times stay text."""
    if event.tag not in (None, "!"):
        _refuse(f"tags are not taken ({event.tag} at {_at(event)})")
    text: str = event.value
    if found := _UNSTORABLE.search(text):
        _refuse(f"text with U+{ord(found[0]):04X} is not taken, at {_at(event)}")
    if not event.implicit[0] or event.style:
        return text
    tag = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False))
    if tag == _NULL:
        return None
    if tag == _BOOL:
        return text.lower() in _TRUE
    if tag == _INT:
        return _integer(event, text)
    return _float(event, text) if tag == _FLOAT else text


def _integer(event: Any, text: str) -> Json:
    digits = text.replace("_", "")
    if len(digits) > 100 or ":" in digits:
        _refuse(f"the number at {_at(event)} is not taken")
    sign, body = (-1, digits[1:]) if digits[0] == "-" else (1, digits.lstrip("+"))
    octal = len(body) > 1 and body[0] == "0" and body[1].isdecimal()
    return sign * int(body, 8 if octal else 0)


def _float(event: Any, text: str) -> Json:
    digits = text.replace("_", "").lower()
    try:
        number = float(digits)
    except ValueError:
        number = math.nan if digits.lstrip("+-") in (".inf", ".nan") else 0.0
        if number == 0.0:
            return text
    if not math.isfinite(number):
        _refuse(f"the number at {_at(event)} is not finite")
    return number


def _check_object(value: Json) -> None:
    """What `load` sees event by event, for values that are there already. Without recursion: they may be deep."""
    level, depth = [value], 0
    while level:
        if depth > DEPTH_MAX:
            _refuse(f"nesting is deeper than {DEPTH_MAX}")
        below: list[Json] = []
        for item in level:
            if isinstance(item, Mapping):
                below += item.keys()
                below += item.values()
            elif isinstance(item, list):
                below += item
            elif isinstance(item, str) and (found := _UNSTORABLE.search(item)):
                _refuse(f"text with U+{ord(found[0]):04X} is not taken")
            elif isinstance(item, float) and not math.isfinite(item):
                _refuse("a number is not finite")
            elif isinstance(item, int) and abs(item) > _DOUBLE_MAX:
                _refuse("a number is too large")
        level, depth = below, depth + 1


def _told(error: yaml.YAMLError) -> str:
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
    return f"{problem or error}{where}"


def _at(event: Any) -> str:
    return f"line {event.start_mark.line + 1}, column {event.start_mark.column + 1}"


def _place(text: str, index: int) -> str:
    line = text.count("\n", 0, index) + 1
    return f"line {line}, column {index - text.rfind(chr(10), 0, index)}"


def _refuse(description: str) -> NoReturn:
    raise InvalidArgument(
        "INVALID_SPEC",
        f"the pipeline spec is refused: {description}",
        violations=[FieldViolation("spec", description)],
    )
