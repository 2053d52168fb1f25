"""The little that this side reads of a pipeline's spec: its name and the types of its parameters.

The server checks specs; here a spec that cannot be understood is simply one that tells nothing.
"""

import json
from collections.abc import Mapping
from typing import Any

import yaml

_DEPTH_MAX = 300
_LEGACY_TYPES = {"INT": "NUMBER_INTEGER", "DOUBLE": "NUMBER_DOUBLE"}

# The C loader reads a large spec some ten times as fast; wheels have it, builds from source may not. The
# base loader leaves every scalar a text, so that no parameter called `on` or `1` turns into something else.
_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


def parameter_types(text: str) -> dict[str, str] | None:
    """The type of each parameter of the root, such as NUMBER_INTEGER, by name.

    None when `text` is no spec.
    """
    spec = _pipeline_spec(text)
    root = spec.get("root") if spec is not None else None
    if not isinstance(root, Mapping):
        return None
    definitions = _mapping(_mapping(root, "inputDefinitions"), "parameters")
    return {name: _type_of(definition) for name, definition in definitions.items()}


def pipeline_name(text: str) -> str | None:
    """`pipelineInfo.name` of a spec; None when it has none."""
    spec = _pipeline_spec(text)
    name = _mapping(spec or {}, "pipelineInfo").get("name")
    return name if isinstance(name, str) and name else None


def _pipeline_spec(text: str) -> Mapping[str, Any] | None:
    try:
        documents = [json.loads(text)] if text.lstrip().startswith("{") else _yaml_documents(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        # The server answers with what is wrong and where.
        return None
    for document in documents:
        spec = document.get("pipeline_spec", document) if isinstance(document, Mapping) else None
        if isinstance(spec, Mapping) and "root" in spec:
            return spec
    return None


def _yaml_documents(text: str) -> list[Any]:
    """The documents of a YAML stream.

    Raises ValueError for nesting on which the loader would run out of stack.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEPTH_MAX:
            raise ValueError(f"nested deeper than {_DEPTH_MAX}")
    # The base loader makes nothing but texts, lists and dicts.
    return list(yaml.load_all(text, Loader=_Loader))


def _type_of(definition: Any) -> str:
    if not isinstance(definition, Mapping):
        return ""
    legacy = str(definition.get("type", ""))
    return str(definition.get("parameterType", "")) or _LEGACY_TYPES.get(legacy, legacy)


def _mapping(holder: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = holder.get(key)
    return value if isinstance(value, Mapping) else {}
