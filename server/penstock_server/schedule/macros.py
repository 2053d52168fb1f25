"""Macros in the parameters of a job's runs: the time of the slot, what it covers, its number, the run's id.

Ours are `${slot.time}`, `${slot.start}`, `${slot.end}`, `${slot.index}`, `${run.uid}` and `${run.create_time}`; times
take a zone and a format, as in `${slot.time@Europe/Berlin:%Y-%m-%d}`, and `$${` writes `${`. Those of KFP mean what
they mean there. Everything is expanded in one pass: what a macro writes is never read as a macro.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from penstock_server.model.errors import FieldViolation, InvalidArgument
from penstock_server.model.json import Json
from penstock_server.schedule.go_layouts import laid_out
from penstock_server.schedule.time_formats import check_format, formatted, rfc3339
from penstock_server.schedule.zones import zone

WRITTEN_MAX = 256 * 1024
"""Characters that the macros of a run may write in all; `check` allows half of it."""
DEPTH_MAX = 100
"""Levels of lists and objects in a parameter."""

_VIOLATIONS_MAX = 50
_SHOWN_MAX = 80
_TIMES = frozenset({"slot.time", "slot.start", "slot.end", "run.create_time"})
_WORDS = frozenset({"slot.index", "run.uid"})
_MACRO = re.compile(
    r"(?P<escaped>\$\$\{)"
    r"|\$\{(?P<own>(?:slot|run)\.[^{}]*)(?P<closed>\}?)"
    r"|\[\[(?P<word>Index|RunUUID)\]\]"
    r"|\[\[(?P<laid_out>ScheduledTime|CurrentTime)(?:\.(?P<layout>[^\[\]]+))?\]\]"
    r"|\{\{\$\.(?P<formatted>scheduledTime|currentTime)\.strftime\((?P<quote>['\"])(?P<format>[^'\"{}]*)(?P=quote)\)\}\}"
)
_OWN = re.compile(r"(?P<name>[a-z_.]+)(?:@(?P<zone>[^:]*))?(?::(?P<format>.*))?\Z", re.DOTALL)
_NUMBERS = frozenset({"${slot.index}", "[[Index]]"})
_KFP_FORMAT = "%Y%m%d%H%M%S"


@dataclass(frozen=True, slots=True)
class SlotFacts:
    """What macros write. Macros of what is None stay as they are: a run that no job made has no slot."""

    scheduled_time: datetime | None
    interval_start: datetime | None
    """The slot before: what the run covers begins here."""
    interval_end: datetime | None
    """The slot itself."""
    index: int | None
    """1 for the job's first run, 2 for the second."""
    current_time: datetime
    """When the run is made."""
    run_uid: str


EXAMPLE = SlotFacts(
    scheduled_time=datetime(2026, 9, 30, 22, 59, 59, 999_999, tzinfo=UTC),
    interval_start=datetime(2026, 9, 30, 21, 59, 59, 999_999, tzinfo=UTC),
    interval_end=datetime(2026, 9, 30, 22, 59, 59, 999_999, tzinfo=UTC),
    index=10**9,
    current_time=datetime(2026, 9, 30, 22, 59, 59, 999_999, tzinfo=UTC),
    run_uid="00000000-0000-4000-8000-000000000000",
)
"""A Wednesday in September: nothing is longer when written out. With it a job's parameters are checked beforehand."""


def check(parameters: Mapping[str, Json], *, field: str = "run.parameters") -> None:
    """Raise InvalidArgument(INVALID_MACRO) naming each parameter with a wrong macro of ours, as `{field}.{name}`."""
    violations = []
    budget = WRITTEN_MAX // 2
    for name, value in parameters.items():
        try:
            expansion = _Expansion(EXAMPLE, budget, strict=True)
            expansion.value(value)
            budget = expansion.budget
        except ValueError as error:
            violations.append(FieldViolation(f"{field}.{name}", str(error), "INVALID_MACRO"))
    if violations:
        raise _refused(violations)


