"""`docs/reference/settings.md`, made by `python -m penstock_server.main.settings_page > docs/reference/settings.md`."""

import sys

from penstock_server.main.declared import Setting
from penstock_server.main.settings import SETTINGS


def settings_page() -> str:
    """`docs/reference/settings.md`."""
    lines = [
        "# Settings",
        "",
        "Every setting can be given on the command line of `penstock-server serve`, in the environment, or in a",
        "TOML file that `--config FILE` or `PENSTOCK_CONFIG` names. The command line counts before the environment,",
        "the environment before the file, the file before the default. Lists are separated by commas, or TOML",
        "arrays. `penstock-server config` prints what a server would use, and where each value came from.",
    ]
    for group in dict.fromkeys(known.group for known in SETTINGS.values()):
        lines += ["", f"## {group}", "", "| Setting | Option and variable | Default | Meaning |", "|---|---|---|---|"]
        for known in SETTINGS.values():
            if known.group == group:
                lines.append(
                    f"| `{known.name}` | `{known.option} {known.declared.metavar}`<br>`{known.variable}` "
                    f"| {_page_default(known)} | {known.declared.doc}{_range(known)} |"
                )
    return "\n".join(lines) + "\n"


def _page_default(known: Setting) -> str:
    return known.declared.default_text or f"`{known.default_text}`"


def _range(known: Setting) -> str:
    low, high = known.declared.minimum, known.declared.maximum
    unit = f" {known.declared.unit}" if known.declared.unit else ""
    if known.declared.choices:
        return f" One of {', '.join(f'`{choice}`' for choice in known.declared.choices)}."
    if low is None:
        return ""
    return f" At least {low:,.10g}{unit}." if high is None else f" {low:,.10g} to {high:,.10g}{unit}."


if __name__ == "__main__":
    sys.stdout.write(settings_page())
