"""The journal of an attempt, and where its files lie."""

import os
from pathlib import Path

import pytest

from penstock_server.launch.journal import Journal, parse
from penstock_server.launch.scratch import Folders, file_name
from penstock_server.launch.verdicts import read_tail
from tests.launch.world import attempt_id


def test_a_journal_is_read_in_order() -> None:
    record = parse(b'launch {"fence": 1}\nlaunch {"fence": 2}\npid 7\nstop TIMED_OUT 12.5\nexit 143\nend {"a": 1}\n')
    assert (record.launch, record.pid, record.exit_code) == ({"fence": 2}, 7, 143)
    assert record.stop is not None
    assert (record.stop.reason, record.stop.uptime_s) == ("TIMED_OUT", 12.5)
    assert record.end == {"a": 1}


def test_a_stop_after_the_exit_changes_nothing() -> None:
    assert parse(b"pid 7\nexit 0\nstop STOPPED 12.5\n").stop is None


def test_the_first_stop_counts() -> None:
    stop = parse(b"pid 7\nstop TIMED_OUT 1.0\nstop STOPPED 2.0\n").stop
    assert stop is not None
    assert stop.reason == "TIMED_OUT"


@pytest.mark.parametrize("content", [b"exit 0", b"exit \n", b"exit zero\n", b"\0\0\0\n", b"\xff\n", b""])
def test_what_is_torn_or_foreign_does_not_count(content: bytes) -> None:
    record = parse(content)
    assert (record.exit_code, record.pid, record.end) == (None, None, None)


def test_only_one_has_the_lock(tmp_path: Path) -> None:
    one, other = Journal.open(str(tmp_path / "journal")), Journal.open(str(tmp_path / "journal"))
    assert one.lock()
    assert not other.lock()
    one.close()
    assert other.lock()
    other.close()


def test_who_has_the_journal_open_is_known(tmp_path: Path) -> None:
    journal = Journal.open(str(tmp_path / "journal"))
    assert journal.is_held_by(os.getpid())
    assert not journal.is_held_by(1 << 22)
    journal.close()


@pytest.mark.parametrize("text", ["..", ".", "", "a/b", "a\0b", "-x", "é", "x" * 300])
def test_odd_names_become_safe_and_stay_apart(text: str) -> None:
    name = file_name(text)
    assert Path(name).name == name
    assert len(name.encode()) < 130
    assert name != file_name(f"{text}'")


def test_plain_names_stay() -> None:
    assert file_name("outer.train-2_b") == "outer.train-2_b"


def test_forgetting_what_was_never_there_leaves_nothing(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    folders.prepare()
    folders.discard(folders.of(attempt_id()))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_tail_of_a_log_has_few_whole_lines(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"".join(b"line %d \xff\n" % number for number in range(10_000)))
    lines = read_tail(str(log)).splitlines()
    assert len(lines) == 20
    assert lines[-1] == "line 9999 \ufffd"
    log.write_text("x" * 10_000)
    assert len(read_tail(str(log))) == 4096
