"""Domain errors as `google.rpc.Status`: the one table, used by every transport."""

from dataclasses import dataclass

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status

from penstock_server.model import errors

DOMAIN = "penstock.dev"
"""Of every ErrorInfo."""
MESSAGE_BYTES_MAX = 1_500
"""Of the message as a header carries it, percent-encoded."""
STATUS_BYTES_MAX = 3_500
"""Many peers refuse trailers of more than 8 KiB; what is left out then are the last violations."""
VIOLATION_CHARS_MAX = 400


@dataclass(frozen=True, slots=True)
class Codes:
    """How a class of errors is told on the wire."""

    rpc: int
    """Of `google.rpc.Code`."""
    http: int


CODES: dict[type[errors.PenstockError], Codes] = {
    errors.InvalidArgument: Codes(Code.INVALID_ARGUMENT, 400),
    errors.NotFound: Codes(Code.NOT_FOUND, 404),
    errors.AlreadyExists: Codes(Code.ALREADY_EXISTS, 409),
    errors.FailedPrecondition: Codes(Code.FAILED_PRECONDITION, 400),
    errors.Conflict: Codes(Code.ABORTED, 409),
    errors.ResourceExhausted: Codes(Code.RESOURCE_EXHAUSTED, 429),
    errors.Unimplemented: Codes(Code.UNIMPLEMENTED, 501),
    errors.Unavailable: Codes(Code.UNAVAILABLE, 503),
    errors.DeadlineExceeded: Codes(Code.DEADLINE_EXCEEDED, 504),
    errors.Unauthenticated: Codes(Code.UNAUTHENTICATED, 401),
    errors.PermissionDenied: Codes(Code.PERMISSION_DENIED, 403),
    errors.Internal: Codes(Code.INTERNAL, 500),
}


def codes(error: errors.PenstockError) -> Codes:
    """How `error` is told."""
    return codes_of(type(error))


def codes_of(kind: type[errors.PenstockError]) -> Codes:
    """How errors of the class `kind` are told: as the nearest of its bases that the table lists."""
    return next((CODES[base] for base in kind.__mro__ if base in CODES), CODES[errors.Internal])


def to_status(error: errors.PenstockError) -> Status:
    """`error` with ErrorInfo, BadRequest for violations, RetryInfo where repeating helps; bounded in size."""
    status = Status(code=codes(error).rpc, message=_cut_message(error.message))
    info = ErrorInfo(reason=error.reason, domain=DOMAIN)
    for key, value in error.metadata.items():
        info.metadata[key] = _cut(value, VIOLATION_CHARS_MAX)
    _add(status, info)
    if error.retry_after_s is not None:
        retry = RetryInfo()
        retry.retry_delay.FromMilliseconds(round(error.retry_after_s * 1000))
        _add(status, retry)
    if error.violations:
        _add(status, _bad_request(error, STATUS_BYTES_MAX - status.ByteSize()))
    return status


def _bad_request(error: errors.PenstockError, size_bytes_max: int) -> BadRequest:
    """As many violations as fit, the first ones; at least one."""
    request = BadRequest()
    for violation in error.violations:
        request.field_violations.add(
            field=_cut(violation.field, VIOLATION_CHARS_MAX),
            description=_cut(violation.description, VIOLATION_CHARS_MAX),
            reason=violation.reason,
        )
        if request.ByteSize() > size_bytes_max and len(request.field_violations) > 1:
            request.field_violations.pop()
            break
    return request


def _cut_message(message: str) -> str:
    size = 0
    for index, character in enumerate(message):
        size += 1 if " " <= character <= "~" and character != "%" else 3 * len(character.encode())
        if size > MESSAGE_BYTES_MAX - 9:  # room for the ellipsis
            return message[:index] + "…"
    return message


def _cut(text: str, chars_max: int) -> str:
    return text if len(text) <= chars_max else text[: chars_max - 1] + "…"


def _add(status: Status, detail: Message) -> None:
    packed = AnyMessage()
    packed.Pack(detail)
    status.details.append(packed)
