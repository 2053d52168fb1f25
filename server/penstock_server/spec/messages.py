"""Documents read by the descriptors of KFP's messages, so that the compiler finds one form only.

Protobuf's JSON lets a field be written by either of its names, as null, or as an enum's number, and its Python
reader takes a list for a message. Here fields have their JSON names, nulls are gone, enums are names and numbers are
numbers. Values of free-form parts stay as they stand: protobuf would turn their integers into doubles.
"""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from penstock_server.model.json import Json, JsonObject
from penstock_server.spec.violations import Violations

_VALUE = "google.protobuf.Value"
_STRUCT = "google.protobuf.Struct"
_DURATION = "google.protobuf.Duration"
_NAMES_SHOWN = 12


class Messages:
    """Reads messages and notes what they cannot hold."""

    def __init__(self, violations: Violations, *, lenient: bool = False) -> None:
        self._violations = violations
        self._lenient = lenient
        """Unknown fields are passed over, not noted."""

    def read(self, path: str, value: Json, kind: Descriptor) -> JsonObject:
        """The message `value`, in the one form."""
        if not isinstance(value, dict):
            self._violations.add(path or "spec", "has to be an object")
            return {}
        fields = _fields(kind)
        found: JsonObject = {}
        for key, item in value.items():
            where = f"{path}.{key}" if path else key
            field = fields.get(key)
            if field is None:
                self._unknown(where, kind)
            elif field.json_name in found:
                self._violations.add(where, "stands twice, under two spellings")
            elif item is not None or _name(field) == _VALUE:
                found[field.json_name] = self._field(where, item, field)
        return found

    def _unknown(self, path: str, kind: Descriptor) -> None:
        if self._lenient:
            return
        names = sorted(field.json_name for field in kind.fields)
        more = ", ..." if len(names) > _NAMES_SHOWN else ""
        self._violations.add(path, f"is unknown here; known are {', '.join(names[:_NAMES_SHOWN])}{more}")

    def _field(self, path: str, value: Json, field: FieldDescriptor) -> Json:
        if not field.is_repeated:
            return self._single(path, value, field)
        entry = field.message_type
        if entry is None or not entry.GetOptions().map_entry:
            if isinstance(value, list):
                return [self._single(f"{path}[{index}]", item, field) for index, item in enumerate(value)]
            self._violations.add(path, "has to be a list")
            return []
        if isinstance(value, dict):
            held = entry.fields_by_name["value"]
            return {key: self._single(f"{path}.{key}", item, held) for key, item in value.items()}
        self._violations.add(path, "has to be an object")
        return {}

    def _single(self, path: str, value: Json, field: FieldDescriptor) -> Json:
        name = _name(field)
        if name == _STRUCT and not isinstance(value, Mapping):
            self._violations.add(path, "has to be an object")
            return {}
        if name in (_VALUE, _STRUCT):
            return value
        if field.message_type is not None and name != _DURATION:
            return self.read(path, value, field.message_type)
        return self._scalar(path, value, field)

    def _scalar(self, path: str, value: Json, field: FieldDescriptor) -> Json:
        if field.enum_type is not None:
            return self._enum(path, value, field.enum_type)
        kinds: dict[int, tuple[type[str] | type[bool], str]] = {
            FieldDescriptor.CPPTYPE_STRING: (str, "text"),
            FieldDescriptor.CPPTYPE_BOOL: (bool, "true or false"),
            FieldDescriptor.CPPTYPE_MESSAGE: (str, 'a duration, such as "60s"'),
        }
        if field.cpp_type not in kinds:
            return self._number(path, value, field)
        kind, told = kinds[field.cpp_type]
        if isinstance(value, kind):
            return value
        self._violations.add(path, f"has to be {told}")
        return kind()

    def _enum(self, path: str, value: Json, kind: EnumDescriptor) -> Json:
        for number, one in kind.values_by_number.items():
            if value == one.name or (value == number and not isinstance(value, bool)):
                return str(one.name)
        names = ", ".join(one.name for one in kind.values)
        self._violations.add(path, f"has to be one of {names}")
        return str(kind.values[0].name)

    def _number(self, path: str, value: Json, field: FieldDescriptor) -> Json:
        """Protobuf's JSON writes large integers as text."""
        number: float = math.nan
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            try:
                number = float(value)
            except (ValueError, OverflowError):
                number = math.nan
        whole = field.cpp_type not in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT)
        if not math.isfinite(number) or (whole and not number.is_integer()):
            self._violations.add(path, "has to be a whole number" if whole else "has to be a number")
            return 0
        return int(number) if whole else number


@lru_cache(maxsize=128)
def _fields(kind: Descriptor) -> dict[str, FieldDescriptor]:
    """The fields by either of their names."""
    return {name: field for field in kind.fields for name in (field.name, field.json_name)}


def _name(field: FieldDescriptor) -> Any:
    return None if field.message_type is None else field.message_type.full_name
