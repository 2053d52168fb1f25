"""Errors as HTTP answers, in the shape of AIP-193: `{"error": {"code", "message", "status", "details"}}`."""

import json
import math
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.rpc.code_pb2 import Code
from starlette.responses import Response

from penstock_server.model.errors import PenstockError, Unimplemented
from penstock_server.rpc.errors import to_status
from penstock_server.rpc.reasons import http_status

JSON_TYPE = "application/json"


def error_document(error: PenstockError) -> dict[str, Any]:
    """The error as a JSON object."""
    status = to_status(error)
    return {
        "error": {
            "code": http_status(error),
            "message": status.message,
            "status": Code.Name(status.code),
            "details": [MessageToDict(detail) for detail in status.details],
        }
    }


def error_reply(error: PenstockError) -> Response:
    """The answer for `error`."""
    content = json.dumps(error_document(error), ensure_ascii=False).encode()
    reply = Response(content, http_status(error), media_type=JSON_TYPE)
    if error.retry_after_s is not None:
        reply.headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    return reply


def method_refused(allowed: frozenset[str]) -> Response:
    """The path is served, but not for this HTTP method."""
    listed = ", ".join(sorted(allowed))
    reply = error_reply(Unimplemented("METHOD_NOT_ALLOWED", f"this path takes {listed}"))
    reply.headers["Allow"] = listed
    return reply
