"""An HTTP request as the rpc's request message: path over query and body.

What the path says is set last, so a body that names another resource changes nothing about which one is
meant. Every field that is neither in the path nor in the body may be given in the query, by its name in the
schema or in camelCase, nested ones with dots, repeated ones several times. What else a query says is an error, and
so is a body that no field takes, unless the API's dialect is lenient.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from penstock_server.gateway.routes import WHOLE_BODY, Found, Route
from penstock_server.model.errors import FieldViolation, InvalidArgument
from penstock_server.rpc.proto_json import fill, read_json

QUERY_FIELDS_MAX = 200
_AS_TEXT = frozenset(
    f"google.protobuf.{name}"
    for name in (
        *("Timestamp", "Duration", "FieldMask", "StringValue", "BytesValue"),
        *("DoubleValue", "FloatValue", "Int64Value", "UInt64Value", "Int32Value", "UInt32Value"),
    )
)
_AS_BOOL = "google.protobuf.BoolValue"
_FIELD_MASK = "google.protobuf.FieldMask"


_TRUTH = {"true": True, "false": False}
_LENIENT_TRUTH = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """A request as it was read."""

    message: Message
    given: frozenset[str]
    """Fields, by their names in the schema, that the object in the body named."""


def read_request(found: Found, query: str, body: bytes) -> ReadRequest:
    """The request.

    Raises InvalidArgument: REQUEST_UNREADABLE for the body, INVALID_QUERY for the query.
    """
    route = found.route
    request = route.method.request_type()
    document = {} if route.dialect.lenient and not route.body else _document(route, body)
    given = _given(document, route)
    _add_query(document, route, found.variables, query)
    fill(request, document)
    of_path: dict[str, Any] = {}
    for path, text in found.variables.items():
        _assign(of_path, route.method.descriptor.input_type, path, [text])
    fill(request, of_path)
    return ReadRequest(request, given)


def _document(route: Route, body: bytes) -> dict[str, Any]:
    """What the body says, as a JSON object of the whole request."""
    if not body:
        return {}
    if not route.body:
        raise InvalidArgument(
            "REQUEST_UNREADABLE", f"{route.http_method} {route.template.text} takes no body; use the query"
        )
    read = read_json(body)
    if route.body == WHOLE_BODY:
        if not isinstance(read, dict):
            raise InvalidArgument("REQUEST_UNREADABLE", "the request's body has to be a JSON object")
        return read
    return {route.method.descriptor.input_type.fields_by_name[route.body].json_name: read}


def _given(document: dict[str, Any], route: Route) -> frozenset[str]:
    """What the object in the body names, where it is an object of a message."""
    descriptor: Descriptor | None = route.method.descriptor.input_type
    if route.body != WHOLE_BODY and route.body:
        field = route.method.descriptor.input_type.fields_by_name[route.body]
        document, descriptor = document.get(field.json_name, {}), field.message_type
    if descriptor is None or not isinstance(document, dict):
        return frozenset()
    return frozenset(field.name for field in descriptor.fields if field.name in document or field.json_name in document)


def _add_query(document: dict[str, Any], route: Route, variables: Mapping[str, str], query: str) -> None:
    if not query:
        return
    descriptor = route.method.descriptor.input_type
    lenient = route.dialect.lenient
    for name, values in _by_name(query).items():
        if lenient and not _has_field(descriptor, name):
            continue
        path = ".".join(field.name for field in _fields(descriptor, name))
        elsewhere = _elsewhere(path, route, variables)
        if elsewhere and not lenient:
            raise _wrong(name, elsewhere)
        if not elsewhere:
            _assign(document, descriptor, name, values, _LENIENT_TRUTH if lenient else _TRUTH)


def _elsewhere(path: str, route: Route, variables: Mapping[str, str]) -> str:
    """Why the query cannot say what this field is; empty where it can."""
    if path in variables:
        return "the path says this already"
    if route.body == WHOLE_BODY or path.partition(".")[0] == route.body:
        return "this belongs into the body"
    return ""


def _has_field(descriptor: Descriptor, name: str) -> bool:
    try:
        return bool(_fields(descriptor, name))
    except InvalidArgument:
        return False


def _by_name(query: str) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=QUERY_FIELDS_MAX)
    except ValueError as error:
        raise InvalidArgument("INVALID_QUERY", f"the query cannot be read: {error}") from error
    names: dict[str, list[str]] = {}
    for name, value in pairs:
        names.setdefault(name, []).append(value)
    return names


def _assign(
    document: dict[str, Any],
    descriptor: Descriptor,
    name: str,
    values: list[str],
    truth: Mapping[str, bool] = _TRUTH,
) -> None:
    """Set the field `name` in `document`, as JSON."""
    *parents, field = _fields(descriptor, name)
    for parent in parents:
        document = document.setdefault(parent.json_name, {})
    items = [_json_value(field, name, value, truth) for value in values]
    if field.is_repeated:
        document[field.json_name] = items
    elif len(items) > 1:
        raise _wrong(name, "was given more than once")
    else:
        document[field.json_name] = items[0]


def _fields(descriptor: Descriptor, name: str) -> Iterable[FieldDescriptor]:
    """The fields that the dotted path `name` goes through."""
    fields: list[FieldDescriptor] = []
    inside: Descriptor | None = descriptor
    for part in name.split("."):
        field = None
        if inside is not None:
            field = inside.fields_by_name.get(part) or inside.fields_by_camelcase_name.get(part)
        if field is None or (fields and fields[-1].is_repeated):
            raise _wrong(name, "there is no such field")
        fields.append(field)
        inside = field.message_type
    return fields


def _json_value(field: FieldDescriptor, name: str, text: str, truth: Mapping[str, bool]) -> Any:
    kind = field.message_type
    if field.type == FieldDescriptor.TYPE_BOOL or (kind is not None and kind.full_name == _AS_BOOL):
        word = text if truth is _TRUTH else text.lower()
        if word not in truth:
            raise _wrong(name, "has to be true or false")
        return truth[word]
    if kind is None:
        return text
    if kind.full_name not in _AS_TEXT:
        raise _wrong(name, "is an object, which a query cannot hold; name its fields with dots")
    return _camel_case(text) if kind.full_name == _FIELD_MASK else text


def _camel_case(paths: str) -> str:
    """Paths of a field mask as proto JSON writes them; people write them as the schema does."""
    first, *rest = paths.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def _wrong(name: str, description: str) -> InvalidArgument:
    return InvalidArgument(
        "INVALID_QUERY",
        f"query parameter {name}: {description}",
        violations=[FieldViolation(name, description)],
    )
