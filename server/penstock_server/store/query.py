"""Pages of lists: a filter and an order of `model.query`, made into SQL over one table of known columns.

Values always travel as parameters, and names come only from the list's own table, so nothing that a user
writes becomes part of a statement.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Generic, LiteralString, TypeVar

from psycopg import sql
from psycopg.rows import dict_row

from penstock_server.model.query import (
    And,
    Comparison,
    FieldType,
    Filter,
    Not,
    Operator,
    Or,
    Order,
    Page,
    Rows,
    Scalar,
)
from penstock_server.store.database import Connection

T = TypeVar("T")
Row = Mapping[str, object]

_COMPARE: Mapping[Operator, LiteralString] = {
    Operator.EQUAL: "=",
    Operator.LESS: "<",
    Operator.LESS_EQUAL: "<=",
    Operator.GREATER: ">",
    Operator.GREATER_EQUAL: ">=",
}


_EQUALITIES = (Operator.EQUAL, Operator.NOT_EQUAL)
NEVER = datetime(9999, 12, 31, tzinfo=UTC)
"""Stands for a time that has not come, so that rows without it have a place in an order: after all others."""


@dataclass(frozen=True, slots=True)
class Column:
    """What a field of a filter stands for."""

    type: FieldType
    expression: LiteralString
    orderable: bool = False
    order_by: LiteralString = ""
    """What to order by where an index holds something else than `expression`, in the same order. Never null.

    Of a column that is ordered by one of its keys, as `metric.loss` is, the value of the key `%(order_key)s`.
    """
    equal_to: LiteralString = ""
    """`expression = {0}` for a text that is not empty, in a form that an index answers."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Rows that are counted beforehand, by some of their columns."""

    select: LiteralString
    """`SELECT sum(...) FROM ... WHERE ...` to which conditions are added with AND; it names the scope of the list."""
    columns: Mapping[str, Column]
    """What can be told apart. They hold for the list's rows as the list's own columns of these names do."""

    def tells(self, condition: Filter | None) -> bool:
        """True where `condition` asks for nothing else."""
        match condition:
            case None:
                return True
            case And(terms) | Or(terms):
                return all(map(self.tells, terms))
            case Not(term):
                return self.tells(term)
            case Comparison():
                return condition.field in self.columns


def never(_condition: Filter | None) -> bool:
    """Each statement is planned for its very values: which index is the right one depends on how rare they are."""
    return False


def always(_condition: Filter | None) -> bool:
    """Of a list with few rows: whatever way they are found is a short one."""
    return True


