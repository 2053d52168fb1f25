"""A database whose connections break at any statement, and which now and then does not tell that it has committed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any, cast

from penstock_server.model.errors import Unavailable
from penstock_server.store.database import Connection, Database, _cut

UNKNOWN = "COMMIT_OUTCOME_UNKNOWN"


class FaultyDatabase(Database):
    """The same database, less faithful."""

    def __init__(self, dsn: str, random: Random, chance: float) -> None:
        """`chance`: how likely each statement and each commit of a transaction goes wrong."""
        super().__init__(dsn, pool_size_max=6)
        self._random = random
        self.chance = chance

    @asynccontextmanager
    async def transaction(self, *, deadline_s: float | None = None) -> AsyncIterator[Connection]:
        """See `Database`. May have committed when it raises Unavailable."""
        async with super().transaction(deadline_s=deadline_s) as connection:
            yield cast(Connection, _Line(connection, self))
            self.strike(connection)
        if self._random.random() < self.chance:
            raise Unavailable(UNKNOWN, "nobody knows", retry_after_s=1)

    def strike(self, connection: Connection) -> None:
        """Cut the connection, perhaps."""
        if self._random.random() < self.chance:
            _cut(connection)


class _Line:
    """A connection that may be cut before each statement."""

    def __init__(self, connection: Connection, database: FaultyDatabase) -> None:
        self._connection, self._database = connection, database

    def __getattr__(self, name: str) -> Any:
        if name in ("execute", "cursor"):
            self._database.strike(self._connection)
        return getattr(self._connection, name)
