"""The `pip install` that KFP's Python components begin with, recognised and taken off their command.

The SDK compiles a component to `sh -c '<make sure of pip> <pip install ...> && "$0" "$@"'` followed by the program
itself. Only what is understood in full is taken off; anything else runs as it is written.
"""

import hashlib
import json
import re
import shlex
from dataclasses import dataclass
from typing import Any

_ENSURE_PIP = re.compile(
    r"^\s*if ! \[ -x \"\$\(command -v pip\)\" \]; then\s+"
    r"python3 -m ensurepip \|\| python3 -m ensurepip --user \|\| apt-get install python3-pip\s+fi\s+"
)
_VENV = re.compile(
    r"\s*export PIP_DISABLE_PIP_VERSION_CHECK=1\s+tmp=\$\(mktemp -d\)\s+"
    r"python3 -m venv \"\$tmp/venv\" --system-site-packages\s+\. \"\$tmp/venv/bin/activate\"\s+"
)
"""What `use_venv` puts before the second installation: an environment of the step's own, which is what it gets."""
_INSTALL = ["python3", "-m", "pip", "install"]
_QUIET = frozenset({"--quiet", "-q", "--no-warn-script-location", "--disable-pip-version-check"})
_VALUED = {
    "--index-url": "index_url",
    "-i": "index_url",
    "--extra-index-url": "extra_index_urls",
    "--trusted-host": "trusted_hosts",
    "--find-links": "find_links",
    "-f": "find_links",
}
_QUOTED = re.compile(r"'([^']*)'|\"([^\"$`\\]*)\"")
_EXPANDED = re.compile(r"[$`\\\n\r#*?'\"]|(?:^|\s)~")
_OPERATORS = frozenset("();<>|&")
_VARIABLE = re.compile(r"PIP_[A-Z_]+=[0-9]+\Z")


@dataclass(frozen=True, slots=True)
class PackageGroup:
    """What one `pip install` asks for."""

    packages: tuple[str, ...]
    """Requirement specifiers, in their order."""
    no_deps: bool = False
    index_url: str = ""
    """Empty: the machine's own."""
    extra_index_urls: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    upgrade: bool = False
    pre: bool = False


@dataclass(frozen=True, slots=True)
class Requirements:
    """All that a step has installed before it starts, in order."""

    groups: tuple[PackageGroup, ...]

    @property
    def key(self) -> str:
        """The same for the same requirements: 32 hex digits."""
        text = json.dumps([[getattr(g, f) for f in PackageGroup.__dataclass_fields__] for g in self.groups])
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def split_pip_prologue(argv: list[str]) -> tuple[Requirements | None, list[str]]:
    """The packages that the command begins with installing, and the rest of it; None and the whole command when it
    does not begin like that, or not in a way that is understood in full."""
    if len(argv) < 4 or argv[:2] != ["sh", "-c"]:
        return None, argv
    groups = _groups(argv[2])
    return (None, argv) if groups is None else (Requirements(groups), argv[3:])


def _groups(script: str) -> tuple[PackageGroup, ...] | None:
    ensured = _ENSURE_PIP.match(script)
    if ensured is None:
        return None
    commands = _VENV.sub(" ", script[ensured.end() :], count=1).strip()
    installs, _, run = commands.rpartition("&&")
    # What a shell would expand, take as a comment or as the end of a command is not understood here.
    if run.split() != ['"$0"', '"$@"'] or _EXPANDED.search(_QUOTED.sub(_unquoted, installs)):
        return None
    lexer = shlex.shlex(installs, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError:
        return None
    return _parsed(words)


def _unquoted(match: "re.Match[str]") -> str:
    """What stands for a quoted word: a letter, or what is refused, for one that is
    empty, would be taken for an operator, or was perhaps meant to be expanded."""
    word = match[1] or match[2] or ""
    return "$" if set(word) <= _OPERATORS or "$" in word or "`" in word else "q"


def _parsed(words: list[str]) -> tuple[PackageGroup, ...] | None:
    groups: list[PackageGroup] = []
    command: list[str] = []
    for word in [*words, "&&"]:
        if word != "&&":
            command.append(word)
            continue
        group = _group(command)
        if group is None:
            return None
        groups.append(group)
        command = []
    return tuple(groups)


def _group(command: list[str]) -> PackageGroup | None:
    while command and _VARIABLE.match(command[0]):
        command = command[1:]
    if command[: len(_INSTALL)] != _INSTALL:
        return None
    values: dict[str, Any] = {}
    packages: list[str] = []
    words = iter(command[len(_INSTALL) :])
    for word in words:
        option, equals, value = word.partition("=")
        if option in _VALUED:
            _add(values, _VALUED[option], value if equals else next(words, ""))
        elif word == "--no-deps":
            values["no_deps"] = True
        elif word in ("--upgrade", "-U"):
            values["upgrade"] = True
        elif word == "--pre":
            values["pre"] = True
        elif word.startswith("-") or set(word) <= _OPERATORS:
            if word not in _QUIET:
                return None
        else:
            packages.append(word)
    return PackageGroup(tuple(packages), **values) if packages else None


def _add(values: dict[str, Any], name: str, value: str) -> None:
    if name == "index_url":
        values[name] = value
    else:
        values[name] = (*values.get(name, ()), value)
