"""What the options before the command say: which server, which namespace."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from penstock import Client


@dataclass(frozen=True, slots=True)
class Session:
    """One invocation of the command line."""

    address: str
    namespace: str
    token: str | None

    @contextmanager
    def connect(self) -> "Iterator[Client]":
        """A client for the time of a command."""
        from penstock.client import Client

        with Client(self.address, self.token, self.namespace) as client:
            yield client


def session_of(context: typer.Context) -> Session:
    """The session that the root command made."""
    session = context.obj
    assert isinstance(session, Session)
    return session
