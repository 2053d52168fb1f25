"""Pipeline specs, stored once per digest."""

from penstock_server.model.errors import Internal
from penstock_server.store.database import Connection
from penstock_server.store.statements import statements

_SQL = statements("specs")


async def insert(connection: Connection, digest: str, document: bytes) -> None:
    """Store the canonical `document` unless it is there."""
    await connection.execute(_SQL["insert"], {"digest": digest, "document": document})


async def get(connection: Connection, digest: str) -> bytes:
    """The canonical document of a digest that some row names."""
    row = await (await connection.execute(_SQL["get"], {"digest": digest})).fetchone()
    if row is None:
        raise Internal("INTERNAL", f"spec {digest} is missing")
    return bytes(row[0])
