"""The blocking client: `penstock.Client`."""

from dataclasses import dataclass
from types import TracebackType

import grpc

from penstock.blocking import BlockingDriver, open_channel
from penstock.channel import CALL_TIMEOUT_S, Target, check_token
from penstock.experiments import BlockingExperiments
from penstock.faces import Blocking
from penstock.jobs import BlockingJobs
from penstock.kfp_imports import BlockingKfpImports
from penstock.namespaces import BlockingNamespaces
from penstock.pipelines import BlockingPipelines
from penstock.running import RunningMethods
from penstock.runs import BlockingRuns
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


@dataclass(frozen=True, slots=True)
class Stubs:
    """The generated stubs, on the client's channel, for whatever the face leaves out.

    They raise grpc.RpcError.
    """

    namespace: NamespaceServiceStub
    experiment: ExperimentServiceStub
    pipeline: PipelineServiceStub
    run: RunServiceStub
    job: JobServiceStub
    server: ServerServiceStub
    kfp_import: KfpImportServiceStub

    @classmethod
    def on(cls, channel: grpc.Channel) -> "Stubs":
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


class Client(RunningMethods, SchedulingMethods, UploadingMethods, ServerMethods, Blocking):
    """A Penstock server, from a program that blocks.

        with Client("127.0.0.1:8887") as client:
            run = client.wait(client.create_run("pipeline.yaml", {"slope": 3}))

    Threads may share a client. A process that forks may not: make the client after the fork, in each process.
    """

    def __init__(
        self,
        target: str | None = None,
        token: str | None = None,
        namespace: str = "default",
        *,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        """Connects when it is first used.

        `target` is `host:port`, `grpc://host:port` (both plaintext) or `grpcs://host:port` (TLS); left out
        it is PENSTOCK_TARGET, else 127.0.0.1:8887. `token` is sent with every call, never in clear to
        another machine unless `grpc://` was written. Short names belong to `namespace`. `timeout_s` bounds
        each call that is no stream.
        """
        address = Target.parse(target)
        check_token(address, token)
        driver = BlockingDriver(open_channel(address, token), timeout_s=timeout_s)
        super().__init__(driver, namespace)
        self.runs = BlockingRuns(driver, namespace)
        self.jobs = BlockingJobs(driver, namespace)
        self.pipelines = BlockingPipelines(driver, namespace)
        self.experiments = BlockingExperiments(driver, namespace)
        self.namespaces = BlockingNamespaces(driver, namespace)
        self.kfp_imports = BlockingKfpImports(driver, namespace)
        self.stubs = Stubs.on(driver.channel)

    def close(self) -> None:
        """Close the connection; calls and watches under way are cancelled."""
        self._driver.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
