"""Text that KFP's clients write, as text of ours: `${` means nothing to them, and to the macros of a job it does."""

from collections.abc import Callable, Mapping

from penstock_server.model.json import Json


def escaped(text: str) -> str:
    """The text in which the macros of ours that it seems to hold are none. Those of KFP stay."""
    return text.replace("${", "$${")


def unescaped(text: str) -> str:
    """The text as it was before `escaped`. Macros that were meant as such are told as they are."""
    return text.replace("$${", "${")


def escaped_values(values: Mapping[str, Json]) -> dict[str, Json]:
    """`escaped` for all texts in parameters, at any depth."""
    return {name: _with(escaped, value) for name, value in values.items()}


def unescaped_values(values: Mapping[str, Json]) -> dict[str, Json]:
    """`unescaped` for all texts in parameters, at any depth."""
    return {name: _with(unescaped, value) for name, value in values.items()}


def _with(change: Callable[[str], str], value: Json) -> Json:
    match value:
        case str():
            return change(value)
        case list():
            return [_with(change, item) for item in value]
        case dict():
            return {key: _with(change, item) for key, item in value.items()}
        case _:
            return value
