"""What holds for every rpc."""

import asyncio
from collections.abc import AsyncIterable

import grpc
import grpc.aio
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from penstock.v1 import (
    experiment_service_pb2,
    job_service_pb2,
    namespace_service_pb2,
    pipeline_service_pb2,
    run_pb2,
    run_service_pb2,
    server_service_pb2,
)
from tests import factories
from tests.api.calls import refusal
from tests.api.conftest import Api

FILES = (
    namespace_service_pb2,
    experiment_service_pb2,
    pipeline_service_pb2,
    run_service_pb2,
    job_service_pb2,
    server_service_pb2,
)
METHODS = [
    method for file in FILES for service in file.DESCRIPTOR.services_by_name.values() for method in service.methods
]
NAMED = [
    method
    for method in METHODS
    if {"name", "parent"} & set(method.input_type.fields_by_name) or method.name.startswith("Update")
]


def call(api: Api, method: MethodDescriptor, request: Message) -> "asyncio.Future[object]":
    """Makes the call, of any method; a stream is asked for its first response."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    response_type = GetMessageClass(method.output_type)

    async def made() -> object:
        if method.server_streaming:
            stream: AsyncIterable[object] = api.channel.unary_stream(
                path, type(request).SerializeToString, response_type.FromString
            )(request)
            return await anext(aiter(stream))
        unary = api.channel.unary_unary(path, type(request).SerializeToString, response_type.FromString)
        return await unary(request)

    return asyncio.ensure_future(made())


def request_named(method: MethodDescriptor, name: str) -> Message:
    """A request whose name, or whose resource's, is `name`."""
    request = GetMessageClass(method.input_type)()
    if method.name.startswith("Update"):
        resource = method.input_type.fields[0].name
        getattr(request, resource).name = name
    else:
        field = "name" if "name" in method.input_type.fields_by_name else "parent"
        setattr(request, field, name)
    return request


def test_the_methods_are_there() -> None:
    assert len(METHODS) == 61
    assert len(NAMED) > 50


@pytest.mark.parametrize("name", ["garbage", "namespaces/../runs/x", "namespaces/a b"])
async def test_a_bad_name_is_refused_by_every_rpc(api: Api, name: str) -> None:
    for method in NAMED:
        refused = await refusal(call(api, method, request_named(method, name)))
        assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"), method.name
        assert refused.fields[0].rpartition(".")[2] in ("name", "parent"), method.name


async def test_without_the_database_every_rpc_is_unavailable(api: Api) -> None:
    await api.database.close()
    for method in METHODS:
        if method.name.startswith("Create") or method.name == "GetServerInfo":
            continue  # The one needs more than a name, the other no database.
        request = request_named(method, good_name(method)) if method in NAMED else empty(method)
        if isinstance(request, job_service_pb2.PreviewJobSlotsRequest):
            request.parent, request.name = "namespaces/default", "namespaces/default/jobs/j"
        refused = await refusal(call(api, method, request))
        assert (refused.code, refused.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE"), method.name
        assert refused.retry_after_s == 1.0


def empty(method: MethodDescriptor) -> Message:
    return GetMessageClass(method.input_type)()


def good_name(method: MethodDescriptor) -> str:
    """The name, or the parent, of nothing in particular."""
    is_child = "parent" in method.input_type.fields_by_name
    for kind, child, name in (
        ("PipelineVersion", "/pipelines/p", "/pipelines/p/versions/1"),
        ("Pipeline", "", "/pipelines/p"),
        ("Experiment", "", "/experiments/e"),
        ("Task", "/runs/r", "/runs/r/tasks/t"),
        ("Logs", "/runs/r", "/runs/r/tasks/t"),
        ("Event", "/runs/r", "/runs/r/events/1"),
        ("Run", "", "/runs/r"),
        ("Backfill", "/jobs/j", "/jobs/j/backfills/b"),
        ("PreviewJobSlots", "", ""),
        ("JobSlots", "/jobs/j", ""),
        ("Job", "", "/jobs/j"),
    ):
        if kind in method.name:
            return "namespaces/default" + (child if is_child else name)
    return "namespaces/default"


async def test_a_callers_deadline_ends_the_statement_in_the_database(api: Api) -> None:
    run = await factories.insert_run(api.database, id="one")
    asked = run_service_pb2.UpdateRunRequest(run=run_pb2.Run(name="namespaces/default/runs/one", description="x"))
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE run%'"
    async with api.database.transaction() as holder:
        await holder.execute("SELECT 1 FROM run WHERE uid = %s FOR UPDATE", [run.uid])
        update = asyncio.ensure_future(api.runs.UpdateRun(asked, timeout=1))
        async with api.database.connection() as other, asyncio.timeout(20):
            while (await (await other.execute(waiting)).fetchone()) == (0,) and not update.done():
                await other.execute("SELECT pg_sleep(0.01)")
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await update
            assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            while (await (await other.execute(waiting)).fetchone()) != (0,):
                await other.execute("SELECT pg_sleep(0.01)")
