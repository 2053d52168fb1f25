"""Going on in a log that the kubelet tells with times: each byte once, wherever it was left."""

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_server.launch.kubernetes.logs.stamped import (
    TOLERANCE_NS,
    NoLogError,
    Position,
    PositionLostError,
    StampedLog,
    stamp_ns,
)
from tests.launch.kubernetes.kubelet_log import START_NS, Written, stamp, told

SECOND_NS = 1_000_000_000


def written(*contents: bytes, apart_ns: int = SECOND_NS // 4) -> list[Written]:
    return [Written(START_NS + number * apart_ns, content) for number, content in enumerate(contents)]


def read(
    file: Iterable[Written], after: Position | None = None, size: int = 7, *, is_whole: bool = False
) -> tuple[bytes, Position | None]:
    """What is new after a place, read in pieces of a size, and the place behind it."""
    log = StampedLog(after)
    text = b"".join(told(file, after.since_s if after and not is_whole else 0))
    new = b"".join(log.feed(text[begin : begin + size]) for begin in range(0, len(text), size))
    log.end()
    return new, log.position


def test_times_are_taken_out_and_all_else_stays() -> None:
    file = written(
        b"one\n", b"\r10%\r20%\n", b"\n", bytes(range(128, 256)) + b"\n", b"part", b" of a line\n", b"no end"
    )
    content, position = read(file)
    assert content == b"".join(each.content for each in file)
    assert position == Position(file[-1].ns, 1, len(b"no end"))


def test_a_place_is_behind_the_last_line() -> None:
    file = written(b"one\n", b"two\n")
    assert read(file) == (b"one\ntwo\n", Position(file[1].ns, 1))
    assert read(file, Position(file[0].ns, 1)) == (b"two\n", Position(file[1].ns, 1))
    assert read(file, Position(file[1].ns, 1)) == (b"", Position(file[1].ns, 1))


def test_lines_of_one_time_are_counted() -> None:
    file = written(b"a\n", b"b\n", b"c\n", apart_ns=0)
    assert read(file)[1] == Position(START_NS, 3)
    assert read(file, Position(START_NS, 2)) == (b"c\n", Position(START_NS, 3))


def test_a_line_that_was_not_whole_goes_on() -> None:
    file = written(b"first", b", second", b", third\n", b"next\n")
    after = Position(START_NS, 1, len(b"first, s"))
    assert read(file, after)[0] == b"econd, third\nnext\n"


def test_the_rest_of_a_line_from_before_the_second_is_passed_over() -> None:
    file = written(b"long ago, ", b"and just now\n", b"a\n", b"b\n", apart_ns=5 * SECOND_NS)
    after = Position(file[2].ns, 1)
    assert not next(told(file[:2], after.since_s - 4)).startswith(stamp(file[1].ns))
    log = StampedLog(after)
    assert log.feed(b"".join(told(file, after.since_s - 4))) == b"b\n"


def test_lines_that_say_they_were_written_before_the_one_above_are_not_lost() -> None:
    file = [Written(START_NS + TOLERANCE_NS - 1, b"stdout\n"), Written(START_NS, b"stderr\n")]
    assert read(file, Position(file[0].ns, 1))[0] == b"stderr\n"
    assert read([*file, Written(START_NS + 5, b"more\n")], Position(START_NS, 1))[0] == b"more\n"


def test_a_place_that_was_rotated_away_is_lost() -> None:
    newer = written(b"new\n", apart_ns=0)
    with pytest.raises(PositionLostError):
        read(newer, Position(START_NS - 2 * TOLERANCE_NS, 1))
    with pytest.raises(PositionLostError):
        read(newer, Position(START_NS - 1, 1))
    with pytest.raises(PositionLostError):
        read([], Position(START_NS, 1))


def test_what_is_told_in_place_of_a_log_is_no_log() -> None:
    text = b"unable to retrieve container logs for containerd://0b2d6a9e"
    for after in (None, Position(START_NS, 1)):
        log = StampedLog(after)
        with pytest.raises(NoLogError):
            log.feed(text)
            log.end()
    log = StampedLog()
    log.feed(b"".join(told(written(b"one\n"))))
    with pytest.raises(NoLogError, match="too many open files"):
        log.feed(b"failed to create fsnotify watcher: too many open files")


def test_what_was_cut_off_in_a_time_is_told_again() -> None:
    log = StampedLog()
    text = b"".join(told(written(b"one\n", b"two\n")))
    assert log.feed(text[:-10]) == b"one\n"
    log.end()
    assert log.position == Position(START_NS, 1)


@pytest.mark.parametrize("zone", ["Z", "+00:00", "+05:30", "-11:00"])
def test_times_of_all_zones_are_understood(zone: str) -> None:
    hours = {"Z": 0, "+00:00": 0, "+05:30": 5.5, "-11:00": -11}[zone]
    found = stamp_ns(f"2026-11-26T05:55:52.162391369{zone} ".encode())
    assert found == stamp_ns(b"2026-11-26T05:55:52.162391369Z ") - int(hours * 3600) * SECOND_NS


def test_what_the_file_has_is_counted() -> None:
    file = written(b"one\n", b"two\n", b"three\n")
    log = StampedLog(Position(file[0].ns, 1))
    log.feed(b"".join(told(file)))
    assert log.passed_bytes == file[0].file_bytes
    assert log.new_bytes == sum(each.file_bytes for each in file[1:])


LINES = st.lists(
    st.tuples(
        st.sampled_from([b"a\n", b"\n", b"bb\n", b"part", b"\xff\x00", b"2026-11-26T05:55:52.162391369Z x\n"]),
        st.sampled_from([0, 1, SECOND_NS // 3, 3 * SECOND_NS, -(TOLERANCE_NS // 2)]),
    ),
    max_size=12,
)


@given(LINES, st.lists(st.integers(0, 12), max_size=4), st.integers(1, 60))
def test_whatever_is_written_and_whenever_it_is_read_each_byte_comes_once(
    lines: Sequence[tuple[bytes, int]], looks: list[int], size: int
) -> None:
    file, ns = [], START_NS
    for content, apart_ns in lines:
        file.append(Written(ns, content))
        if apart_ns:
            ns = max(ns + apart_ns, max(each.ns for each in file) - TOLERANCE_NS)
        while apart_ns and ns in {each.ns for each in file}:
            ns += 1  # lines of one time stand together
    found, position = b"", None
    for length in [*sorted(looks), len(file)]:
        try:
            new, position = read(file[:length], position, size)
        except PositionLostError:  # the rest of a line may look like a time
            new, position = read(file[:length], position, size, is_whole=True)
        found += new
    assert found == b"".join(each.content for each in file)
