"""Secrets, and what else is drawn once, that all servers of one database share."""

import secrets

from penstock_server.store.database import Connection
from penstock_server.store.statements import statements

_SQL = statements("secrets")


async def page_token_key(connection: Connection) -> bytes:
    """The key that page and resume tokens are authenticated with: 32 bytes, made when first asked for."""
    return await _shared(connection, "page_token", 32)


async def installation(connection: Connection) -> str:
    """What tells this database from others, as 16 hex digits, made when first asked for."""
    return (await _shared(connection, "installation", 8)).hex()


async def _shared(connection: Connection, purpose: str, length: int) -> bytes:
    await connection.execute(_SQL["ensure"], {"purpose": purpose, "value": secrets.token_bytes(length)})
    row = await (await connection.execute(_SQL["get"], {"purpose": purpose})).fetchone()
    assert row is not None
    return bytes(row[0])
