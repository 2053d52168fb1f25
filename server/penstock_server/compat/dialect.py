"""KFP over REST: names as in the schema, defaults left out, errors as gRPC's gateway for Go wraps them.

An error is `{"code": gRPC's number, "message": ..., "details": [...]}`, whose first detail is a `google.rpc.Status`
with the message for people; KFP's clients read that one. Ours, such as ErrorInfo with the reason, follow it.
"""

from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from penstock.kfp.v2beta1 import healthz_pb2, run_pb2
from penstock_server.model.errors import NotFound, PenstockError, Unimplemented
from penstock_server.rpc.dialect import Dialect, Failure, wrong_method
from penstock_server.rpc.errors import codes, to_status
from penstock_server.rpc.json_writer import JsonWriter
from penstock_server.rpc.proto_json import dumps
from penstock_server.rpc.reasons import http_status

PREFIX = "/apis/"
_STATUS_TYPE = "type.googleapis.com/google.rpc.Status"
_WRITER = JsonWriter(schema_names=True, kept=[run_pb2.RunDetails.DESCRIPTOR.full_name])
_UPLOADS = ("/pipelines/upload", "/pipelines/upload_version")
_OLD_VERSIONS = ("/apis/v1beta1/", "/apis/v1alpha1/")


def write(message: Message) -> bytes:
    """A response; that of GetHealthz has all its fields, and two that the schema does not have."""
    if isinstance(message, healthz_pb2.GetHealthzResponse):
        return dumps(_healthz(message))
    return _WRITER.write(message)


def failure(error: PenstockError) -> Failure:
    """An error of a method."""
    status = to_status(error)
    told = {"@type": _STATUS_TYPE, "code": status.code, "message": status.message}
    details = [told, *(MessageToDict(detail) for detail in status.details)]
    return Failure(codes(error).http, {"code": status.code, "message": status.message, "details": details})


def plain_failure(error: PenstockError) -> Failure:
    """An error of an upload, of a log, of an artifact's content."""
    return Failure(http_status(error), {"error_message": error.message, "error_details": str(error)})


def unknown_path(path: str) -> PenstockError:
    """Paths of KFP 1.x are known, and served only where KFP 2.x still uses them."""
    if path.startswith(_OLD_VERSIONS):
        return _old(path)
    return NotFound("UNKNOWN_PATH", "nothing is served under this path; KFP's API is under /apis/v2beta1")


def _wrong_method(path: str, taken: str) -> PenstockError:
    """An old path that is served for reading only is no other than one that is not served."""
    return _old(path) if path.startswith(_OLD_VERSIONS) else wrong_method(path, taken)


def _old(path: str) -> PenstockError:
    instead = "/apis/v2beta1" + next((upload for upload in _UPLOADS if path.endswith(upload)), "")
    return Unimplemented("API_VERSION_UNSUPPORTED", f"this part of KFP's v1beta1 API is not served here; use {instead}")


def _healthz(message: healthz_pb2.GetHealthzResponse) -> dict[str, Any]:
    return {
        "commit_sha": "unknown",
        "tag_name": "unknown",
        "multi_user": message.multi_user,
        "pipeline_store": message.pipeline_store,
    }


KFP = Dialect(PREFIX, write, failure, unknown_path, _wrong_method, lenient=True)
