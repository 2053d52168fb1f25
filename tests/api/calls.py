"""Calls as tests make them."""

from collections.abc import Awaitable

import grpc
import grpc.aio
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status


class Refusal:
    """How a call was refused."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        self.code = error.code()
        self.status = Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
        self.fields: list[str] = []
        self.reason = ""
        self.retry_after_s: float | None = None
        for detail in self.status.details:
            info, bad, retry = ErrorInfo(), BadRequest(), RetryInfo()
            if detail.Unpack(info):
                self.reason = info.reason
            if detail.Unpack(retry):
                self.retry_after_s = retry.retry_delay.ToMilliseconds() / 1000
            if detail.Unpack(bad):
                self.fields = [violation.field for violation in bad.field_violations]


async def refusal(call: Awaitable[object]) -> Refusal:
    """How `call` is refused; fails when it is not."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return Refusal(raised.value)


async def reason(call: Awaitable[object]) -> str:
    """The reason with which `call` is refused."""
    return (await refusal(call)).reason
