"""What the page on schedules says is what happens."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from penstock_server.schedule import macros, time_formats
from penstock_server.schedule.triggers import Cron, Timetable

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "schedules.md").read_text()
NOON = datetime(2026, 1, 31, 9, tzinfo=UTC)
FACTS = macros.SlotFacts(NOON, NOON - timedelta(days=1), NOON, 1, NOON, "3f1c")


def rows(pattern: str, count: int) -> list[tuple[str, ...]]:
    found = [match.groups() for match in re.finditer(pattern, PAGE, re.MULTILINE)]
    assert len(found) == count
    return found


def test_the_words_stand_for_the_expressions_beside_them() -> None:
    for words, expression in rows(r"^\| (`@[a-z]+`(?:, `@[a-z]+`)*) \| `([^`]+)` \|$", 5):
        expected = Timetable(Cron(expression), NOON).between(NOON, NOON + timedelta(days=800), 50)
        for word in re.findall(r"@\w+", words):
            assert Timetable(Cron(word), NOON).between(NOON, NOON + timedelta(days=800), 50) == expected


def test_the_table_of_changed_clocks_is_right() -> None:
    spring, autumn = datetime(2026, 3, 8, 5, tzinfo=UTC), datetime(2026, 11, 1, 4, 45, tzinfo=UTC)
    for expression, *cells in rows(r"^\| `([^`]+)` \| (.*\d\d:\d\d.*) \| (.*\d\d:\d\d.*) \|$", 5):
        table = Timetable(Cron(expression, "America/New_York"), datetime(2000, 1, 1, tzinfo=UTC))
        for day, cell in zip((spring, autumn), cells, strict=True):
            told = re.findall(r"\d\d:\d\d", re.sub(r"\(.*?\)", "", cell))
            slots = [f"{slot:%H:%M}" for slot in table.between(day, day + timedelta(hours=5), 100)]
            assert " ".join(told) in " ".join(slots)


def test_macros_become_what_stands_beside_them() -> None:
    for macro, written in rows(r"^\| `(\S*\$\{slot\.\S+[@:]\S+)` \| `([^`]+)` \|$", 3):
        assert macros.expand({"p": macro}, FACTS, numeric=frozenset()) == {"p": written}


def test_the_directives_and_bounds_are_told() -> None:
    ((directives,),) = rows(r"The directives of a format are `([^`]*)`", 1)
    assert sorted(directives.split()) == sorted(time_formats.DIRECTIVES.split())
    assert f"{macros.WRITTEN_MAX // 2:,}\ncharacters" in PAGE
