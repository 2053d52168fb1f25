"""How long an HTTP caller waits, as its headers say."""

import math
import re
import time
from collections.abc import Mapping

from penstock_server.model.errors import InvalidArgument

_GRPC = re.compile(r"(\d{1,8})([HMSmun])")
_CONNECT = re.compile(r"\d{1,10}")
_UNIT_S = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


def expiry(headers: Mapping[str, str]) -> float | None:
    """When the caller stops waiting, on the clock of `time.monotonic`; None: never.

    Read from `Grpc-Timeout` and `Connect-Timeout-Ms`, the shorter one when both are given.
    Raises InvalidArgument INVALID_TIMEOUT.
    """
    timeout_s = math.inf
    if (text := headers.get("grpc-timeout")) is not None:
        found = _GRPC.fullmatch(text)
        if found is None:
            raise _wrong("Grpc-Timeout", "a number and one of H, M, S, m, u, n, as in 5S")
        timeout_s = int(found[1]) * _UNIT_S[found[2]]
    if (text := headers.get("connect-timeout-ms")) is not None:
        if not _CONNECT.fullmatch(text):
            raise _wrong("Connect-Timeout-Ms", "a number of milliseconds")
        timeout_s = min(timeout_s, int(text) / 1000)
    return None if math.isinf(timeout_s) else time.monotonic() + timeout_s


def _wrong(header: str, right: str) -> InvalidArgument:
    return InvalidArgument("INVALID_TIMEOUT", f"the header {header} has to be {right}")
