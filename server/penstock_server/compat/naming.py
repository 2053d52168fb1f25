"""Names and tags of pipelines and versions, as KFP bounds them, and the ids that we keep them under.

A name that can be our id, or a version's alias, is that; any other is kept beside an id that is drawn.
"""

import re
from collections.abc import Mapping

from penstock_server.compat.refusals import wrong
from penstock_server.model.ids import RESOURCE_ID

PIPELINE_CHARS_MAX = 128
VERSION_CHARS_MAX = 127
DISPLAY_CHARS_MAX = 256
TAGS_MAX = 20
TAG_CHARS_MAX = 63
_ALIAS = re.compile(r"([a-zA-Z]|[0-9]+[a-zA-Z._-])[a-zA-Z0-9._-]*\Z")
"""As the schema of `penstock.v1` has it."""
_NO_ALIAS = "latest"


def pipeline_id(name: str) -> str:
    """The id that the name is; empty when it cannot be one."""
    return name if RESOURCE_ID.match(name) else ""


def alias(name: str) -> str:
    """The alias that the name of a version is; empty when it cannot be one."""
    return name if _ALIAS.match(name) and name != _NO_ALIAS else ""


def check_name(name: str, field: str, chars_max: int) -> str:
    """The name. Raises InvalidArgument."""
    return check_chars(name, field, chars_max, "; give a name, or a display_name to take it from")


def check_chars(text: str, field: str, chars_max: int, advice: str = "") -> str:
    """The text as it is, since clients look for it by what they gave, space around it included. Space alone is none.

    Raises InvalidArgument.
    """
    if not text.strip() or len(text) > chars_max:
        raise wrong(field, f"has to have 1 to {chars_max} characters{advice}")
    return text


def check_display_name(name: str, field: str) -> str:
    """The display name. Raises InvalidArgument."""
    if len(name) > DISPLAY_CHARS_MAX:
        raise wrong(field, f"may have at most {DISPLAY_CHARS_MAX} characters")
    return name


def check_tags(tags: Mapping[str, str], field: str) -> Mapping[str, str]:
    """The tags. Raises InvalidArgument."""
    if len(tags) > TAGS_MAX:
        raise wrong(field, f"may hold at most {TAGS_MAX} tags")
    for key, value in tags.items():
        if not 1 <= len(key) <= TAG_CHARS_MAX or "." in key:
            raise wrong(field, f"has the key {key[:100]!r}; a key has 1 to {TAG_CHARS_MAX} characters and no dot")
        if len(value) > TAG_CHARS_MAX:
            raise wrong(f'{field}["{key}"]', f"may have at most {TAG_CHARS_MAX} characters")
    return dict(tags)
