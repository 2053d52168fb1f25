"""A gRPC client made of nothing but what a server says of itself: its descriptors, read by reflection."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc.aio
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest, ServerReflectionResponse
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub


class Reflected:
    """Calls services of one package by the names of their methods, with messages as JSON."""

    def __init__(self, channel: grpc.aio.Channel, pool: DescriptorPool, package: str) -> None:
        self._channel = channel
        self._pool = pool
        self._package = package

    async def call(self, method: str, request: dict[str, Any]) -> Any:
        """What `Service/Method` answers. Raises AioRpcError."""
        service, _, name = method.partition("/")
        of = self._pool.FindServiceByName(f"{self._package}.{service}").methods_by_name[name]
        rpc: grpc.aio.UnaryUnaryMultiCallable[Message, Message] = self._channel.unary_unary(
            f"/{self._package}.{service}/{name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(of.output_type).FromString,
        )
        message = ParseDict(request, GetMessageClass(of.input_type)(), descriptor_pool=self._pool)
        answer = await rpc(message)
        return MessageToDict(answer, preserving_proto_field_name=True, descriptor_pool=self._pool)

    def methods(self, service: str) -> set[str]:
        """The names of a service's methods."""
        return set(self._pool.FindServiceByName(f"{self._package}.{service}").methods_by_name)


async def services_of(channel: grpc.aio.Channel) -> list[str]:
    """The full names of all services."""
    (answer,) = [each async for each in _ask(channel, ServerReflectionRequest(list_services=""))]
    return [service.name for service in answer.list_services_response.service]


async def reflected(channel: grpc.aio.Channel, package: str) -> Reflected:
    """A client of the services of a package, in a pool that has nothing from elsewhere."""
    files: dict[str, FileDescriptorProto] = {}
    for service in await services_of(channel):
        if service.rpartition(".")[0] == package:
            await _read(channel, ServerReflectionRequest(file_containing_symbol=service), files)
    pool = DescriptorPool()
    added: set[str] = set()
    for name in files:
        _add(pool, files, name, added)
    return Reflected(channel, pool, package)


async def _read(
    channel: grpc.aio.Channel, request: ServerReflectionRequest, files: dict[str, FileDescriptorProto]
) -> None:
    """The files that the request asks for, and those that they import, among `files`."""
    async for answer in _ask(channel, request):
        for content in answer.file_descriptor_response.file_descriptor_proto:
            file = FileDescriptorProto.FromString(content)
            files[file.name] = file
            for name in file.dependency:
                if name not in files:
                    await _read(channel, ServerReflectionRequest(file_by_filename=name), files)


def _add(pool: DescriptorPool, files: Mapping[str, FileDescriptorProto], name: str, added: set[str]) -> None:
    """Add a file to the pool, behind those that it imports."""
    if name in added:
        return
    added.add(name)
    for needed in files[name].dependency:
        _add(pool, files, needed, added)
    pool.AddSerializedFile(files[name].SerializeToString())


def _ask(channel: grpc.aio.Channel, request: ServerReflectionRequest) -> AsyncIterator[ServerReflectionResponse]:
    return aiter(ServerReflectionStub(channel).ServerReflectionInfo(iter([request])))
