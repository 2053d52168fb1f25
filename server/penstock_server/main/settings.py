"""The settings: one frozen object, read once.

Each can be given on the command line, in the environment as `PENSTOCK_<NAME>`, or in a TOML file; the first of these
that has it counts, and else the default. What there is to set stands in `setting_groups`;
`docs/reference/settings.md` is made of that by `settings_page`.
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock_server.main.declared import Setting, SettingError, settings_of
from penstock_server.main.setting_groups.addresses import AddressSettings
from penstock_server.main.setting_groups.engine import EngineSettings
from penstock_server.main.setting_groups.kfp import KfpSettings
from penstock_server.main.setting_groups.limits import LimitSettings
from penstock_server.main.setting_groups.pods import PodSettings
from penstock_server.main.setting_groups.steps import StepSettings
from penstock_server.main.setting_groups.storage import StorageSettings
from penstock_server.main.setting_groups.telemetry import TelemetrySettings

CONFIG_VARIABLE = "PENSTOCK_CONFIG"


@dataclass(frozen=True, kw_only=True)
class Settings(
    StorageSettings,
    AddressSettings,
    StepSettings,
    PodSettings,
    EngineSettings,
    LimitSettings,
    KfpSettings,
    TelemetrySettings,
):
    """Everything that can be set, with units in the names. No slots: several bases cannot have any."""


GROUPS = {
    "Storage": StorageSettings,
    "Addresses": AddressSettings,
    "Steps": StepSettings,
    "Steps as pods": PodSettings,
    "Engine": EngineSettings,
    "Limits": LimitSettings,
    "KFP's API": KfpSettings,
    "Logs, traces, metrics": TelemetrySettings,
}
"""By title, in the order in which people are shown them."""

SETTINGS: Mapping[str, Setting] = {
    setting.name: setting for title, group in GROUPS.items() for setting in settings_of(group, title)
}


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """Settings, and where each came from."""

    settings: Settings
    origins: Mapping[str, str]
    """By name: option, variable, file or `default`."""


def load_settings(
    options: Mapping[str, str | None], environ: Mapping[str, str], config: Path | None = None
) -> LoadedSettings:
    """Command line over environment over file over defaults. Raises SettingError.

    `config` or else the variable PENSTOCK_CONFIG names the file; without either there is none.
    """
    if config is None and environ.get(CONFIG_VARIABLE):
        config = Path(environ[CONFIG_VARIABLE])
    in_file = _read_file(config) if config is not None else {}
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, known in SETTINGS.items():
        if (option := options.get(name)) is not None:
            origin, value = known.option, option
        elif known.variable in environ:
            origin, value = known.variable, environ[known.variable]
        elif name in in_file:
            origin, value = f"{config}: {name}", in_file[name]
        else:
            origins[name] = "default"
            continue
        try:
            values[name] = known.read(value)
        except ValueError as error:
            raise SettingError(f"{origin}: {error}") from error
        origins[name] = origin
    return LoadedSettings(Settings(**values), origins)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text())
    except OSError as error:
        raise SettingError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{path}: {error}") from error
    for name in document:
        if name not in SETTINGS:
            near = difflib.get_close_matches(name, SETTINGS, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise SettingError(f"{path}: there is no setting {name}{hint}")
    return document


def config_text(loaded: LoadedSettings) -> str:
    """The settings as TOML, with where each came from; passwords masked."""
    lines = []
    for name, known in SETTINGS.items():
        text = f"{name} = {known.shown(getattr(loaded.settings, name))}"
        lines.append(f"{text:<60} # {loaded.origins[name]}")
    return "\n".join(lines) + "\n"
