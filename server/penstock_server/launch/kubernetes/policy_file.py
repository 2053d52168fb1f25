"""Reads policies from TOML: a table for each namespace of Penstock, and one called `*` for all others."""

import tomllib
from collections.abc import Mapping
from typing import Any

from penstock_server.launch.kubernetes.policy import PodPolicy, Policies
from penstock_server.launch.kubernetes.quantities import quantity
from penstock_server.launch.kubernetes.template import TemplateError, check_template

OTHERS = "*"
_TEXTS = ("service_account",)
_LISTS = ("service_accounts", "images")
_QUANTITIES = ("default_requests", "default_limits", "max_requests", "max_limits")
_KNOWN = (*_TEXTS, *_LISTS, *_QUANTITIES, "template")


class PolicyError(ValueError):
    """A policy cannot be read; the message names the place and what would be right."""


def read_policies(text: str) -> Policies:
    """The policies in a TOML document. Raises PolicyError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"it is no TOML: {error}") from error
    if unknown := sorted(document.keys() - {"namespaces"}):
        raise PolicyError(
            f'{unknown[0]} is unknown; policies stand below [namespaces.NAME] and [namespaces."{OTHERS}"]'
        )
    tables = _table("namespaces", document.get("namespaces", {}))
    found = {name: _policy(f"namespaces.{name}", table) for name, table in tables.items()}
    return Policies(found.pop(OTHERS, PodPolicy()), found)


def _policy(path: str, value: Any) -> PodPolicy:
    table = _table(path, value)
    for key in sorted(table.keys() - set(_KNOWN)):
        raise PolicyError(f"{path}.{key} is unknown; known are {', '.join(_KNOWN)}")
    template = _table(f"{path}.template", table.get("template", {}))
    try:
        check_template(template)
    except TemplateError as error:
        raise PolicyError(f"{path}.template.{error}") from error
    return PodPolicy(
        **{key: _text(f"{path}.{key}", table[key]) for key in _TEXTS if key in table},
        **{key: _texts(f"{path}.{key}", table[key]) for key in _LISTS if key in table},
        **{key: _quantities(f"{path}.{key}", table[key]) for key in _QUANTITIES if key in table},
        template=template,
    )


def _table(path: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise PolicyError(f"{path} has to be a table")
    return value


def _text(path: str, value: Any) -> Any:
    if not isinstance(value, str) or not value:
        raise PolicyError(f"{path} has to be a text")
    return value


def _texts(path: str, value: Any) -> Any:
    if not isinstance(value, list):
        raise PolicyError(f"{path} has to be a list of texts")
    return tuple(_text(f"{path}[{index}]", item) for index, item in enumerate(value))


def _quantities(path: str, value: Any) -> Any:
    found = {name: str(text) for name, text in _table(path, value).items()}
    for name, text in found.items():
        try:
            quantity(text)
        except ValueError as error:
            raise PolicyError(f"{path}.{name}: {error}") from error
    return found
