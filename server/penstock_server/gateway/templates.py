"""Path templates of `google.api.http`, such as `/v1/{name=namespaces/*/runs/*}:cancel`.

    template = "/" segments [ ":" verb ]
    segments = segment { "/" segment }
    segment  = "*" | "**" | literal | "{" field path [ "=" segments ] "}"

`*` is one segment without a colon, so that a verb is never taken for a part of a name; `**` is any number.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

_TOKEN = re.compile(r"\{(?P<field>[\w.]+)(?:=(?P<inner>[^{}]+))?\}|(?P<literal>[^{}/*:]+)|(?P<sign>\*\*|\*|/)")
_STAR = "[^/:]+"
_STARS = "[^:]*"


@dataclass(frozen=True, slots=True)
class PathTemplate:
    """A template, ready to be matched."""

    text: str
    """As the schema has it."""
    verb: str
    """What follows the colon; empty without one."""
    pattern: re.Pattern[str]
    """Of a raw path, percent-encoded as it came."""
    fields: tuple[str, ...]
    """Field paths of the variables, in the order of the pattern's groups."""

    def match(self, raw_path: str) -> Mapping[str, str] | None:
        """The values of the variables, decoded, by field path; None when the path is another one's."""
        found = self.pattern.fullmatch(raw_path)
        if found is None:
            return None
        return {field: unquote(value) for field, value in zip(self.fields, found.groups(), strict=True)}


def compile_template(text: str) -> PathTemplate:
    """Read a template. Raises ValueError when it is not one."""
    path, _, verb = text.partition(":")
    if not path.startswith("/") or ("{" in verb or "/" in verb):
        raise ValueError(f"{text!r} is no path template")
    fields: list[str] = []
    pattern = _segments(path, fields)
    if verb:
        pattern += re.escape(f":{verb}")
    return PathTemplate(text, verb, re.compile(pattern), tuple(fields))


def _segments(text: str, fields: list[str] | None) -> str:
    """The pattern of `text`; its variables are added to `fields`, None where there must not be any."""
    pattern, end = "", 0
    while end < len(text):
        token = _TOKEN.match(text, end)
        if token is None or (token["field"] and fields is None):
            raise ValueError(f"{text!r} is no path template: cannot read {text[end:]!r}")
        end = token.end()
        if token["field"] and fields is not None:
            fields.append(token["field"])
            pattern += f"({_segments(token['inner'] or '*', None)})"
        elif token["literal"]:
            pattern += re.escape(token["literal"])
        else:
            pattern += {"**": _STARS, "*": _STAR, "/": "/"}[token["sign"]]
    return pattern