def unfiltered(condition: Filter | None) -> bool:
    """Without a filter it is the order that says which index is the right one."""
    return condition is None


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A list that can be filtered, ordered and paged."""

    select: LiteralString
    """`SELECT columns FROM ... WHERE ...` to which conditions are added with AND. It may name `%(order_key)s`: the key
    that a page is ordered by, null for all else."""
    columns: Mapping[str, Column]
    key: LiteralString
    """The column that makes any order total."""
    default_order: tuple[Order, ...]
    read: Callable[[Row], T]
    position: Callable[[T, str], object]
    """The value that an orderable field, or the key, orders an item by."""
    tally: Tally | None = None
    prepared: Callable[[Filter | None], bool] = never
    """Whether pages with a filter, or without, are asked for by a prepared statement."""

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """The fields of filters and what their values are read as."""
        return {name: column.type for name, column in self.columns.items()}

    @property
    def orders(self) -> frozenset[str]:
        """The fields of orders."""
        return frozenset(name for name, column in self.columns.items() if column.orderable)

    async def page(
        self, connection: Connection, page: Page, scope: Mapping[str, object], *, with_total: bool = False
    ) -> Rows[T]:
        """The rows of `page`; `scope` are the parameters that `select` names. `with_total`: how many rows there are on
        all pages as well, where the tally tells it."""
        order = page.order or self.default_order
        parameters: dict[str, object] = {**scope, "limit": page.size + 1, "order_key": _order_key(order)}
        statement = self._statement(page, order, parameters)
        if with_total and (tallied := self._tallied(page.filter, parameters)):
            # The rows stay in their order: nothing is done to them. The total is worked out once.
            statement = sql.SQL("SELECT page.*, ({}) AS total FROM ({}) AS page").format(tallied, statement)
        async with connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(statement, parameters, prepare=None if self.prepared(page.filter) else False)
            rows = await cursor.fetchall()
        totals = [row.pop("total", None) for row in rows]
        items = tuple(self.read(row) for row in rows[: page.size])
        more = len(rows) > page.size
        return Rows(items, self._position(order, items[-1]) if more else None, totals[0] if totals else None)

    async def count(self, connection: Connection, condition: Filter | None, scope: Mapping[str, object]) -> int:
        """How many rows there are on all pages."""
        parameters = {**scope, "order_key": None}
        statement = self._counting(condition, parameters)
        row = await (await connection.execute(statement, parameters, prepare=False)).fetchone()
        assert row is not None
        return int(row[0])

    def _counting(self, condition: Filter | None, parameters: dict[str, object]) -> sql.Composed:
        """The statement for the number of rows; the values it names are put among the parameters."""
        if tallied := self._tallied(condition, parameters):
            return tallied
        selected = _selected(self.select, self.columns, condition, parameters)
        return sql.SQL("SELECT count(*) FROM ({}) AS selected").format(selected)

    def _tallied(self, condition: Filter | None, parameters: dict[str, object]) -> sql.Composed | None:
        """The statement for the number of rows, where the tally tells it."""
        if self.tally is None or not self.tally.tells(condition):
            return None
        return _selected(self.tally.select, self.tally.columns, condition, parameters)

    def _statement(self, page: Page, order: Sequence[Order], parameters: dict[str, object]) -> sql.Composed:
        """The statement for a page; the values it names are put among the parameters."""
        keys = self._keys(order)
        selected = _selected(self.select, self.columns, page.filter, parameters)
        if page.after is not None:
            selected = sql.SQL("{} AND {}").format(selected, _behind(keys, page.after, parameters))
        by = sql.SQL(", ").join(sql.SQL("{} DESC" if down else "{}").format(key) for key, down in keys)
        return sql.SQL("{} ORDER BY {} LIMIT %(limit)s").format(selected, by)

    def _keys(self, order: Sequence[Order]) -> "list[_Key]":
        """What the rows are ordered by, each with whether it descends; the list's own key is the last."""
        columns = [(self.columns[o.field.partition(".")[0]], o.descending) for o in order]
        named = [(sql.SQL(column.order_by or column.expression), down) for column, down in columns]
        return [*named, (sql.SQL(self.key), order[-1].descending)]

    def _position(self, order: Sequence[Order], item: T) -> tuple[Scalar, ...]:
        names = [*(o.field for o in order), self.key.rpartition(".")[2]]
        return tuple(_scalar(self.position(item, name)) for name in names)


_Key = tuple[sql.SQL, bool]


def _order_key(order: Sequence[Order]) -> str | None:
    """The key of the first field that has one."""
    return next((key for _, dot, key in (each.field.partition(".") for each in order) if dot), None)


def _selected(
    select: LiteralString,
    columns: Mapping[str, Column],
    condition: Filter | None,
    parameters: dict[str, object],
) -> sql.Composed:
    """`select` with `condition` added; the values that it names are put among the parameters."""
    if condition is None:
        return sql.Composed([sql.SQL(select)])
    return sql.SQL("{} AND {}").format(sql.SQL(select), _Where(columns, parameters).of(condition))


def _behind(keys: Sequence[_Key], after: Sequence[Scalar], parameters: dict[str, object]) -> sql.Composable:
    """The rows behind `after` in the order: a row comparison, or its spelling-out where directions differ."""
    parameters |= {f"after_{index}": value for index, value in enumerate(after)}
    values = [sql.Placeholder(f"after_{index}") for index in range(len(keys))]
    if len({down for _, down in keys}) == 1:
        than = sql.SQL("<" if keys[0][1] else ">")
        left, right = sql.SQL(", ").join(key for key, _ in keys), sql.SQL(", ").join(values)
        return sql.SQL("({}) {} ({})").format(left, than, right)
    terms: list[sql.Composable] = []
    for index, (key, down) in enumerate(keys):
        pairs = zip(keys[:index], values, strict=False)
        equal = [sql.SQL("{} = {}").format(other, value) for (other, _), value in pairs]
        beyond = sql.SQL("{} < {}" if down else "{} > {}").format(key, values[index])
        terms.append(sql.SQL("({})").format(sql.SQL(" AND ").join([*equal, beyond])))
    return sql.SQL("({})").format(sql.SQL(" OR ").join(terms))


