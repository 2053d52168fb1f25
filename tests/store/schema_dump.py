"""What `pg_dump` says of a schema, as `migrations/schema.sql` holds it.

`python -m tests.store.schema_dump` writes that file anew from the migrations.
"""

import asyncio
import subprocess
import tempfile
from pathlib import Path

from penstock_server.store import embedded
from penstock_server.store.migrations import migrate

FILE = Path(__file__).parents[2] / "migrations" / "schema.sql"
HEADER = """-- The schema that all migrations together make, as pg_dump tells it. Written by
-- `python -m tests.store.schema_dump`; a test compares it with what the migrations do.

"""
_NOISE = ("--", "SET ", "SELECT pg_catalog.set_config", "\\restrict", "\\unrestrict")


def schema_of(dsn: str) -> str:
    """The schema of a database: its statements, without what says nothing of it."""
    command = [embedded._binary("pg_dump"), "--schema-only", "--no-owner", "--no-privileges", f"--dbname={dsn}"]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    lines = [line for line in text.splitlines() if not line.startswith(_NOISE)]
    paragraphs = [part.strip("\n") for part in "\n".join(lines).split("\n\n") if part.strip()]
    return HEADER + "\n\n".join(paragraphs) + "\n"


async def write() -> None:
    """Migrate an empty database and write down what comes out."""
    with tempfile.TemporaryDirectory() as folder:
        postgres = embedded.EmbeddedPostgres(Path(folder))
        dsn = await postgres.start()
        try:
            await migrate(dsn)
            FILE.write_text(schema_of(dsn))
        finally:
            await postgres.close()


if __name__ == "__main__":
    asyncio.run(write())
