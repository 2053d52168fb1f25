"""What schema and documentation say of the fields of lists is what lists take."""

import re
from pathlib import Path

import pytest

from penstock_server.api import (
    backfills,
    experiments,
    job_slots,
    jobs,
    namespaces,
    pipeline_versions,
    pipelines,
    run_tasks,
    runs,
)
from penstock_server.api.filter_values import ListFields

ROOT = Path(__file__).resolve().parent.parent.parent
LISTS = {
    "ListNamespaces": namespaces.FIELDS,
    "ListExperiments": experiments.FIELDS,
    "ListPipelines": pipelines.FIELDS,
    "ListPipelineVersions": pipeline_versions.FIELDS,
    "ListRuns": runs.FIELDS,
    "ListTasks": run_tasks.TASK_FIELDS,
    "ListEvents": run_tasks.EVENT_FIELDS,
    "ListJobs": jobs.FIELDS,
    "ListJobSlots": job_slots.FIELDS,
    "ListBackfills": backfills.FIELDS,
}
each_list = pytest.mark.parametrize(("method", "fields"), LISTS.items(), ids=list(LISTS))


def comments(method: str) -> str:
    """All comments of a request in the schema, as one line."""
    for path in ROOT.glob("proto/penstock/v1/*_service.proto"):
        found = re.search(rf"^message {method}Request {{$(.*?)^}}$", path.read_text(), re.DOTALL | re.MULTILINE)
        if found:
            return " ".join(re.findall(r"//(.*)", found[1])).replace("  ", " ")
    raise AssertionError(method)


def listed(text: str, before: str) -> set[str]:
    """The words in backquotes in the sentence after `before`."""
    sentence = re.split(r"\. |\(", text.partition(before)[2].partition("Fields:")[2])[0]
    return set(re.findall(r"`(\w+)`", sentence))


@each_list
def test_the_schema_names_the_fields_of_filters(method: str, fields: ListFields) -> None:
    assert listed(comments(method), "AIP-160") == set(fields.types)


@each_list
def test_the_schema_names_the_fields_of_orders(method: str, fields: ListFields) -> None:
    assert listed(comments(method), "AIP-132") == set(fields.orders)


@each_list
def test_the_documentation_names_the_fields(method: str, fields: ListFields) -> None:
    page = (ROOT / "docs" / "reference" / "filters.md").read_text()
    row = re.search(rf"^\| `{method}` \| (.*) \| (.*) \|$", page, re.MULTILINE)
    assert row is not None
    assert set(re.findall(r"`(\w+)`", row[1])) == set(fields.types)
    assert set(re.findall(r"`(\w+)`", row[2])) == set(fields.orders)
