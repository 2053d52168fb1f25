"""What the server has to do just now, and whether it can."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from penstock_server.engine.loop import Engine
from penstock_server.model.errors import PenstockError
from penstock_server.store.database import Database

PATIENCE_S = 2.0


@dataclass(slots=True)
class Load:
    """Implements `api.server_info.ServerLoad`."""

    engine: Engine
    draining: bool = False
    """Set once the server was told to end."""

    @property
    def owned_run_count(self) -> int:
        """Runs that this server drives."""
        return self.engine.run_count

    @property
    def running_step_count(self) -> int:
        """Steps under way on this server."""
        return self.engine.running_step_count


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the server can serve. Migrations were seen to before it was made."""

    database: Database
    load: Load

    async def not_ready(self) -> Sequence[str]:
        """Why not; empty when it can."""
        reasons = []
        if self.load.draining:
            reasons.append("the server is about to end")
        if not self.load.engine.may_act():
            reasons.append("this server's lease has run out and is not renewed yet")
        try:
            async with asyncio.timeout(PATIENCE_S), self.database.connection() as connection:
                await connection.execute("SELECT 1")
        except (PenstockError, TimeoutError):
            # What it says makes no difference to whoever asks; the log has it.
            reasons.append("the database does not answer")
        return reasons
