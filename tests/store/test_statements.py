"""Every statement in `store/sql` is one that the real schema takes."""

import re

import pytest

from penstock_server.store.database import Database
from penstock_server.store.statements import aggregates, statements

NAMED = [(aggregate, name) for aggregate in aggregates() for name in statements(aggregate)]


def as_prepared(statement: str) -> str:
    """The statement with numbered parameters; one that a list adds conditions to gets its end."""
    numbers: dict[str, int] = {}
    text = re.sub(r"%\((\w+)\)s", lambda found: f"${numbers.setdefault(found[1], len(numbers) + 1)}", statement)
    return text if text.rstrip().endswith(";") else f"{text} ORDER BY 1 LIMIT 1"


@pytest.mark.parametrize("aggregate", aggregates())
async def test_the_schema_takes_every_statement(database: Database, aggregate: str) -> None:
    async with database.connection() as connection:
        for name, statement in statements(aggregate).items():
            await connection.execute(f"PREPARE {name}_probe AS {as_prepared(statement)}".encode())


@pytest.mark.parametrize(("aggregate", "name"), NAMED)
def test_the_statement_says_what_it_is_for(aggregate: str, name: str) -> None:
    first_line = statements(aggregate)[name].splitlines()[0]
    assert re.fullmatch(r"-- [A-Z].+", first_line)
