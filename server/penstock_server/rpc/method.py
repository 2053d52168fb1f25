"""Methods and services as plain values, so that gRPC, Connect and REST serve the very same handlers."""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from penstock_server.rpc.call import Call
from penstock_server.rpc.dialect import PENSTOCK, Dialect

UnaryHandler: TypeAlias = Callable[[Any, Call], Awaitable[Message]]
StreamHandler: TypeAlias = Callable[[Any, Call], AsyncGenerator[Message, None]]


@dataclass(frozen=True, slots=True)
class Method:
    """One rpc and what serves it. Handlers raise errors of `model.errors`."""

    full_name: str
    """As in a gRPC path, without the first slash: `penstock.v1.RunService/GetRun`."""
    descriptor: MethodDescriptor
    """Of the schema, with its options, such as `google.api.http`."""
    request_type: type[Message]
    response_type: type[Message]
    handler: UnaryHandler | StreamHandler
    """A StreamHandler when `streaming`, otherwise a UnaryHandler."""
    streaming: bool
    """The response is a stream."""
    reads_only: bool
    """Declared NO_SIDE_EFFECTS: repeating and caching are harmless."""

    @property
    def name(self) -> str:
        """The method's own name, such as `GetRun`."""
        return self.full_name.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the schema with a handler for each of its methods."""

    full_name: str
    """As in the schema: `penstock.v1.RunService`."""
    descriptor: ServiceDescriptor
    methods: Mapping[str, Method]
    """By their own names, in the schema's order."""
    dialect: Dialect = PENSTOCK
    """How its JSON looks over REST."""


def service_of(descriptor: ServiceDescriptor, *servicers: object, dialect: Dialect = PENSTOCK) -> Service:
    """The service whose method `GetRun` is served by the `get_run` of one of `servicers`, and so on.

    Raises TypeError when a method of the schema has no handler: no registered method answers "unimplemented".
    """
    methods = {method.name: _method(method, servicers) for method in descriptor.methods}
    return Service(descriptor.full_name, descriptor, methods, dialect)


def _method(descriptor: MethodDescriptor, servicers: Sequence[object]) -> Method:
    service, name = descriptor.containing_service.full_name, snake_case(descriptor.name)
    handlers = [getattr(servicer, name) for servicer in servicers if hasattr(servicer, name)]
    if len(handlers) != 1:
        raise TypeError(f"{service} needs one handler {name}, and has {len(handlers)}")
    return Method(
        full_name=f"{service}/{descriptor.name}",
        descriptor=descriptor,
        request_type=GetMessageClass(descriptor.input_type),
        response_type=GetMessageClass(descriptor.output_type),
        handler=handlers[0],
        streaming=descriptor.server_streaming,
        reads_only=descriptor.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS,
    )


def snake_case(name: str) -> str:
    """`GetRun` as `get_run`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
