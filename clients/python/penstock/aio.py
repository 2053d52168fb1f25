"""The asyncio client: `penstock.aio.Client`, the twin of `penstock.Client`.

Its methods have the same names and parameters; those that return something return an awaitable of it, those
that iterate are async iterators.
"""

from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING

import grpc.aio

from penstock.asynchronous import AsynchronousDriver, open_channel
from penstock.channel import CALL_TIMEOUT_S, Target, check_token
from penstock.experiments import AsynchronousExperiments
from penstock.faces import Asynchronous
from penstock.jobs import AsynchronousJobs
from penstock.kfp_imports import AsynchronousKfpImports
from penstock.namespaces import AsynchronousNamespaces
from penstock.pipelines import AsynchronousPipelines
from penstock.running import RunningMethods
from penstock.runs import AsynchronousRuns
from penstock.scheduling import SchedulingMethods
from penstock.server import ServerMethods
from penstock.uploading import UploadingMethods
from penstock.v1.experiment_service_pb2_grpc import ExperimentServiceStub
from penstock.v1.job_service_pb2_grpc import JobServiceStub
from penstock.v1.kfp_import_service_pb2_grpc import KfpImportServiceStub
from penstock.v1.namespace_service_pb2_grpc import NamespaceServiceStub
from penstock.v1.pipeline_service_pb2_grpc import PipelineServiceStub
from penstock.v1.run_service_pb2_grpc import RunServiceStub
from penstock.v1.server_service_pb2_grpc import ServerServiceStub

if TYPE_CHECKING:
    # The generated code has one stub class for both colours; only its types tell them apart.
    from penstock.v1.experiment_service_pb2_grpc import ExperimentServiceAsyncStub
    from penstock.v1.job_service_pb2_grpc import JobServiceAsyncStub
    from penstock.v1.kfp_import_service_pb2_grpc import KfpImportServiceAsyncStub
    from penstock.v1.namespace_service_pb2_grpc import NamespaceServiceAsyncStub
    from penstock.v1.pipeline_service_pb2_grpc import PipelineServiceAsyncStub
    from penstock.v1.run_service_pb2_grpc import RunServiceAsyncStub
    from penstock.v1.server_service_pb2_grpc import ServerServiceAsyncStub


@dataclass(frozen=True, slots=True)
class Stubs:
    """The generated stubs, on the client's channel, for whatever the face leaves out.

    They raise grpc.aio.AioRpcError.
    """

    namespace: "NamespaceServiceAsyncStub"
    experiment: "ExperimentServiceAsyncStub"
    pipeline: "PipelineServiceAsyncStub"
    run: "RunServiceAsyncStub"
    job: "JobServiceAsyncStub"
    server: "ServerServiceAsyncStub"
    kfp_import: "KfpImportServiceAsyncStub"

    @classmethod
    def on(cls, channel: grpc.aio.Channel) -> "Stubs":
        """The stubs on a channel."""
        return cls(
            NamespaceServiceStub(channel),
            ExperimentServiceStub(channel),
            PipelineServiceStub(channel),
            RunServiceStub(channel),
            JobServiceStub(channel),
            ServerServiceStub(channel),
            KfpImportServiceStub(channel),
        )


class Client(RunningMethods, SchedulingMethods, UploadingMethods, ServerMethods, Asynchronous):
    """A Penstock server, from an asyncio program.

        async with penstock.aio.Client("127.0.0.1:8887") as client:
            run = await client.wait(await client.create_run("pipeline.yaml", {"slope": 3}))

    It belongs to the event loop that first uses it; it may be made before there is one.
    """

    def __init__(
        self,
        target: str | None = None,
        token: str | None = None,
        namespace: str = "default",
        *,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        """As for `penstock.Client`."""
        address = Target.parse(target)
        check_token(address, token)
        driver = AsynchronousDriver(partial(open_channel, address, token), timeout_s=timeout_s)
        super().__init__(driver, namespace)
        self.runs = AsynchronousRuns(driver, namespace)
        self.jobs = AsynchronousJobs(driver, namespace)
        self.pipelines = AsynchronousPipelines(driver, namespace)
        self.experiments = AsynchronousExperiments(driver, namespace)
        self.namespaces = AsynchronousNamespaces(driver, namespace)
        self.kfp_imports = AsynchronousKfpImports(driver, namespace)

    @property
    def stubs(self) -> Stubs:
        """The generated stubs on the channel of the running event loop."""
        return Stubs.on(self._driver.channel)

    async def close(self) -> None:
        """Close the connection; calls and watches under way are cancelled."""
        await self._driver.close()

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
