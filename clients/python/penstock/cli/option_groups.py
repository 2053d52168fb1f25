"""Options that several commands have together: the fields of a dataclass, declared once."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """`command` with an option for each field in place of each parameter that is a dataclass.

    A field is declared as an option is: its type annotated with what typer has to know, and a default.
    """
    parameters = inspect.signature(command).parameters.values()
    groups = {each.name: each.annotation for each in parameters if dataclasses.is_dataclass(each.annotation)}
    options = [option for each in parameters for option in _options(each)]

    @functools.wraps(command)
    def spread_out(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = _taken(group, given)
        command(**given)

    spread_out.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]  # typer reads it
    spread_out.__annotations__ = {option.name: option.annotation for option in options}
    return spread_out


def _options(parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
    if not dataclasses.is_dataclass(parameter.annotation):
        yield parameter
        return
    for field in dataclasses.fields(parameter.annotation):
        yield inspect.Parameter(field.name, parameter.kind, default=field.default, annotation=field.type)


def _taken(group: Any, given: dict[str, Any]) -> Any:
    """The group of its options, which are taken out of what is given."""
    return group(**{field.name: given.pop(field.name) for field in dataclasses.fields(group)})
