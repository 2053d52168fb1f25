"""Logs: one form for ours and for those of libraries."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from penstock_server.main.logging import set_up_logging


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def test_events_are_json_lines_with_their_keys(stream: io.StringIO) -> None:
    set_up_logging("auto", "info", stream)
    structlog.get_logger("penstock.x").info("taken", run="r1", count=2)
    event = json.loads(stream.getvalue())
    assert (event["event"], event["run"], event["count"], event["level"]) == ("taken", "r1", 2, "info")
    assert event["logger"] == "penstock.x"
    assert event["timestamp"].endswith("Z")


def test_records_of_the_standard_library_take_the_same_way(stream: io.StringIO) -> None:
    set_up_logging("json", "info", stream)
    logging.getLogger("library").warning("told %s", "so", extra={"run": "r1", "data": b"x"})
    event = json.loads(stream.getvalue())
    assert (event["event"], event["run"], event["data"], event["level"]) == ("told so", "r1", "x", "warning")


def test_exceptions_stay_on_the_line(stream: io.StringIO) -> None:
    set_up_logging("json", "info", stream)
    structlog.get_logger("penstock").error("broken", exc_info=ValueError("why"))
    assert "ValueError: why" in json.loads(stream.getvalue())["exception"]


def test_people_get_text(stream: io.StringIO) -> None:
    set_up_logging("human", "info", stream)
    structlog.get_logger("penstock").info("taken", run="r1")
    assert "taken" in stream.getvalue()
    assert "run=r1" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_what_is_below_the_level_is_left_out(stream: io.StringIO) -> None:
    set_up_logging("json", "warning", stream)
    structlog.get_logger("penstock").info("quiet")
    logging.getLogger("uvicorn.error").info("quiet")
    assert stream.getvalue() == ""


def test_libraries_are_quiet_below_warnings(stream: io.StringIO) -> None:
    set_up_logging("json", "debug", stream)
    logging.getLogger("psycopg.pool").info("quiet")
    logging.getLogger("penstock").debug("loud")
    assert json.loads(stream.getvalue())["event"] == "loud"
