"""Secrets that all servers of one database share."""

import secrets

from penstock_server.store.database import Connection
from penstock_server.store.statements import statements

_SQL = statements("secrets")


async def page_token_key(connection: Connection) -> bytes:
    """The key that page and resume tokens are authenticated with: 32 bytes, made when first asked for."""
    parameters = {"purpose": "page_token", "value": secrets.token_bytes(32)}
    await connection.execute(_SQL["ensure"], parameters)
    row = await (await connection.execute(_SQL["get"], {"purpose": "page_token"})).fetchone()
    assert row is not None
    return bytes(row[0])
