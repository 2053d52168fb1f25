"""Transactions that may be told to make nothing after all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from penstock_server.store.database import Connection, Database


class _NothingMade(Exception):
    """Rolls the transaction back."""


@dataclass(frozen=True, slots=True)
class Trying:
    """Makes things, or only tries to."""

    database: Database

    @asynccontextmanager
    async def transaction(self, validate_only: bool) -> AsyncIterator[Connection]:
        """A transaction; with `validate_only` nothing of it stays."""
        try:
            async with self.database.transaction() as connection:
                yield connection
                if validate_only:
                    raise _NothingMade
        except _NothingMade:
            return
