"""Fixtures of the client's tests: a scripted server, clients of both colours, the command line."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import pytest
from typer.testing import CliRunner

import penstock.aio
from penstock import Client
from penstock.cli.__main__ import app
from tests.client.scripted import ScriptedServer


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command did."""

    exit_code: int
    stdout: str
    stderr: str


Command = Callable[..., Outcome]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer().serving() as scripted:
        yield scripted


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[Client]:
    with Client(server.address) as blocking:
        yield blocking


@pytest.fixture
async def aio_client(server: ScriptedServer) -> AsyncIterator[penstock.aio.Client]:
    async with penstock.aio.Client(server.address) as asynchronous:
        yield asynchronous


@pytest.fixture
def command(server: ScriptedServer) -> Command:
    """Run the command line in this process against the scripted server."""

    def run(*arguments: str) -> Outcome:
        result = CliRunner().invoke(app, ["--target", server.address, *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return run
