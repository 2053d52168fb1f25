"""Everything that can be set, as one frozen object that is read once.

The command line comes before the environment (`PENSTOCK_...`), that before a TOML file, that before the defaults.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit, urlunsplit

from penstock_server.model.errors import FieldViolation, InvalidArgument

PREFIX = "PENSTOCK_"
CONFIG_VARIABLE = "PENSTOCK_CONFIG"
_MASK = "********"
_CHOICES = {
    "launcher": ("process",),
    "log_format": ("auto", "human", "json"),
    "log_level": ("debug", "info", "warning", "error"),
}
_POSITIVE = (
    "max_parallel_steps",
    "lease_ttl_s",
    "drain_s",
    "database_pool_size",
    "statement_timeout_s",
    "message_size_max",
)


def _setting(default: Any, doc: str) -> Any:
    return field(default=default, metadata={"doc": doc})


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server is told at its start."""

    data_dir: Path = _setting(
        Path("penstock-data"),
        "Folder of the embedded database, the artifacts and the steps. Made when it is not there.",
    )
    database_url: str = _setting(
        "", "A Postgres (15 to 18) of your own, `postgresql://user@host/database`. Empty: the embedded one."
    )
    database_pool_size: int = _setting(16, "Connections to the database at most.")
    statement_timeout_s: float = _setting(30.0, "Seconds after which a statement is given up.")
    grpc_listen: str = _setting("127.0.0.1:8887", "Address and port of gRPC; port 0 takes a free one.")
    http_listen: str = _setting(
        "127.0.0.1:8888", "Address and port of REST, Connect, gRPC-Web, health and metrics."
    )
    allowed_origins: tuple[str, ...] = _setting(
        (), "Origins whose pages may call over HTTP, separated by commas. Empty: none but its own."
    )
    message_size_max: int = _setting(4 * 1024 * 1024, "Bytes of a request at most, on either port.")
    launcher: str = _setting("process", "What executes steps: `process`.")
    max_parallel_steps: int = _setting(
        len(os.sched_getaffinity(0)), "Steps at a time on this server. Default: the number of cores."
    )
    step_grace_s: float = _setting(10.0, "Seconds between asking a step to end and ending it by force.")
    step_environment: tuple[str, ...] = _setting(
        (), "Names of further variables of the server's environment that steps get, separated by commas."
    )
    lease_ttl_s: float = _setting(
        10.0, "Seconds after which other servers take over the runs of one that is silent."
    )
    drain_s: float = _setting(10.0, "Seconds that calls under way get when the server is asked to end.")
    log_format: str = _setting("auto", "`human`, `json`, or `auto`: human in a terminal, JSON otherwise.")
    log_level: str = _setting("info", "`debug`, `info`, `warning` or `error`.")
    otlp_endpoint: str = _setting(
        "", "Where traces and metrics are sent, as `http://host:4317` (OTLP over gRPC). Empty: nowhere."
    )

    def __post_init__(self) -> None:
        """Raise InvalidArgument(SETTING_INVALID) for values that cannot be right."""
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise _wrong(name, f"has to be one of {', '.join(choices)}")
        for name in _POSITIVE:
            if getattr(self, name) <= 0:
                raise _wrong(name, "has to be more than 0")
        for name in ("grpc_listen", "http_listen"):
            split_address(name, getattr(self, name))
        if self.database_url and urlsplit(self.database_url).scheme not in ("postgresql", "postgres"):
            raise _wrong("database_url", "has to begin with postgresql://")

    def masked(self) -> dict[str, str]:
        """All settings as text, secrets masked."""
        values = {name: _text(getattr(self, name)) for name in setting_names()}
        return values | {"database_url": _masked_url(self.database_url)}


def setting_names() -> list[str]:
    """The names of all settings, in the order in which they are told."""
    return [setting.name for setting in fields(Settings)]


def read_settings(
    options: Mapping[str, object], environment: Mapping[str, str], config: Path | None = None
) -> Settings:
    """Settings from the command line's options (None: not given), the environment and a TOML file.

    Raises InvalidArgument(SETTING_INVALID), naming the setting and where it was found.
    """
    file = config or (Path(environment[CONFIG_VARIABLE]) if environment.get(CONFIG_VARIABLE) else None)
    values: dict[str, Any] = {}
    for setting in fields(Settings):
        for source, found in _sources(setting, options, environment, _read_file(file)):
            if found is not None:
                values[setting.name] = _parse(setting, found, source)
                break
    return Settings(**values)


def split_address(name: str, address: str) -> tuple[str, int]:
    """Host and port of `host:port`, `[v6]:port`. Raises InvalidArgument(SETTING_INVALID)."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:
        raise _wrong(name, f"has to be HOST:PORT, such as 127.0.0.1:8887, and is {address!r}")
    return host.strip("[]"), int(port)


def settings_page() -> str:
    """`docs/reference/settings.md`."""
    lines = [
        "# Settings",
        "",
        "Each is an option of `penstock-server serve`, a variable of the environment and a key of a TOML file",
        "(`--config FILE` or `PENSTOCK_CONFIG`); the first of these that names it counts.",
        "`penstock-server config` prints what is in force.",
        "",
        "| Option | Variable | Key | Default | Meaning |",
        "|---|---|---|---|---|",
    ]
    for setting in fields(Settings):
        default = "the cores" if setting.name == "max_parallel_steps" else _text(setting.default) or "empty"
        option = setting.name.replace("_", "-")
        doc = setting.metadata["doc"]
        variable = f"{PREFIX}{setting.name.upper()}"
        lines.append(f"| `--{option}` | `{variable}` | `{setting.name}` | {default} | {doc} |")
    return "\n".join(lines) + "\n"


def _sources(
    setting: "Field[Any]",
    options: Mapping[str, object],
    environment: Mapping[str, str],
    file: Mapping[str, object],
) -> list[tuple[str, object]]:
    name, variable = setting.name, f"{PREFIX}{setting.name.upper()}"
    option = f"--{name.replace('_', '-')}"
    return [
        (option, options.get(name)),
        (variable, environment.get(variable) or None),
        (f"{name} of the configuration file", file.get(name)),
    ]


def _read_file(path: Path | None) -> Mapping[str, object]:
    if path is None:
        return {}
    try:
        values = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _wrong("config", f"{path} cannot be read: {error}") from error
    if unknown := set(values) - set(setting_names()):
        raise _wrong("config", f"{path} names what cannot be set: {', '.join(sorted(unknown))}")
    return values


def _parse(setting: "Field[Any]", value: object, source: str) -> object:
    kind = get_type_hints(Settings)[setting.name]
    try:
        if kind is Path:
            return Path(str(value))
        if kind is int:
            return int(str(value))
        if kind is float:
            return float(str(value))
        if kind is str:
            return str(value)
        parts = value if isinstance(value, list) else str(value).split(",")
        return tuple(str(part).strip() for part in parts if str(part).strip())
    except ValueError as error:
        raise _wrong(setting.name, f"cannot be {value!r} ({source}): a number is needed") from error


def _text(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _masked_url(url: str) -> str:
    parts = urlsplit(url)
    if not parts.password:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", f":{_MASK}@", 1)))


def _wrong(name: str, description: str) -> InvalidArgument:
    violation = FieldViolation(name, description)
    return InvalidArgument("SETTING_INVALID", f"setting {name} {description}", violations=[violation])


if __name__ == "__main__":
    print(settings_page(), end="")
