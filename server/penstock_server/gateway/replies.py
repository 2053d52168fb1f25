"""Errors as HTTP answers, in the dialect of the API that was asked."""

import math

from starlette.responses import Response

from penstock_server.model.errors import PenstockError
from penstock_server.rpc.dialect import PENSTOCK, Dialect, Failure
from penstock_server.rpc.proto_json import dumps

JSON_TYPE = "application/json"


def error_reply(error: PenstockError, dialect: Dialect = PENSTOCK) -> Response:
    """The answer for `error`."""
    return failure_reply(error, dialect.failure(error))


def failure_reply(error: PenstockError, failure: Failure) -> Response:
    """The answer for `error`, told as `failure`."""
    reply = Response(dumps(failure.document), failure.status, media_type=JSON_TYPE)
    if error.reason == "BODY_TOO_SLOW":
        reply.headers["Connection"] = "close"  # nobody reads the rest
    if error.retry_after_s is not None:
        reply.headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    return reply


def method_refused(path: str, allowed: frozenset[str], dialect: Dialect) -> Response:
    """The path is served, but not for this HTTP method."""
    listed = ", ".join(sorted(allowed))
    reply = error_reply(dialect.wrong_method(path, listed), dialect)
    reply.headers["Allow"] = listed
    return reply
