"""What a KFP component is told, where it is longer than the system lets an argument be: handed over in a file.

The component gets the executor's input as one argument, and Linux takes no more than 128 KiB for one. Python in the
environments that are built for steps reads such an argument back from its file before anything else runs.
"""

from pathlib import Path

ARGUMENT_BYTES_MAX = 32 * 4096 - 1
"""MAX_ARG_STRLEN of Linux, less the NUL at the end."""
HOOK_NAME = "0_penstock_long_arguments.pth"
_OPTION = "--executor_input"
_MARK = "penstock-argument-in-file:"
HOOK = (
    f"import sys; sys.argv[:] = [open(text[{len(_MARK)}:], encoding='utf-8', newline='').read()"
    f" if text.startswith('{_MARK}') else text for text in sys.argv]\n"
)
"""Goes into the folder of the environment's packages, under `HOOK_NAME`: Python runs it as it starts."""


def handed_over(argv: tuple[str, ...], file: Path) -> tuple[str, ...]:
    """The command with the executor's input in `file`, if it is too long for an argument; else as it is."""
    place = next((index + 1 for index, text in enumerate(argv[:-1]) if text == _OPTION), None)
    if place is None or len(argv[place].encode()) <= ARGUMENT_BYTES_MAX:
        return argv
    file.write_text(argv[place], encoding="utf-8", newline="")
    return (*argv[:place], f"{_MARK}{file}", *argv[place + 1 :])
