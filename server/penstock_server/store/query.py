"""Pages of lists: a filter and an order of `model.query`, made into SQL over one table of known columns.

Values always travel as parameters, and names come only from the list's own table, so nothing that a user writes
becomes part of a statement.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
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


@dataclass(frozen=True, slots=True)
class Column:
    """What a field of a filter stands for."""

    type: FieldType
    expression: LiteralString
    orderable: bool = False
    """Never null, so that a page can begin after one of its values."""


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A list that can be filtered, ordered and paged."""

    select: LiteralString
    """`SELECT columns FROM ... WHERE ...` to which conditions are added with AND."""
    columns: Mapping[str, Column]
    key: LiteralString
    """The column that makes any order total."""
    default_order: tuple[Order, ...]
    read: Callable[[Row], T]
    position: Callable[[T, str], object]
    """The value of an orderable field, or of the key, in an item."""

    @property
    def fields(self) -> Mapping[str, FieldType]:
        """The fields of filters and what their values are read as."""
        return {name: column.type for name, column in self.columns.items()}

    @property
    def orders(self) -> frozenset[str]:
        """The fields of orders."""
        return frozenset(name for name, column in self.columns.items() if column.orderable)

    async def page(self, connection: Connection, page: Page, scope: Mapping[str, object]) -> Rows[T]:
        """The rows of `page`; `scope` are the parameters that `select` names."""
        order = page.order or self.default_order
        parameters: dict[str, object] = dict(scope)
        conditions: list[sql.Composable] = [sql.SQL(self.select)]
        if page.filter is not None:
            conditions.append(_Where(self.columns, parameters).of(page.filter))
        if page.after is not None:
            conditions.append(self._after(order, page.after, parameters))
        keys = [(sql.SQL(self.columns[o.field].expression), o.descending) for o in order]
        keys.append((sql.SQL(self.key), order[-1].descending))
        by = sql.SQL(", ").join(k + sql.SQL(" DESC" if down else "") for k, down in keys)
        statement = sql.SQL(" AND ").join(conditions) + sql.SQL(" ORDER BY ") + by + sql.SQL(" LIMIT %(limit)s")
        async with connection.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(statement, parameters | {"limit": page.size + 1})
            rows: Sequence[Row] = await cursor.fetchall()
        items = tuple(self.read(row) for row in rows[: page.size])
        more = len(rows) > page.size
        return Rows(items, self._position(order, items[-1]) if more else None)

    def _position(self, order: Sequence[Order], item: T) -> tuple[Scalar, ...]:
        return tuple(_scalar(self.position(item, name)) for name in [*(o.field for o in order), self.key.rpartition(".")[2]])

    def _after(
        self, order: Sequence[Order], after: Sequence[Scalar], parameters: dict[str, object]
    ) -> sql.Composable:
        """The rows behind `after` in the order: a row comparison, or its spelling-out where directions differ."""
        keys = [(self.columns[o.field].expression, o.descending) for o in order]
        keys.append((self.key, order[-1].descending))
        for index, value in enumerate(after):
            parameters[f"after_{index}"] = value
        values = [sql.Placeholder(f"after_{index}") for index in range(len(keys))]
        if len({down for _, down in keys}) == 1:
            left = sql.SQL(", ").join(sql.SQL(expression) for expression, _ in keys)
            than = sql.SQL(" < " if keys[0][1] else " > ")
            return sql.SQL("(") + left + sql.SQL(")") + than + sql.SQL("(") + sql.SQL(", ").join(values) + sql.SQL(")")
        terms: list[sql.Composable] = []
        for index, (expression, down) in enumerate(keys):
            equal = [sql.SQL(e) + sql.SQL(" = ") + v for (e, _), v in zip(keys[:index], values, strict=False)]
            beyond = sql.SQL(expression) + sql.SQL(" < " if down else " > ") + values[index]
            terms.append(sql.SQL("(") + sql.SQL(" AND ").join([*equal, beyond]) + sql.SQL(")"))
        return sql.SQL("(") + sql.SQL(" OR ").join(terms) + sql.SQL(")")


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
                return sql.SQL("(") + self.of(term) + sql.SQL(") IS NOT TRUE")
            case Comparison():
                return self._comparison(condition)

    def _joined(self, word: LiteralString, terms: Sequence[Filter]) -> sql.Composable:
        return sql.SQL("(") + sql.SQL(word).join(self.of(term) for term in terms) + sql.SQL(")")

    def _comparison(self, comparison: Comparison) -> sql.Composable:
        head, dot, key = comparison.field.partition(".")
        column = self._columns.get(comparison.field)
        if column is None and dot:
            return self._label(sql.SQL(self._columns[head].expression), key, comparison)
        assert column is not None, comparison.field
        expression = sql.SQL(column.expression)
        if column.type is FieldType.MAP:
            if comparison.value == "*":
                return expression + sql.SQL(" <> '{}'")
            return expression + sql.SQL(" ? ") + self._value(comparison.value)
        return self._plain(expression, column.type, comparison)

    def _plain(self, expression: sql.Composable, kind: FieldType, comparison: Comparison) -> sql.Composable:
        operator, value = comparison.operator, comparison.value
        if operator is Operator.HAS:
            if value == "*":
                empty = sql.SQL(" <> ''") if kind in (FieldType.TEXT, FieldType.ENUM) else sql.SQL(" IS NOT NULL")
                return sql.SQL("(") + expression + empty + sql.SQL(")")
            return sql.SQL("strpos(lower(") + expression + sql.SQL("), lower(") + self._value(value) + sql.SQL(")) > 0")
        if kind is FieldType.TEXT and isinstance(value, str) and (value.startswith("*") or value.endswith("*")):
            if operator in (Operator.EQUAL, Operator.NOT_EQUAL):
                like = sql.SQL("(") + expression + sql.SQL(" LIKE ") + self._value(_pattern(value)) + sql.SQL(")")
                return like if operator is Operator.EQUAL else like + sql.SQL(" IS NOT TRUE")
        if operator is Operator.NOT_EQUAL:
            return sql.SQL("(") + expression + sql.SQL(" IS DISTINCT FROM ") + self._value(value) + sql.SQL(")")
        return sql.SQL("(") + expression + sql.SQL(f" {_COMPARE[operator]} ") + self._value(value) + sql.SQL(")")

    def _label(self, labels: sql.Composable, key: str, comparison: Comparison) -> sql.Composable:
        """A label compared as text; equality in the form that the index on labels answers."""
        if comparison.operator is Operator.EQUAL and not str(comparison.value).endswith("*"):
            wanted = json.dumps({key: comparison.value})
            return sql.SQL("(") + labels + sql.SQL(" @> ") + self._value(wanted) + sql.SQL("::jsonb)")
        if comparison.operator is Operator.HAS and comparison.value == "*":
            return labels + sql.SQL(" ? ") + self._value(key)
        expression = sql.SQL("(") + labels + sql.SQL(" ->> ") + self._value(key) + sql.SQL("::text)")
        return self._plain(expression, FieldType.TEXT, comparison)

    def _value(self, value: object) -> sql.Composable:
        name = f"filter_{len(self._parameters)}"
        self._parameters[name] = value
        return sql.Placeholder(name)


def _pattern(value: str) -> str:
    """A LIKE pattern for text with `*` at either end; nothing else in it is special."""
    inner = value.strip("*").replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return ("%" if value.startswith("*") else "") + inner + ("%" if value.endswith("*") else "")


def _scalar(value: object) -> Scalar:
    if value is None or isinstance(value, str | int | float | bool | datetime):
        return value
    return str(value)
