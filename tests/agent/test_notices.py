"""What stages say in their logs, and what is found there."""

import threading

import pytest

from penstock_agent import notices
from penstock_agent.notices import last_notice, say, telling

WAIT_S = 30


@pytest.mark.parametrize(
    ("log", "found"),
    [
        ("", None),
        ("penstock: STORE_UNREACHABLE: no answer: none\n", ("STORE_UNREACHABLE", "no answer: none")),
        ("penstock: A: b\npenstock: C: d\n", ("C", "d")),
        ("penstock: A: b\npenstock: the agent failed: C: d\n", None),
        ("penstock: A: b\nunable to retrieve container logs for containerd://1", None),
        ("A: b", None),
    ],
)
def test_the_last_line_of_a_log_may_be_a_notice(log: str, found: tuple[str, str] | None) -> None:
    assert last_notice(log) == found


def test_what_is_said_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    say("A", "one\ntwo")
    assert last_notice(capsys.readouterr().err) == ("A", "one two")


def test_what_takes_long_is_told_while_it_does(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "FIRST_S", 0.01)
    was_asked = threading.Event()

    def so_far() -> str:
        was_asked.set()
        return "3 MB so far"

    with telling("A", so_far):
        assert was_asked.wait(WAIT_S)
    assert last_notice(capsys.readouterr().err) == ("A", "3 MB so far")


def test_what_does_not_take_long_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    with telling("A", lambda: "never"):
        pass
    assert capsys.readouterr().err == ""
