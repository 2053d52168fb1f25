"""Runs commands of `kfp`, each in a process of its own.

The processes are forks of this one, since loading the SDK takes seconds; each of them calls what the installed program
calls, with its own arguments, input and output.
"""

import json
import os
import re
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import IO, Any, NoReturn

import click
from kfp.cli.__main__ import main
from kfp.cli.cli import cli

PROMPT = "[y/N]: "


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended."""

    status: int
    output: str
    errors: str


@dataclass
class CommandLine:
    """`kfp`, told where the server is."""

    host: str
    commands: frozenset[str] = field(default_factory=lambda: frozenset(_commands(cli, ())))
    """All that there are, as in `run create`."""
    succeeded: set[str] = field(default_factory=set)

    def told(self, *arguments: str, typed: str = "") -> Any:
        """The JSON that a command writes; `typed` answers what it asks. Raises AssertionError when it fails."""
        output = self._succeed("--output", "json", *arguments, typed=typed).rpartition(PROMPT)[2]
        begin = re.search(r'^[\[{"]', output, re.MULTILINE)  # Links may come before.
        assert begin is not None, output
        return json.loads(output[begin.start() :])

    def text(self, *arguments: str, typed: str = "") -> str:
        """What a command writes for people. Raises AssertionError when it fails."""
        return self._succeed(*arguments, typed=typed)

    def failure(self, *arguments: str, typed: str = "") -> str:
        """What a command writes that has to fail. Raises AssertionError when it does not."""
        ended = run(["--endpoint", self.host, *arguments], typed)
        assert ended.status, ended.output
        return ended.errors

    def _succeed(self, *arguments: str, typed: str = "") -> str:
        ended = run(["--endpoint", self.host, *arguments], typed)
        assert ended.status == 0, ended
        self.succeeded |= {command for command in self.commands if f" {command} " in f" {' '.join(arguments)} "}
        return ended.output


def run(arguments: list[str], typed: str = "") -> Ended:
    """`kfp` with these arguments, to its end."""
    with TemporaryFile("w+") as given, TemporaryFile("w+") as output, TemporaryFile("w+") as errors:
        given.write(typed)
        given.seek(0)
        child = os.fork()
        if not child:
            _become(arguments, given, output, errors)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        for written in (output, errors):
            written.seek(0)
        return Ended(status, output.read(), errors.read())


def _become(arguments: list[str], *files: IO[str]) -> NoReturn:
    """Be that command in this process."""
    status = 1
    try:
        for number, file in enumerate(files):
            os.dup2(file.fileno(), number)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115 - to the end
        sys.argv = ["kfp", *arguments]
        main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _commands(command: click.Command, path: tuple[str, ...]) -> Iterator[str]:
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from _commands(inner, (*path, name))
    else:
        yield " ".join(path)
