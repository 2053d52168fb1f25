"""The filter language of lists (AIP-160), read into the store's questions.

    filter      = [sequence {"AND" sequence}]
    sequence    = factor {factor}                 two terms side by side are joined by AND
    factor      = term {"OR" term}                OR binds tighter than AND
    term        = ["NOT" | "-"] simple
    simple      = "(" filter ")" | field operator value
    field       = word {"." key}
    operator    = "=" | "!=" | "<" | "<=" | ">" | ">=" | ":"
    value, key  = "quoted", 'quoted' or a bare word

No Python library that we found reads it and is kept up, so this is ours: one pass, bounded in length, depth
and number of comparisons, and whatever is wrong is told with its position. A value is only ever a value.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from penstock_server.api.filter_values import ListFields, check_field, comparison
from penstock_server.model.errors import FieldViolation, InvalidArgument
from penstock_server.model.query import And, Filter, Not, Operator, Or

_T = TypeVar("_T")

LENGTH_MAX = 4_096
DEPTH_MAX = 16
COMPARISONS_MAX = 64

_SPACE = re.compile(r"[ \t\r\n]*")
_FIELD = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_KEY = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_/-]*")
_OPERATOR = re.compile(r"!=|<=|>=|=|<|>|:")
_VALUE = re.compile(r"[^\s(),\"']+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED: Mapping[str, str] = {"n": "\n", "t": "\t", "r": "\r"}


def parse_filter(text: str, fields: ListFields) -> Filter | None:
    """The question that `text` asks of a list with these `fields`; None when it is empty.

    Raises InvalidArgument INVALID_FILTER, whose message points at the place.
    """
    if len(text) > LENGTH_MAX:
        raise _wrong(f"is longer than {LENGTH_MAX} characters; ask for less at a time")
    return _Parser(text, fields).read()


@dataclass(slots=True)
class _Parser:
    text: str
    fields: ListFields
    position: int = 0
    depth: int = 0
    comparisons: int = 0

    def read(self) -> Filter | None:
        self._skip_space()
        if self._at_end():
            return None
        found = self._expression()
        if not self._at_end():
            raise self._error("expected AND, OR or another comparison")
        return found

    def _expression(self) -> Filter:
        terms = [self._sequence()]
        while self._take_word("AND"):
            terms.append(self._sequence())
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def _sequence(self) -> Filter:
        factors = [self._factor()]
        while not (self._at_end() or self._sees(")") or self._sees_word("AND")):
            factors.append(self._factor())
        return factors[0] if len(factors) == 1 else And(tuple(factors))

    def _factor(self) -> Filter:
        terms = [self._term()]
        while self._take_word("OR"):
            terms.append(self._term())
        return terms[0] if len(terms) == 1 else Or(tuple(terms))

    def _term(self) -> Filter:
        if self._take_word("NOT") or self._take("-"):
            return Not(self._simple())
        return self._simple()

    def _simple(self) -> Filter:
        start = self.position
        if not self._take("("):
            return self._comparison()
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise self._error(f"nests deeper than {DEPTH_MAX} parentheses", start)
        inner = self._expression()
        if not self._take(")"):
            raise self._error("this parenthesis is never closed", start)
        self.depth -= 1
        return inner

    def _comparison(self) -> Filter:
        start = self.position
        self.comparisons += 1
        if self.comparisons > COMPARISONS_MAX:
            raise self._error(f"holds more than {COMPARISONS_MAX} comparisons", start)
        field = self._field()
        self._located(start, lambda: check_field(self.fields, field))
        operator = self._match(_OPERATOR)
        if operator is None:
            raise self._error(f"expected one of = != < <= > >= : after '{field}'")
        self._skip_space()
        value_start = self.position
        quoted, value = self._value()
        return self._located(
            value_start, lambda: comparison(self.fields, field, Operator(operator), value, quoted=quoted)
        )

    def _field(self) -> str:
        word = self._match(_FIELD, skip_space=False)
        if word is None:
            raise self._error("expected the name of a field")
        parts = [word]
        while self.text.startswith(".", self.position):
            self.position += 1
            part = self._quoted()
            if part is None:
                part = self._match(_KEY, skip_space=False)
            if part is None:
                raise self._error("expected a key after the dot; quote it if it holds other than letters")
            parts.append(part)
        self._skip_space()
        return ".".join(parts)

    def _value(self) -> tuple[bool, str]:
        """Whether the value was quoted, and the value."""
        quoted = self._quoted()
        if quoted is not None:
            self._skip_space()
            return True, quoted
        bare = self._match(_VALUE)
        if bare is None:
            raise self._error("expected a value")
        return False, bare

    def _quoted(self) -> str | None:
        if not self.text.startswith(('"', "'"), self.position):
            return None
        found = _QUOTED.match(self.text, self.position)
        if found is None:
            raise self._error("this quote is never closed")
        self.position = found.end()
        body: str = found[1] if found[1] is not None else found[2]
        return _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), body)

    def _at_end(self) -> bool:
        return self.position >= len(self.text)

    def _sees(self, symbol: str) -> bool:
        return self.text.startswith(symbol, self.position)

    def _take(self, symbol: str) -> bool:
        if not self._sees(symbol):
            return False
        self.position += len(symbol)
        self._skip_space()
        return True

    def _sees_word(self, word: str) -> bool:
        end = self.position + len(word)
        return self._sees(word) and (end >= len(self.text) or self.text[end] in " \t\r\n()-\"'")

    def _take_word(self, word: str) -> bool:
        return self._sees_word(word) and self._take(word)

    def _match(self, pattern: re.Pattern[str], *, skip_space: bool = True) -> str | None:
        found = pattern.match(self.text, self.position)
        if found is None:
            return None
        self.position = found.end()
        if skip_space:
            self._skip_space()
        return found[0]

    def _skip_space(self) -> None:
        found = _SPACE.match(self.text, self.position)
        self.position = found.end() if found else self.position

    def _located(self, position: int, read: Callable[[], _T]) -> _T:
        try:
            return read()
        except ValueError as error:
            raise self._error(str(error), position) from None

    def _error(self, what: str, position: int | None = None) -> InvalidArgument:
        at = self.position if position is None else position
        near = self.text[at : at + 20]
        place = f"near '{near}'" if near else "at the end"
        return _wrong(f"at position {at + 1}, {place}: {what}")


def _wrong(description: str) -> InvalidArgument:
    return InvalidArgument(
        "INVALID_FILTER", f"filter {description}", violations=[FieldViolation("filter", description)]
    )
