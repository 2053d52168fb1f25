"""Runs that callers make: macros in their parameters."""

import uuid
from datetime import UTC, datetime

import pytest

from penstock_server.engine.graphs import Graphs
from penstock_server.engine.new_runs import NewRuns
from penstock_server.engine.run_requests import NewRunRequest
from penstock_server.model.errors import InvalidArgument
from penstock_server.schedule.macros import SlotFacts
from penstock_server.spec.document import Document
from penstock_server.store import runs
from penstock_server.store.database import Database
from tests import pipelines

NOW = datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC)


def facts() -> SlotFacts:
    return SlotFacts(None, None, None, None, NOW, str(uuid.uuid4()))


def request(text: str, given: SlotFacts | None, literals: list[str] | None = None) -> NewRunRequest:
    pipeline = pipelines.chain(1, "true")
    declared = {"parameterType": "STRING"} | ({"literals": literals} if literals else {})
    pipeline["root"]["inputDefinitions"] = {"parameters": {"text": declared}}
    return NewRunRequest(
        "default",
        f"run-{uuid.uuid4()}",
        Document(pipeline),
        parameters={"text": text},
        facts=given,
        parameters_field="run.runtime_config.parameters",
    )


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("at [[CurrentTime]]", "at 20260301123005"),
        ("[[CurrentTime.2006-01-02]]", "2026-03-01"),
        ("[[ScheduledTime]] [[Index]]", "[[ScheduledTime]] [[Index]]"),
    ],
)
async def test_macros_write_what_is_known_of_a_run_that_a_caller_makes(
    database: Database, text: str, written: str
) -> None:
    made, _ = await NewRuns(database, Graphs()).create_run(request(text, facts()))
    assert made.parameters == {"text": written}


async def test_the_uid_that_macros_write_is_the_run_s(database: Database) -> None:
    made, _ = await NewRuns(database, Graphs()).create_run(request("[[RunUUID]]", facts()))
    assert made.parameters == {"text": str(made.uid)}
    async with database.connection() as connection:
        assert (await runs.get(connection, "default", made.id)).parameters == made.parameters


async def test_without_facts_macros_stay(database: Database) -> None:
    made, _ = await NewRuns(database, Graphs()).create_run(request("[[RunUUID]]", None))
    assert made.parameters == {"text": "[[RunUUID]]"}


async def test_what_macros_write_is_what_is_checked(database: Database) -> None:
    new_runs = NewRuns(database, Graphs())
    made, _ = await new_runs.create_run(request("[[CurrentTime.2006]]", facts(), ["2026"]))
    assert made.parameters == {"text": "2026"}
    with pytest.raises(InvalidArgument) as refused:
        await new_runs.create_run(request("[[CurrentTime.2006]]", facts(), ["2027"]))
    assert [violation.field for violation in refused.value.violations] == ["run.runtime_config.parameters.text"]
