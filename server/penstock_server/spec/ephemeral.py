"""KFP's Python components, recognised by the script that the SDK compiles each of them to.

The script puts the component's source into a file of a fresh folder and has the KFP executor run a function of it:
`sh -ec '<script>' <source> --executor_input <json> --function_to_execute <name>`. Only the very script is recognised,
whatever its blanks; anything else runs as it is written.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

EXECUTOR = "kfp.dsl.executor_main"
"""The module that runs the function."""
FILE_NAME = "ephemeral_component.py"
"""What the file with the source is called."""
_SCRIPT = (
    "program_path=$(mktemp -d)",
    f'printf "%s" "$0" > "$program_path/{FILE_NAME}"',
    f'_KFP_RUNTIME=true python3 -m {EXECUTOR} --component_module_path "$program_path/{FILE_NAME}" "$@"',
)
_BLANKS = re.compile(r"[ \t]+")


@dataclass(frozen=True, slots=True)
class EphemeralComponent:
    """A component that brings its source along."""

    source: str
    arguments: tuple[str, ...]
    """What the executor is given after the path of the source."""


def ephemeral_component(argv: Sequence[str]) -> EphemeralComponent | None:
    """The component that the command `argv` runs, without the `pip install` before it; None for any other command."""
    if len(argv) < 4 or tuple(argv[:2]) != ("sh", "-ec"):
        return None
    lines = (_BLANKS.sub(" ", line).strip(" ") for line in argv[2].split("\n"))
    if tuple(line for line in lines if line) != _SCRIPT:
        return None
    return EphemeralComponent(argv[3], tuple(argv[4:]))
