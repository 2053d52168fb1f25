"""Where a pipeline's spec comes from: a file, a text, a dict - or a pipeline that the server keeps."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

Spec: TypeAlias = str | os.PathLike[str] | Mapping[str, Any]
"""A path to a file that the `kfp` SDK compiled, its text (YAML or JSON), or the IR as a dict."""

_SUFFIXES = (".yaml", ".yml", ".json")


def is_spec(source: object) -> bool:
    """True for a `Spec`, False for what names a pipeline on the server.

    A text is a spec when it has lines or is JSON, and a path when it ends like one (.yaml, .yml, .json),
    has a folder in it, or when a file of that name exists. A whole name (`namespaces/...`) is never a path.
    """
    if isinstance(source, os.PathLike | Mapping):
        return True
    return isinstance(source, str) and (_is_text(source) or is_path(source))


def is_path(source: str) -> bool:
    """True when `source` means a file."""
    if source.startswith("namespaces/"):
        return False
    return source.endswith(_SUFFIXES) or os.sep in source or os.path.isfile(source)


def spec_text(source: Spec) -> str:
    """The spec as the text that is sent.

    Raises OSError for a file that cannot be read, ValueError when it is no text.
    """
    if isinstance(source, Mapping):
        return json.dumps(source)
    if isinstance(source, str) and _is_text(source):
        return source
    return read_file(Path(source))


def read_file(path: Path) -> str:
    """The text of a file. Raises OSError, ValueError."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file in UTF-8: {error.reason} at byte {error.start}") from None


def _is_text(source: str) -> bool:
    return "\n" in source or source.lstrip().startswith("{")
