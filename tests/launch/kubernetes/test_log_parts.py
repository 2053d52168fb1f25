"""What the names of parts say, and which of them make a log."""

import pytest

from penstock_server.launch.kubernetes.logs.parts import LogPart, StoredLog, chain, part_of
from penstock_server.launch.kubernetes.logs.stamped import Position

WHOLE = Position(1_764_136_552_162_434_623, 1)
CUT = Position(1_764_136_559_169_669_984, 2, 11)


def part(offset: int, size: int, fence: int = 1, position: Position | None = WHOLE) -> LogPart:
    return LogPart(offset, fence, size, position)


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (part(0, 5), "000000000000000-1-1764136552162434623-1-all"),
        (part(1_048_631, 5, 7, CUT), "000000001048631-7-1764136559169669984-2-11"),
        (part(12, 0, 9, None), "000000000000012-9-end"),
    ],
)
def test_a_name_says_all_of_a_part(made: LogPart, name: str) -> None:
    assert made.name == name
    assert part_of(name, made.size_bytes) == made


@pytest.mark.parametrize("name", ["", "log", "0-1-end", "000000000000000-1-x", "000000000000000-1-5-1-all.tmp"])
def test_other_names_are_of_no_part(name: str) -> None:
    assert part_of(name, 5) is None


def test_names_are_in_the_order_of_the_log() -> None:
    parts = [part(offset, 5) for offset in (0, 5, 1_000, 99_999, 10**12)]
    assert sorted(each.name for each in parts) == [each.name for each in parts]


CHAINS: list[tuple[str, list[LogPart], list[LogPart]]] = [
    ("nothing", [], []),
    ("the beginning is missing", [part(5, 5)], []),
    ("each continues the one before", [part(5, 5), part(0, 5)], [part(0, 5), part(5, 5)]),
    ("one is missing", [part(0, 5), part(7, 5)], [part(0, 5)]),
    ("nothing follows the last", [part(0, 5, 1, None), part(5, 5)], [part(0, 5, 1, None)]),
    ("an empty last one", [part(0, 5), part(5, 0, 1, None)], [part(0, 5), part(5, 0, 1, None)]),
    ("an empty one says nothing", [part(0, 0)], []),
    ("the newer server's", [part(0, 5), part(5, 9), part(5, 3, 2)], [part(0, 5), part(5, 3, 2)]),
    (
        "a server that slept adds nothing to what its successor has stored",
        [part(0, 5), part(5, 3, 2), part(5, 4), part(8, 5), part(9, 5, 1, None)],
        [part(0, 5), part(5, 3, 2)],
    ),
    (
        "of two that go on for the same server the one with the end",
        [part(0, 9), part(0, 5, 1, None)],
        [part(0, 5, 1, None)],
    ),
    ("else the longer", [part(0, 5), part(0, 9)], [part(0, 9)]),
]


@pytest.mark.parametrize(("found", "made"), [each[1:] for each in CHAINS], ids=[each[0] for each in CHAINS])
def test_parts_make_a_log(found: list[LogPart], made: list[LogPart]) -> None:
    assert chain(found) == StoredLog(tuple(made))
    assert chain(reversed(found)) == StoredLog(tuple(made))


def test_a_stored_log_says_where_it_goes_on() -> None:
    log = StoredLog((part(0, 5), part(5, 3, 2, CUT)))
    assert (log.size_bytes, log.fence, log.position, log.is_complete) == (8, 2, CUT, False)
    assert log.plus(part(8, 0, 2, None)).is_complete
    assert (StoredLog().size_bytes, StoredLog().position, StoredLog().is_complete) == (0, None, False)


@pytest.mark.parametrize(("offset", "first"), [(0, 0), (4, 0), (5, 5), (7, 5), (8, None), (99, None)])
def test_the_parts_behind_an_offset(offset: int, first: int | None) -> None:
    found = StoredLog((part(0, 5), part(5, 3))).since(offset)
    assert (found[0].offset if found else None) == first
