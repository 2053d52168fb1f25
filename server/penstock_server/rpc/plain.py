"""Plain HTTP: what is served beside the schema, such as uploads of files and the text of logs.

A servicer makes PlainRoutes; Middleware wraps them as it wraps methods; the gateway serves them. Handlers know
nothing of the HTTP server.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from penstock_server.model.errors import PenstockError
from penstock_server.rpc.call import Call
from penstock_server.rpc.dialect import Failure


@dataclass(frozen=True, slots=True)
class PlainRequest:
    """A request."""

    variables: Mapping[str, str]
    """Of the path, decoded, by name."""
    query: Mapping[str, str]
    """The first value of each parameter, decoded."""
    content_type: str
    """The header as it came; empty without one."""
    body: AsyncIterator[bytes]
    """Read once, as it arrives; the handler bounds it."""


@dataclass(frozen=True, slots=True)
class PlainAnswer:
    """An answer that succeeds."""

    content: bytes | AsyncIterator[bytes]
    media_type: str


PlainHandler: TypeAlias = Callable[[PlainRequest, Call], Awaitable[PlainAnswer]]


@dataclass(frozen=True, slots=True)
class PlainRoute:
    """One path and what serves it."""

    full_name: str
    """What traces and metrics call it, in the form of an rpc: `kubeflow...PipelineService/UploadPipeline`."""
    http_method: str
    path: str
    """A template as those of `google.api.http`: `/apis/v1alpha1/runs/{run_id}/nodes/{node_id}/log`."""
    handler: PlainHandler
    """Raises errors of `model.errors`."""
    failure: Callable[[PenstockError], Failure]
    """How its errors are told."""
    time_max_s: float = 60.0
    """Until the answer begins; then DEADLINE_EXCEEDED."""
    streaming: bool = False
    """The answer goes on for as long as the caller listens."""
