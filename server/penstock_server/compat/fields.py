"""What the lists of KFP can be filtered and sorted by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Generic, TypeVar

from penstock_server.model.query import Comparison, Filter, Not, Operator
from penstock_server.store.query import Listing

T = TypeVar("T")

METRIC = "metric:"
"""Stands before the name of a metric."""


class Kind(Enum):
    """What a field is compared with."""

    TEXT = auto()
    TIME = auto()
    CHOICE = auto()
    """One of few words, such as a state. The words need not stand in any column."""
    TAGS = auto()
    """`tags.KEY`; only equal to a text."""
    METRICS = auto()
    """`metric:NAME`; only ordered by."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field, under one or more of KFP's names."""

    kind: Kind
    column: str
    """Of the Listing."""
    choices: Mapping[str, Filter] = field(default_factory=dict)
    """Of a CHOICE: each word, and which rows have it."""
    sortable: bool = True
    """The column can be ordered by."""
    then: tuple[str, ...] = ()
    """Columns that order what is equal in this one, so that an index answers."""


@dataclass(frozen=True, slots=True)
class KfpList(Generic[T]):
    """A list with the fields that KFP knows of it."""

    listing: Listing[T]
    fields: Mapping[str, Field]
    """By KFP's names, in lower case."""


def text(column: str, *, sortable: bool = True, then: tuple[str, ...] = ()) -> Field:
    """A field of text, also an id."""
    return Field(Kind.TEXT, column, sortable=sortable, then=then)


def time(column: str) -> Field:
    """A point in time."""
    return Field(Kind.TIME, column)


def choice(column: str, choices: Mapping[str, Filter], *, sortable: bool = True, then: tuple[str, ...] = ()) -> Field:
    """One of few words."""
    return Field(Kind.CHOICE, column, choices, sortable, then)


def tags(column: str = "tags") -> Field:
    """Labels."""
    return Field(Kind.TAGS, column, sortable=False)


def metrics(column: str = "metric") -> Field:
    """What the tasks of runs say of themselves in numbers."""
    return Field(Kind.METRICS, column)


def storage_states(archive_time: str = "archive_time") -> Mapping[str, Filter]:
    """The choices of `storage_state`, by the column that holds the time of archiving."""
    archived = Comparison(archive_time, Operator.HAS, "*")
    return {"AVAILABLE": Not(archived), "ARCHIVED": archived}
