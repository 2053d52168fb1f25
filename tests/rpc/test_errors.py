"""Domain errors on the wire."""

import pytest
from google.rpc import code_pb2
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo

from penstock_server.model import errors
from penstock_server.model.errors import FieldViolation
from penstock_server.rpc.errors import CODES, STATUS_BYTES_MAX, codes, to_status


def every_error_class() -> list[type[errors.PenstockError]]:
    return errors.PenstockError.__subclasses__()


@pytest.mark.parametrize("kind", every_error_class())
def test_every_class_of_errors_has_its_codes(kind: type[errors.PenstockError]) -> None:
    assert kind in CODES
    assert codes(kind("SOME_REASON", "message")).rpc != code_pb2.OK


def test_a_subclass_is_told_as_its_nearest_known_base() -> None:
    class PipelineGone(errors.NotFound):
        """A not-found error of its own."""

    assert codes(PipelineGone("PIPELINE_NOT_FOUND", "gone")).rpc == code_pb2.NOT_FOUND


def test_reason_metadata_violations_and_delay_reach_the_details() -> None:
    status = to_status(
        errors.InvalidArgument(
            "INVALID_REQUEST",
            "name is wrong",
            metadata={"name": "x"},
            violations=[FieldViolation("run.name", "must not be x")],
            retry_after_s=1.5,
        )
    )
    info, retry, bad = ErrorInfo(), RetryInfo(), BadRequest()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(retry)
    assert status.details[2].Unpack(bad)
    assert (info.reason, info.domain, dict(info.metadata)) == (
        "INVALID_REQUEST",
        "penstock.dev",
        {"name": "x"},
    )
    assert retry.retry_delay.ToMilliseconds() == 1500
    assert bad.field_violations[0].field == "run.name"


def test_a_status_stays_small_and_keeps_the_first_violations() -> None:
    violations = [FieldViolation(f"field{n}", "wrong " * 200) for n in range(100)]
    status = to_status(errors.InvalidArgument("INVALID_SPEC", "ü%" * 10_000, violations=violations))
    bad = BadRequest()
    assert status.ByteSize() <= STATUS_BYTES_MAX + 200
    assert status.details[1].Unpack(bad)
    assert bad.field_violations[0].field == "field0"
    assert status.message.endswith("…")
