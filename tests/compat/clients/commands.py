"""Stories of the program `kfp`; the test sees to it that every command is run by one."""

from typing import Any

import kfp

from tests.compat.clients import file_commands, pipeline_commands, run_commands
from tests.compat.clients.command_line import CommandLine
from tests.compat.clients.telling import errors_of, tell

STORIES = (*pipeline_commands.STORIES, *run_commands.STORIES, *file_commands.STORIES)


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Acts them out against a server that has nothing yet."""
    line = CommandLine(asked["host"])
    left_out = asked["left_out"].get(kfp.__version__, ())
    return {
        "version": kfp.__version__,
        "wrong": errors_of(STORIES, line, left_out),
        "commands": sorted(line.commands),
        "succeeded": sorted(line.succeeded),
        "stories": [story.__name__ for story in STORIES],
    }


if __name__ == "__main__":
    tell(main)
