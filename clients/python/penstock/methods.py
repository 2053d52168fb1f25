"""The methods of the API, as the descriptors of the generated code tell them."""

from dataclasses import dataclass
from functools import cache

from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from google.protobuf.message import Message

from penstock.v1 import (
    experiment_service_pb2,
    job_service_pb2,
    kfp_import_service_pb2,
    namespace_service_pb2,
    pipeline_service_pb2,
    run_service_pb2,
    server_service_pb2,
)

SERVICE_FILES: tuple[FileDescriptor, ...] = (
    namespace_service_pb2.DESCRIPTOR,
    experiment_service_pb2.DESCRIPTOR,
    pipeline_service_pb2.DESCRIPTOR,
    run_service_pb2.DESCRIPTOR,
    job_service_pb2.DESCRIPTOR,
    server_service_pb2.DESCRIPTOR,
    kfp_import_service_pb2.DESCRIPTOR,
)


@dataclass(frozen=True, slots=True)
class Method:
    """One rpc."""

    service: str
    """Full name, such as `penstock.v1.RunService`."""
    name: str
    request_type: type[Message]
    response_type: type[Message]
    is_stream: bool
    reads_only: bool
    """Declared free of side effects, so that repeating it is always safe."""

    @property
    def path(self) -> str:
        """What the call is addressed to."""
        return f"/{self.service}/{self.name}"


def method_of(request: Message) -> Method:
    """The method that takes `request`. Every method has a request type of its own."""
    return _by_request()[request.DESCRIPTOR.full_name]


@cache
def all_methods() -> tuple[Method, ...]:
    """Every method of every service."""
    return tuple(
        _method(method)
        for file in SERVICE_FILES
        for service in file.services_by_name.values()
        for method in service.methods
    )


@cache
def _by_request() -> dict[str, Method]:
    return {method.request_type.DESCRIPTOR.full_name: method for method in all_methods()}


def _method(descriptor: MethodDescriptor) -> Method:
    level = descriptor.GetOptions().idempotency_level
    return Method(
        service=descriptor.containing_service.full_name,
        name=descriptor.name,
        request_type=message_factory.GetMessageClass(descriptor.input_type),
        response_type=message_factory.GetMessageClass(descriptor.output_type),
        is_stream=descriptor.server_streaming,
        reads_only=level == descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS,
    )
