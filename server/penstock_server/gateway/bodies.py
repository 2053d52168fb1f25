"""Bodies of requests have to come at a pace, so that callers who trickle hold neither memory nor anybody's turn."""

import asyncio
from dataclasses import dataclass

from starlette.types import Message, Receive

from penstock_server.model.errors import DeadlineExceeded


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast bodies have to come."""

    grace_s: float = 10.0
    """For any body, and what it takes longer than that has to go with its size:"""
    bytes_per_s_min: int = 16 * 1024


def paced(receive: Receive, pace: Pace) -> Receive:
    """`receive`, which raises DeadlineExceeded BODY_TOO_SLOW once the body is late.

    After the body nothing is timed: what is received then is that the caller has left.
    """
    allowed_s, whole = pace.grace_s, False
    began = asyncio.get_running_loop().time()

    async def next_message() -> Message:
        nonlocal allowed_s, whole
        if whole:
            return await receive()
        try:
            async with asyncio.timeout_at(began + allowed_s):
                message = await receive()
        except TimeoutError:
            raise _too_slow(pace) from None
        whole = message["type"] != "http.request" or not message.get("more_body", False)
        allowed_s += len(message.get("body", b"")) / pace.bytes_per_s_min
        return message

    return next_message


def _too_slow(pace: Pace) -> DeadlineExceeded:
    expected = f"after {pace.grace_s:g} s at least {pace.bytes_per_s_min} bytes are expected each second"
    return DeadlineExceeded("BODY_TOO_SLOW", f"the body came too slowly: {expected}")
