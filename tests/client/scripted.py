"""A small server in this process that gives scripted answers, made of the generated servicer classes."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from penstock.v1 import (
    experiment_service_pb2_grpc,
    job_service_pb2_grpc,
    kfp_import_service_pb2_grpc,
    namespace_service_pb2_grpc,
    pipeline_service_pb2_grpc,
    run_service_pb2_grpc,
    server_service_pb2_grpc,
)

Answer = Callable[[Any, grpc.ServicerContext], Any]
SERVICES = (
    (experiment_service_pb2_grpc.ExperimentServiceServicer, experiment_service_pb2_grpc),
    (job_service_pb2_grpc.JobServiceServicer, job_service_pb2_grpc),
    (kfp_import_service_pb2_grpc.KfpImportServiceServicer, kfp_import_service_pb2_grpc),
    (namespace_service_pb2_grpc.NamespaceServiceServicer, namespace_service_pb2_grpc),
    (pipeline_service_pb2_grpc.PipelineServiceServicer, pipeline_service_pb2_grpc),
    (run_service_pb2_grpc.RunServiceServicer, run_service_pb2_grpc),
    (server_service_pb2_grpc.ServerServiceServicer, server_service_pb2_grpc),
)


class ScriptedServer:
    """Answers each method as the test says and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[Any] = []
        self.metadata: list[dict[str, str | bytes]] = []
        self.address = ""
        self._waiting: list[Event] = []

    def on(self, method: str, answer: Answer | Message) -> None:
        """Let `method` answer a message, or as a function of request and context does."""
        self.answers[method] = answer if callable(answer) else lambda request, context: answer

    def cancellation(self) -> Event:
        """An event for answers to wait for; set at the latest when the server stops."""
        self._waiting.append(Event())
        return self._waiting[-1]

    def requests_of(self, kind: type[Message]) -> list[Any]:
        """The requests of one type, in the order in which they came."""
        return [request for request in self.requests if isinstance(request, kind)]

    @contextmanager
    def serving(self) -> Iterator["ScriptedServer"]:
        """Listen on loopback: on a free port the first time, later on the same one."""
        server = grpc.server(ThreadPoolExecutor(max_workers=8))
        for base, module in SERVICES:
            name = base.__name__
            getattr(module, f"add_{name}_to_server")(self._servicer(base), server)
        self.address = f"127.0.0.1:{server.add_insecure_port(self.address or '127.0.0.1:0')}"
        server.start()
        try:
            yield self
        finally:
            stopped = server.stop(grace=None)
            for event in self._waiting:
                event.set()
            stopped.wait()

    def _servicer(self, base: type) -> object:
        methods = [name for name in vars(base) if not name.startswith("_")]
        return type("Scripted", (base,), {name: self._method(name) for name in methods})()

    def _method(self, name: str) -> Callable[..., Any]:
        def method(_: object, request: Message, context: grpc.ServicerContext) -> Any:
            self.requests.append(request)
            self.metadata.append(dict(context.invocation_metadata()))
            answer = self.answers.get(name)
            if answer is None:
                return fail(context, grpc.StatusCode.UNIMPLEMENTED, "NOT_SCRIPTED", f"no script for {name}")
            return answer(request, context)

        return method


def fail(
    context: grpc.ServicerContext,
    code: grpc.StatusCode,
    reason: str,
    message: str = "it went wrong",
    *,
    domain: str = "penstock.dev",
    violations: dict[str, str] | None = None,
    retry_delay_s: float | None = None,
    metadata: dict[str, str] | None = None,
) -> Any:
    """Abort as the server does: with a google.rpc.Status that has ErrorInfo and the other details."""
    details: list[Message] = [error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata)]
    if violations:
        bad_request = error_details_pb2.BadRequest()
        for field, description in violations.items():
            bad_request.field_violations.add(field=field, description=description, reason="INVALID_FIELD")
        details.append(bad_request)
    if retry_delay_s is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(retry_delay_s * 1000))
        details.append(retry)
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    context.abort_with_status(rpc_status.to_status(status))


def cut(context: grpc.ServicerContext) -> Any:
    """End a call as a lost connection does: without a word from the server."""
    context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
