"""What a failed gRPC call says, turned into the exception of `penstock.errors` that callers catch."""

from typing import TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from penstock.errors import CLASSES, DOMAIN, CancelledError, FieldViolation, PenstockError

DetailT = TypeVar("DetailT", bound=Message)


def error_from(failed: grpc.RpcError) -> PenstockError:
    """The exception for a failed call, blocking or asyncio, with all that its details say."""
    code = failed.code()
    status = _details(failed)
    info = _unpack(status, error_details_pb2.ErrorInfo())
    ours = info is not None and info.domain == DOMAIN
    retry = _unpack(status, error_details_pb2.RetryInfo())
    bad_request = _unpack(status, error_details_pb2.BadRequest())
    return CLASSES.get(code.name, PenstockError)(
        code,
        failed.details() or f"the call ended with {code.name}",
        reason=info.reason if ours and info is not None else "",
        metadata=dict(info.metadata) if info is not None else {},
        violations=[_violation(field) for field in bad_request.field_violations] if bad_request else [],
        retry_after_s=retry.retry_delay.ToTimedelta().total_seconds() if retry else None,
    )


def closed() -> PenstockError:
    """The error of a call on a closed client; it has a reason, so that no stream is taken up again."""
    return CancelledError(grpc.StatusCode.CANCELLED, "the client is closed", reason="CLIENT_CLOSED")


def _details(failed: grpc.RpcError) -> status_pb2.Status:
    """The status with details; empty when there are none or a proxy rewrote the code and left the details."""
    try:
        status = rpc_status.from_call(failed)
    except ValueError:
        # Code or message of the call differ from the details': the call's own are shown, the details are
        # not ours.
        status = None
    return status if status is not None else status_pb2.Status()


def _unpack(status: status_pb2.Status, detail: DetailT) -> DetailT | None:
    """The first detail of the type of `detail`."""
    return next((detail for packed in status.details if packed.Unpack(detail)), None)


def _violation(field: error_details_pb2.BadRequest.FieldViolation) -> FieldViolation:
    return FieldViolation(field.field, field.description, field.reason)
