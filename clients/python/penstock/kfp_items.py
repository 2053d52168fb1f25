"""Reading single resources as KFP tells them, and what became of one."""

import uuid
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Protocol

from penstock.errors import PenstockError
from penstock.kfp_host import Listed, Resource
from penstock.kfp_results import Kind, Outcome, Result
from penstock.v1.kfp_import_service_pb2 import ImportRecurringRunResponse

_OF_ONE = frozenset(
    {"INVALID_ARGUMENT", "ALREADY_EXISTS", "FAILED_PRECONDITION", "NOT_FOUND", "UNIMPLEMENTED", "RESOURCE_EXHAUSTED"}
)
"""Codes that say something of the one resource, and not of the server."""
_OF_ALL = frozenset({"NAMESPACE_NOT_FOUND"})

_IDS = {
    Kind.EXPERIMENTS: "experiment_id",
    Kind.PIPELINES: "pipeline_id",
    Kind.VERSIONS: "pipeline_version_id",
    Kind.SCHEDULES: "recurring_run_id",
    Kind.RUNS: "run_id",
}


class Answer(Protocol):
    """A response of the server."""

    @property
    def name(self) -> str: ...
    @property
    def is_new(self) -> bool: ...
    @property
    def notes(self) -> Iterable[str]: ...


def batches(listed: Iterable[Listed], size: int) -> Iterator[list[Listed]]:
    """The items, so many at a time."""
    items = iter(listed)
    while batch := list(islice(items, size)):
        yield batch


def id_of(kind: Kind, item: Resource) -> str:
    """KFP's id."""
    return text(item, _IDS[kind])


def uuids(kind: Kind, batch: Iterable[Listed]) -> list[str]:
    """The ids that are such as KFP's are: the others are nowhere here."""
    return [id for id in (id_of(kind, listed.item) for listed in batch) if _is_uuid(id)]


def result_of(kind: Kind, listed: Listed, name: str, take: Callable[[Resource], Answer], within: str = "") -> Result:
    """Take it over, unless it is here under `name`. Raises PenstockError for what says nothing of this one resource."""
    if name:
        return told(kind, listed, Outcome.THERE, within, name=name)
    try:
        answer = take(listed.item)
    except PenstockError as error:
        if error.code.name not in _OF_ONE or error.reason in _OF_ALL:
            raise
        why = (error.message, *(f"{each.field}: {each.description}" for each in error.violations[1:]))
        return told(kind, listed, Outcome.LEFT_OUT, within, reason=error.reason or error.code.name, notes=why)
    outcome = Outcome.MADE if answer.is_new else Outcome.THERE
    enabled = isinstance(answer, ImportRecurringRunResponse) and answer.is_enabled
    return told(kind, listed, outcome, within, name=answer.name, notes=tuple(answer.notes), enabled=enabled)


def told(
    kind: Kind,
    listed: Listed,
    outcome: Outcome,
    within: str = "",
    *,
    name: str = "",
    reason: str = "",
    notes: tuple[str, ...] = (),
    enabled: bool = False,
) -> Result:
    """What became of an item; `within` stands before its title."""
    item = listed.item
    title = within + (text(item, "display_name") or text(item, "name"))
    return Result(kind, id_of(kind, item), title, outcome, name, reason, notes, listed.total, enabled)


def reference(item: Resource) -> tuple[str, str]:
    """KFP's ids of the pipeline and the version that something executes."""
    given = item.get("pipeline_version_reference")
    named = given if isinstance(given, dict) else {}
    return text(named, "pipeline_id"), text(named, "pipeline_version_id") or text(item, "pipeline_version_id")


def text(item: Resource, name: str) -> str:
    """A field that holds text; empty for none."""
    value = item.get(name)
    return value if isinstance(value, str) else ""


def _is_uuid(id: str) -> bool:
    try:
        return str(uuid.UUID(id)) == id.lower()
    except ValueError:
        return False
