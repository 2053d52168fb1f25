"""A question for a page of a list, free of syntax and of SQL: the API parses into it, the store answers it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeAlias, TypeVar

T = TypeVar("T")

Scalar: TypeAlias = str | int | float | bool | datetime | None


class Operator(StrEnum):
    """Comparisons of AIP-160."""

    EQUAL = "="
    NOT_EQUAL = "!="
    LESS = "<"
    LESS_EQUAL = "<="
    GREATER = ">"
    GREATER_EQUAL = ">="
    HAS = ":"
    """On text: contains, ignoring case; on a map: has the key; `*`: is set."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`field operator value`; the field is documented and the value has the field's type."""

    field: str
    """As in the proto, such as `state`, `create_time`, `labels.team`, `labels`."""
    operator: Operator
    value: Scalar
    literal: bool = False
    """`*` in the value is a character like any other."""


@dataclass(frozen=True, slots=True)
class And:
    """All hold."""

    terms: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one holds."""

    terms: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """It does not hold."""

    term: "Filter"


Filter: TypeAlias = Comparison | And | Or | Not


class FieldType(StrEnum):
    """What a filter value for a field is read as."""

    TEXT = "TEXT"
    """No wildcards, except with `=`, where `*` at either end means any text."""
    ENUM = "ENUM"
    TIME = "TIME"
    NUMBER = "NUMBER"
    BOOLEAN = "BOOLEAN"
    MAP = "MAP"
    """`labels.key` is compared as text, `labels:key` asks for the key."""


@dataclass(frozen=True, slots=True)
class Order:
    """One key of an order."""

    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows of a list."""

    size: int
    """At least 1, at most 1,000."""
    filter: Filter | None = None
    order: tuple[Order, ...] = ()
    """Empty: the list's own order, newest first. The store adds the key that makes it total."""
    after: tuple[Scalar, ...] | None = None
    """Values of the order's keys and of the last key in the last row seen; None: from the start."""


@dataclass(frozen=True, slots=True)
class Rows(Generic[T]):
    """A page of rows."""

    items: tuple[T, ...]
    next: tuple[Scalar, ...] | None
    """What `Page.after` has to be for the next page; None when this one is the last."""
    total: int | None = None
    """How many rows there are on all pages; None where that was not asked for, or has to be counted."""
