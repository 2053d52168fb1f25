"""Loads the named statements of `sql/<aggregate>.sql`.

A statement stands under a line `-- name: <name>`, followed by a comment that says what it is for.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import LiteralString, cast

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def statements(aggregate: str) -> Mapping[str, LiteralString]:
    """The statements of `sql/<aggregate>.sql` by name."""
    text = files("penstock_server.store").joinpath("sql", f"{aggregate}.sql").read_text()
    _, *parts = _NAME.split(text)
    # The files are part of this program, as literal as if they stood in the code.
    return {name: cast(LiteralString, body.strip()) for name, body in zip(parts[::2], parts[1::2], strict=True)}


def aggregates() -> list[str]:
    """The names of all files of statements."""
    folder = files("penstock_server.store").joinpath("sql")
    return sorted(entry.name.removesuffix(".sql") for entry in folder.iterdir() if entry.name.endswith(".sql"))