def expand(parameters: Mapping[str, Json], facts: SlotFacts, *, numeric: frozenset[str]) -> dict[str, Json]:
    """The parameters with the macros in all their strings, at any depth, written out.

    A parameter named in `numeric` whose whole text is the macro of the index becomes an integer. What is not known
    stays as it is. Raises InvalidArgument(INVALID_MACRO) when more than `WRITTEN_MAX` characters would be written.
    """
    expansion = _Expansion(facts, WRITTEN_MAX)
    expanded: dict[str, Json] = {}
    for name, value in parameters.items():
        try:
            number = facts.index if name in numeric and _is_index(value) else None
            expanded[name] = expansion.value(value) if number is None else number
        except ValueError as error:
            raise _refused([FieldViolation(f"run.parameters.{name}", str(error), "INVALID_MACRO")]) from None
    return expanded


def _is_index(value: Json) -> bool:
    return isinstance(value, str) and value in _NUMBERS


def _refused(violations: list[FieldViolation]) -> InvalidArgument:
    told = "; ".join(f"{violation.field}: {violation.description}" for violation in violations[:5])
    return InvalidArgument("INVALID_MACRO", told, violations=violations[:_VIOLATIONS_MAX])


class _Expansion:
    """One pass over the parameters of a run."""

    def __init__(self, facts: SlotFacts, budget: int, *, strict: bool = False) -> None:
        self.budget = budget
        """Characters that may still be written."""
        self._strict = strict
        """Whether a wrong macro of ours is an error."""
        self._words = {
            "slot.index": facts.index,
            "run.uid": facts.run_uid,
            "Index": facts.index,
            "RunUUID": facts.run_uid,
        }
        self._times = {
            "slot.time": facts.scheduled_time,
            "slot.start": facts.interval_start,
            "slot.end": facts.interval_end,
            "run.create_time": facts.current_time,
            "scheduledtime": facts.scheduled_time,
            "currenttime": facts.current_time,
        }

    def value(self, value: Json, depth: int = 0) -> Json:
        """`value` with its strings expanded. Raises ValueError."""
        if depth > DEPTH_MAX:
            raise ValueError(f"it is nested deeper than {DEPTH_MAX}")
        if isinstance(value, str):
            return _MACRO.sub(self._written, value)
        if isinstance(value, list):
            return [self.value(item, depth + 1) for item in value]
        if isinstance(value, Mapping):
            return {key: self.value(item, depth + 1) for key, item in value.items()}
        return value

    def _written(self, found: re.Match[str]) -> str:
        if found["escaped"]:
            return "${"
        text = self._macro(found)
        if text is None:
            return found[0]
        self.budget -= len(text)
        if self.budget < 0:
            raise ValueError(f"its macros write too much; {WRITTEN_MAX // 2} characters are allowed")
        return text

    def _macro(self, found: re.Match[str]) -> str | None:
        """What to write in its place; None to leave it as it is."""
        try:
            return self._own(found["own"], closed=bool(found["closed"])) if found["own"] else self._kfp(found)
        except ValueError as error:
            if self._strict and found["own"]:
                raise ValueError(f"the macro {found[0][:_SHOWN_MAX]!r} is wrong: {error}") from None
            return None

    def _own(self, macro: str, *, closed: bool) -> str | None:
        parts = _OWN.match(macro)
        if not closed:
            raise ValueError("it has no closing }; write $${ for a plain ${")
        if parts is None or parts["name"] not in _TIMES | _WORDS:
            raise ValueError(f"there are {', '.join(sorted(_TIMES | _WORDS))}; write $${{ for a plain ${{")
        name = parts["name"]
        if name in _TIMES:
            return _own_time(self._times[name], parts["zone"], parts["format"])
        if parts["zone"] is not None or parts["format"] is not None:
            raise ValueError(f"{name} takes neither a zone nor a format")
        return self._word(name)

    def _kfp(self, found: re.Match[str]) -> str | None:
        if found["word"]:
            return self._word(found["word"])
        time = self._times[(found["laid_out"] or found["formatted"]).lower()]
        if time is None:
            return None
        if found["formatted"]:
            return formatted(time.astimezone(UTC), found["format"])
        layout = found["layout"]
        return laid_out(time.astimezone(UTC), layout) if layout else formatted(time.astimezone(UTC), _KFP_FORMAT)

    def _word(self, name: str) -> str | None:
        word = self._words[name]
        return None if word is None else str(word)


def _own_time(time: datetime | None, zone_name: str | None, text: str | None) -> str | None:
    """Zone and format are checked whether or not there is a time."""
    place = UTC if zone_name is None else zone(zone_name)
    if text is not None:
        check_format(text)
    if time is None:
        return None
    local = time.astimezone(place)
    return rfc3339(local) if text is None else formatted(local, text)
