"""Reads objects among the settings of an executor, field by field, each with the path that an error names it by."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from penstock_server.model.json import Json, JsonObject, with_integers
from penstock_server.spec.graph import Constant, DagInput, ParameterBinding, TaskOutput
from penstock_server.spec.values import as_text, shown

SETTING_INVALID = "SETTING_INVALID"
"""Reason of a task that asks for a pod that there cannot be."""

ValueOf = Callable[[ParameterBinding], Json]
"""The value at the place that a setting names; None where there is none."""

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\Z")
_QUANTITY = re.compile(r"\+?(\d+(\.\d*)?|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?\Z", re.ASCII)
_LABEL_KEY = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?\Z")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?\Z")


class SettingError(Exception):
    """A setting cannot be used: where it stands below the executor's settings, and what would be right."""

    def __init__(self, path: str, description: str) -> None:
        super().__init__(f"{path} {description}")
        self.path = path
        self.description = description


@dataclass(frozen=True, slots=True)
class Entry:
    """An object among the settings."""

    path: str
    """Below the executor's settings; empty for those as a whole."""
    fields: Mapping[str, Json]
    value_of: ValueOf

    def has(self, key: str) -> bool:
        """True where the field says something, were it an empty text."""
        return self.fields.get(key) is not None

    def text(self, key: str) -> str:
        """A text; empty where there is none."""
        value = self.fields.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.wrong(key, f"has to be a text and is {shown(value)}")
        return value

    def required(self, key: str) -> str:
        """A text that has to be there."""
        if not (text := self.text(key)):
            raise self.wrong(key, "is missing")
        return text

    def flag(self, key: str, default: bool = False) -> bool:
        """A truth value."""
        value = self.fields.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(key, f"has to be true or false and is {shown(value)}")
        return value

    def integer(self, key: str) -> int | None:
        """A whole number of at least 0; protobuf's JSON writes those of 64 bits as text. None where there is none."""
        value = with_integers(self.fields.get(key))
        if value is None:
            return None
        if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.wrong(key, f"has to be a whole number of at least 0 and is {shown(value)}")
        return value

    def texts(self, key: str) -> list[str]:
        """A list of texts; empty where there is none."""
        listed = self._list(key)
        if not all(isinstance(item, str) for item in listed):
            raise self.wrong(key, "has to be a list of texts")
        return [str(item) for item in listed]

    def entry(self, key: str) -> "Entry":
        """An object; an empty one where there is none."""
        value = self.fields.get(key)
        if value is not None and not isinstance(value, dict):
            raise self.wrong(key, f"has to be an object and is {shown(value)}")
        return Entry(self.at(key), value or {}, self.value_of)

    def entries(self, key: str) -> list["Entry"]:
        """A list of objects; empty where there is none."""
        found = []
        for index, item in enumerate(self._list(key)):
            path = f"{self.at(key)}[{index}]"
            if not isinstance(item, dict):
                raise SettingError(path, f"has to be an object and is {shown(item)}")
            found.append(Entry(path, item, self.value_of))
        return found

    def name(self, key: str) -> str:
        """The name of a secret, a claim or the like: that of `{key}Parameter`, or else of the field itself.

        Empty where it comes from an optional input that nobody gave: the entry is passed over.
        """
        source = f"{key}Parameter"
        if not self.has(source):
            return self.checked_name(key, self.required(key))
        return self.checked_name(source, as_text(self.given(source) or ""))

    def checked_name(self, key: str, name: str) -> str:
        """`name`, which is empty or as Kubernetes names what pods refer to."""
        if name and _NAME.match(name) is None:
            raise self.wrong(key, f"has to be a name as Kubernetes has them, such as my-name, and is {shown(name)}")
        return name

    def given(self, key: str) -> Json:
        """The value at the place that the field names, as tasks do it for their inputs; None where there is none."""
        return self.value_of(self.entry(key).binding())

    def given_entry(self, key: str) -> "Entry":
        """The same, of an object; an empty one where there is none."""
        given = with_integers(self.given(key))
        if given is not None and not isinstance(given, dict):
            raise self.wrong(key, f"has to be an object and is {shown(given)}")
        return Entry(self.at(key), given or {}, self.value_of)

    def binding(self) -> ParameterBinding:
        """The place that the entry names."""
        fields = self.fields
        selector = self.text("parameterExpressionSelector")
        if "componentInputParameter" in fields:
            return ParameterBinding(DagInput(self.required("componentInputParameter")), selector)
        if "taskOutputParameter" in fields:
            made = self.entry("taskOutputParameter")
            output = TaskOutput(made.required("producerTask"), made.required("outputParameterKey"))
            return ParameterBinding(output, selector)
        runtime = self.entry("runtimeValue").fields
        if "constant" in runtime:
            return ParameterBinding(Constant(with_integers(runtime["constant"])), selector)
        raise SettingError(self.path, "has no source: a constant, an input of the DAG or an output of a task")

    def quantity(self, key: str) -> str:
        """A quantity such as 500m or 2Gi; empty where there is none."""
        value = with_integers(self.fields.get(key))
        if value is None or value == "":
            return ""
        return checked_quantity(self.at(key), value)

    def strings(self, key: str) -> dict[str, str]:
        """An object of texts, such as annotations."""
        fields = self.entry(key).fields
        for name, value in fields.items():
            if not isinstance(value, str):
                raise SettingError(f"{self.at(key)}.{name}", f"has to be a text and is {shown(value)}")
        return {name: str(value) for name, value in fields.items()}

    def labels(self, key: str) -> dict[str, str]:
        """An object of labels."""
        found = self.strings(key)
        for name, value in found.items():
            check_label(f"{self.at(key)}.{name}", name, value)
        return found

    def at(self, key: str) -> str:
        """The path of a field."""
        return f"{self.path}.{key}" if self.path else key

    def wrong(self, key: str, description: str) -> SettingError:
        """What is wrong with a field."""
        return SettingError(self.at(key), description)

    def _list(self, key: str) -> list[Json]:
        value = self.fields.get(key)
        if value is not None and not isinstance(value, list):
            raise self.wrong(key, f"has to be a list and is {shown(value)}")
        return value or []


def checked_quantity(path: str, value: Json) -> str:
    """The quantity as text. Raises SettingError."""
    text = as_text(value)
    if _QUANTITY.match(text) is None:
        raise SettingError(path, f'has to be a quantity, such as "500m" or "2Gi", and is {shown(value)}')
    return text


def check_label(path: str, name: str, value: str) -> None:
    """Raise SettingError for what Kubernetes would not take as a label."""
    if _LABEL_KEY.match(name) is None:
        raise SettingError(path, "has a name that Kubernetes does not take for a label")
    if _LABEL_VALUE.match(value) is None:
        raise SettingError(
            path,
            f"has to be at most 63 letters, digits, - _ and ., first and last a letter or digit, and is {shown(value)}",
        )


def check_annotation(path: str, name: str) -> None:
    """Raise SettingError for what Kubernetes would not take as the name of an annotation."""
    if _LABEL_KEY.match(name) is None:
        raise SettingError(path, "has a name that Kubernetes does not take for an annotation")


def present(**parts: Json) -> JsonObject:
    """The parts that say something."""
    return {name: part for name, part in parts.items() if part not in (None, "", [], {})}
