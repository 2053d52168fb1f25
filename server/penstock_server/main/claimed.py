"""Which attempts are over, for a launcher that has found something nobody claims; store and launchers do not know each
other."""

from collections.abc import Mapping
from dataclasses import dataclass

from penstock_server.model.ids import AttemptId
from penstock_server.store import tasks
from penstock_server.store.database import Database


@dataclass(frozen=True, slots=True)
class KnownAttempts:
    """Implements `launch.kubernetes.strays.Registry` by what is committed."""

    database: Database

    async def over(self, attempts: Mapping[AttemptId, int]) -> set[AttemptId]:
        """Those that have ended, or whose runs are deleted, unless launched under a newer fence than is known."""
        if not attempts:
            return set()
        async with self.database.connection() as connection:
            return await tasks.over(connection, attempts)
