"""How the services of one API speak JSON over HTTP: what differs from API to API, and nothing else.

A Service names its dialect where it is made (`service_of`); the gateway reads, writes and fails by it. gRPC, gRPC-Web
and Connect have one form for all.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.rpc.code_pb2 import Code

from penstock_server.model.errors import NotFound, PenstockError, Unimplemented
from penstock_server.rpc.errors import to_status
from penstock_server.rpc.proto_json import to_json
from penstock_server.rpc.reasons import http_status


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as HTTP tells it."""

    status: int
    document: Any
    """The body, as JSON."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """The conventions of one API."""

    prefix: str
    """Of the paths of this API; the longest one that fits says how an unknown path is answered."""
    write: Callable[[Message], bytes]
    """A response as JSON."""
    failure: Callable[[PenstockError], Failure]
    unknown_path: Callable[[str], PenstockError]
    """Why nothing is served under a path of this API."""
    wrong_method: Callable[[str, str], PenstockError]
    """Why a path of this API is not served for an HTTP method; the second argument names those that it takes."""
    lenient: bool = False
    """Read requests as gRPC's own gateway for Go does: query parameters that name no field, or one that the path or the
    body holds, are passed over, bodies that no one reads too, truth is also `True` or `1`, and a body is JSON whatever
    type it is said to be of: curl says of all it sends that it were a form."""


def _failure(error: PenstockError) -> Failure:
    status = to_status(error)
    told = {
        "code": http_status(error),
        "message": status.message,
        "status": Code.Name(status.code),
        "details": [MessageToDict(detail) for detail in status.details],
    }
    return Failure(http_status(error), {"error": told})


def _unknown_path(_path: str) -> NotFound:
    return NotFound("UNKNOWN_PATH", "nothing is served under this path; docs/guides/http.md tells what is")


def wrong_method(_path: str, taken: str) -> Unimplemented:
    """The path is served, but not for this HTTP method."""
    return Unimplemented("METHOD_NOT_ALLOWED", f"this path takes {taken}")


PENSTOCK = Dialect("/", to_json, _failure, _unknown_path, wrong_method)
"""Proto JSON in camelCase; errors in the shape of AIP-193: `{"error": {"code", "message", "status", "details"}}`."""


class Dialects:
    """Which dialect a path is answered in."""

    def __init__(self, dialects: Iterable[Dialect]) -> None:
        self._dialects = sorted({d.prefix: d for d in (PENSTOCK, *dialects)}.values(), key=lambda d: -len(d.prefix))

    def of(self, path: str) -> Dialect:
        """That with the longest prefix of `path`."""
        return next((dialect for dialect in self._dialects if path.startswith(dialect.prefix)), PENSTOCK)