class _Where:
    """Makes conditions, and puts their values among the parameters."""

    def __init__(self, columns: Mapping[str, Column], parameters: dict[str, object]) -> None:
        self._columns = columns
        self._parameters = parameters

    def of(self, condition: Filter) -> sql.Composable:
        match condition:
            case And(terms):
                return self._joined(" AND ", terms)
            case Or(terms):
                return self._joined(" OR ", terms)
            case Not(term):
                return sql.SQL("({} IS NOT TRUE)").format(self.of(term))
            case Comparison():
                return sql.SQL("({})").format(self._comparison(condition))

    def _joined(self, word: LiteralString, terms: Sequence[Filter]) -> sql.Composable:
        return sql.SQL("({})").format(sql.SQL(word).join(self.of(term) for term in terms))

    def _comparison(self, comparison: Comparison) -> sql.Composable:
        head, dot, key = comparison.field.partition(".")
        column = self._columns.get(comparison.field)
        if column is None and dot:
            return self._label(sql.SQL(self._columns[head].expression), key, comparison)
        assert column is not None, comparison.field
        expression = sql.SQL(column.expression)
        if column.type is FieldType.MAP:
            if comparison.value == "*":
                return sql.SQL("{} <> '{{}}'").format(expression)
            return sql.SQL("{} ? {}").format(expression, self._value(comparison.value))
        if column.equal_to and comparison.operator in _EQUALITIES and _is_whole(comparison):
            equal = sql.SQL(column.equal_to).format(self._value(comparison.value))
            return equal if comparison.operator is Operator.EQUAL else sql.SQL("({}) IS NOT TRUE").format(equal)
        return self._plain(expression, column.type, comparison)

    def _plain(self, expression: sql.Composable, kind: FieldType, comparison: Comparison) -> sql.Composable:
        operator, value = comparison.operator, comparison.value
        if operator is Operator.NOT_EQUAL:
            equal = self._plain(expression, kind, replace(comparison, operator=Operator.EQUAL))
            return sql.SQL("({}) IS NOT TRUE").format(equal)
        if operator is Operator.HAS:
            return self._has(expression, kind, comparison)
        if kind is FieldType.TEXT and operator is Operator.EQUAL and _wildcard(comparison):
            return sql.SQL("{} LIKE {}").format(expression, self._value(_pattern(str(value))))
        compare = sql.SQL(_COMPARE[operator])
        return sql.SQL("{} {} {}").format(expression, compare, self._value(value))

    def _has(self, expression: sql.Composable, kind: FieldType, comparison: Comparison) -> sql.Composable:
        value = comparison.value
        if value != "*" or comparison.literal:
            contains = sql.SQL("strpos(lower({}), lower({})) > 0")
            return contains.format(expression, self._value(value))
        if kind in (FieldType.TEXT, FieldType.ENUM):
            return sql.SQL("{} <> ''").format(expression)
        return sql.SQL("{} IS NOT NULL").format(expression)

    def _label(self, labels: sql.Composable, key: str, comparison: Comparison) -> sql.Composable:
        """A label compared as text; equality in the form that the index on labels answers."""
        operator, value = comparison.operator, comparison.value
        if operator is Operator.EQUAL and not _wildcard(comparison):
            return sql.SQL("{} @> {}::jsonb").format(labels, self._value(json.dumps({key: value})))
        if operator is Operator.HAS and value == "*":
            return sql.SQL("{} ? {}").format(labels, self._value(key))
        expression = sql.SQL("({} ->> {}::text)").format(labels, self._value(key))
        return self._plain(expression, FieldType.TEXT, comparison)

    def _value(self, value: object) -> sql.Composable:
        name = f"filter_{len(self._parameters)}"
        self._parameters[name] = value
        return sql.Placeholder(name)


def _is_whole(comparison: Comparison) -> bool:
    """True for a text that stands for itself and is not empty."""
    return comparison.value != "" and not _wildcard(comparison)


def _wildcard(comparison: Comparison) -> bool:
    value = comparison.value
    return not comparison.literal and isinstance(value, str) and (value.startswith("*") or value.endswith("*"))


def _pattern(value: str) -> str:
    """A LIKE pattern for text with `*` at either end; nothing else in it is special."""
    inner = value.strip("*").replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return ("%" if value.startswith("*") else "") + inner + ("%" if value.endswith("*") else "")


def _scalar(value: object) -> Scalar:
    if value is None or isinstance(value, str | int | float | bool | datetime):
        return value
    return str(value)
