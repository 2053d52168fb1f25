"""How a setting is declared, read from text or TOML, and shown."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit, urlunsplit

T = TypeVar("T")

_KEY = "declared"
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class SettingError(Exception):
    """A setting cannot be used; the message names it, where it was set, and what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What there is to know about a setting, beside its name, type and default."""

    doc: str
    """Its meaning; the first sentence stands alone."""
    metavar: str
    unit: str = ""
    default_text: str = ""
    """The default in words, where its value says too little."""
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    secret: bool = False
    """Holds passwords, in the user part of URLs."""
    check: Callable[[Any], None] | None = None
    """Raises ValueError for a value that is wrong."""


def setting(default: T | None = None, *, default_factory: Callable[[], T] | None = None, **declared: Any) -> T:
    """A field of the settings."""
    metadata = {_KEY: Declared(**declared)}
    if default_factory is not None:
        return dataclasses.field(default_factory=default_factory, metadata=metadata)
    return cast("T", dataclasses.field(default=default, metadata=metadata))


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting."""

    name: str
    """As in TOML."""
    group: str
    """The title it is shown under."""
    kind: Any
    default: Any
    declared: Declared

    @property
    def option(self) -> str:
        """On the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """In the environment."""
        return f"PENSTOCK_{self.name.upper()}"

    @property
    def default_text(self) -> str:
        """The default, for people."""
        return self.declared.default_text or show(self.default)

    def read(self, value: Any) -> Any:
        """The setting's value, from text or from TOML. Raises ValueError saying what would be right."""
        read = self._typed(value)
        low, high = self.declared.minimum, self.declared.maximum
        if self.declared.choices and read not in self.declared.choices:
            raise ValueError(f"{read!r} is not one of {', '.join(self.declared.choices)}")
        if low is not None and read < low:
            raise ValueError(f"{read} is less than {low:g}")
        if high is not None and read > high:
            raise ValueError(f"{read} is more than {high:g}")
        if self.declared.check is not None:
            self.declared.check(read)
        return read

    def shown(self, value: Any) -> str:
        """`value` as TOML, passwords masked."""
        if not self.declared.secret:
            return show(value)
        return show(tuple(map(masked, value)) if isinstance(value, tuple) else masked(value))

    def _typed(self, value: Any) -> Any:
        if self.kind is bool:
            return _read_bool(value)
        if self.kind in (int, float):
            return _read_number(self.kind, value)
        if self.kind == tuple[str, ...]:
            return _read_list(value)
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is not text")
        return Path(value).expanduser() if self.kind is Path else value


def settings_of(kind: type, group: str) -> Iterator[Setting]:
    """The settings declared in the dataclass `kind`, in order; they are shown under `group`."""
    for field in dataclasses.fields(kind):
        yield Setting(field.name, group, field.type, _default(field), field.metadata[_KEY])


def show(value: Any) -> str:
    """`value` as TOML."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"{value:g}" if isinstance(value, float) else str(value)
        case tuple():
            return f"[{', '.join(map(show, value))}]"
        case _:
            text = str(value).replace("\\", "\\\\").replace('"', '\\"')
            return f'"{text}"'


def masked(url: str) -> str:
    """`url` without its password, as a URL or as the `key=value` form of Postgres."""
    if "://" not in url:
        words = (word if not word.startswith("password=") else "password=***" for word in url.split(" "))
        return " ".join(words)
    parts = urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    if ":" in user:
        user = f"{user.partition(':')[0]}:***"
    query = "&".join(p if not p.startswith("password=") else "password=***" for p in parts.query.split("&"))
    return urlunsplit(parts._replace(netloc=f"{user}{at}{place}", query=query))


def _default(field: "dataclasses.Field[Any]") -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _read_bool(value: Any) -> bool:
    read = _WORDS.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(read, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return read


def _read_number(kind: type[int] | type[float], value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError(f"{value!r} is not a number")
    try:
        number = kind(value)
    except ValueError:
        raise ValueError(f"{value!r} is not a {'whole ' if kind is int else ''}number") from None
    if number != number or number in (float("inf"), float("-inf")) or (kind is int and number != float(value)):
        raise ValueError(f"{value!r} is not a {'whole' if kind is int else 'finite'} number")
    return number


def _read_list(value: Any) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ValueError(f"{value!r} is not a list of texts")
    return tuple(item.strip() for item in items if item.strip())
