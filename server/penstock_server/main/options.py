"""The settings as options of a typer command, so that each is declared once."""

import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from penstock_server.main.declared import Setting
from penstock_server.main.settings import CONFIG_VARIABLE, SETTINGS

Command = Callable[[dict[str, str | None], Path | None], None]

CONFIG = "config"
_CONFIG_HELP = f"TOML file with settings; also {CONFIG_VARIABLE}."


def with_settings(names: Iterable[str] = SETTINGS) -> Callable[[Command], Callable[..., None]]:
    """Gives a command an option for each of the settings `names`, and `--config`.

    The command gets the texts given, by name, and the file. What they mean is left to `load_settings`, so that a
    wrong value is told in the same way wherever it stands.
    """

    def decorate(command: Command) -> Callable[..., None]:
        def run(**given: Any) -> None:
            config = given.pop(CONFIG)
            command(given, config)

        parameters = [_parameter(SETTINGS[name]) for name in names]
        config_type = Annotated[
            Path | None, typer.Option("--config", metavar="FILE", help=_CONFIG_HELP, show_default=False)
        ]
        parameters.append(_keyword(CONFIG, config_type))
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        run.__name__ = command.__name__
        run.__doc__ = command.__doc__
        return run

    return decorate


def _parameter(setting: Setting) -> inspect.Parameter:
    option = typer.Option(
        setting.option,
        metavar=setting.declared.metavar,
        help=_help(setting),
        rich_help_panel=setting.group,
        show_default=False,
    )
    return _keyword(setting.name, Annotated[str | None, option])


def _keyword(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _help(setting: Setting) -> str:
    choices = f" One of {', '.join(setting.declared.choices)}." if setting.declared.choices else ""
    default = setting.default_text.strip('"')
    return f"{setting.declared.doc}{choices} \\[default: {default}]"  # the backslash is for rich
