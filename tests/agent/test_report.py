"""The report of an attempt: what the agent writes is what the server reads, by either way."""

import os

import pytest

from penstock_agent.report import (
    MESSAGE_BYTES_MAX,
    ReportError,
    ReportPlace,
    StepReport,
    StoredContent,
    message_of,
    read_message,
)

EMPTY = StepReport("run/train/1")
FULL = StepReport(
    attempt="run/train/1",
    executor_output='{"parameterValues": {"x": "ü\\n"}}',
    parameters={"accuracy": "0.5", "empty": "", "ü": "\0\r\n"},
    stored={"s3://b/r/model": StoredContent("sha256:00", 7)},
    faults=("the file of parameter x is a pipe",),
)
PLACE = ReportPlace("s3://b/with a space/.penstock/report.json", "sha256:11")


@pytest.mark.parametrize("report", [EMPTY, FULL], ids=["empty", "full"])
def test_a_report_is_read_as_it_was_written(report: StepReport) -> None:
    assert StepReport.from_json(report.to_json()) == report
    assert read_message(message_of(report.to_json(), PLACE)) == report


def test_a_report_that_is_too_long_for_the_message_is_told_of() -> None:
    report = FULL._replace(parameters={"noise": os.urandom(4096).hex()})
    message = message_of(report.to_json(), PLACE)
    assert len(message) < 200
    assert read_message(message) == PLACE


def test_an_ordinary_report_fits() -> None:
    report = EMPTY._replace(
        executor_output='{"artifacts": {'
        + ",".join(f'"metrics{i}": {{"uri": "/penstock/{i}"}}' for i in range(50))
        + "}}",
        stored={f"s3://bucket/run/train/1/metrics{i}": StoredContent(f"sha256:{i:064x}", i) for i in range(50)},
    )
    message = message_of(report.to_json(), PLACE)
    assert len(message) <= MESSAGE_BYTES_MAX
    assert read_message(message) == report


@pytest.mark.parametrize("message", ["", "the store did not answer", "{}"])
def test_other_messages_are_no_reports(message: str) -> None:
    assert read_message(message) is None


@pytest.mark.parametrize(
    "message", ["penstock report: !", "penstock report: eJw=", "penstock report: eJyLjgUAARUAuQ=="]
)
def test_a_broken_report_is_refused(message: str) -> None:
    with pytest.raises(ReportError):
        read_message(message)
