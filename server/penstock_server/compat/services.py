"""All services of KFP's API, put together from the parts that `main` hands in."""

from dataclasses import dataclass, field

from google.protobuf.descriptor import ServiceDescriptor

from penstock.kfp.v1beta1 import pipeline_pb2 as old_pipeline_pb2
from penstock.kfp.v2beta1 import (
    auth_pb2,
    experiment_pb2,
    healthz_pb2,
    pipeline_pb2,
    recurring_run_pb2,
    report_pb2,
    run_pb2,
    visualization_pb2,
)
from penstock.v1 import kfp_import_service_pb2
from penstock_server.compat.asked_runs import AskedRuns
from penstock_server.compat.auth import Auth
from penstock_server.compat.dialect import KFP
from penstock_server.compat.downloads import Downloads, DownloadSettings
from penstock_server.compat.experiments import Experiments
from penstock_server.compat.healthz import Healthz
from penstock_server.compat.imported_ids import ImportedIds
from penstock_server.compat.imported_jobs import ImportedJobs
from penstock_server.compat.imported_resources import ImportedResources
from penstock_server.compat.imported_runs import ImportedRuns
from penstock_server.compat.lists import Lists
from penstock_server.compat.new_pipelines import NewPipelines
from penstock_server.compat.old_pipelines import OldPipelines
from penstock_server.compat.pipeline_messages import PipelineMessages
from penstock_server.compat.pipeline_versions import PipelineVersions
from penstock_server.compat.pipelines import Pipelines
from penstock_server.compat.recurring_runs import RecurringRuns
from penstock_server.compat.reports import Reports
from penstock_server.compat.run_actions import RunActions
from penstock_server.compat.run_files import ReadContent, RunFiles
from penstock_server.compat.run_histories import RunHistories
from penstock_server.compat.run_reads import RunReads
from penstock_server.compat.runs import Runs
from penstock_server.compat.sources import Sources
from penstock_server.compat.spaces import Spaces
from penstock_server.compat.spec_messages import SpecMessages
from penstock_server.compat.states import RunStates
from penstock_server.compat.trying import Trying
from penstock_server.compat.uploads import Uploads
from penstock_server.compat.version_sources import VersionSources
from penstock_server.compat.visualizations import Visualizations
from penstock_server.engine.artifact_roots import Stores
from penstock_server.engine.experiments import WholeExperiments
from penstock_server.engine.jobs import Jobs
from penstock_server.engine.new_ids import NewIds
from penstock_server.engine.new_runs import NewRuns
from penstock_server.engine.requests import RunRequests
from penstock_server.engine.specs import Specs
from penstock_server.engine.step_logs import StepLogs
from penstock_server.engine.wakeups import Wakeups
from penstock_server.rpc.method import Service, service_of
from penstock_server.rpc.paging import Tokens
from penstock_server.rpc.plain import PlainRoute
from penstock_server.store.database import Database


@dataclass(frozen=True, slots=True)
class CompatParts:
    """What the services are made of."""

    database: Database
    jobs: Jobs
    specs: Specs
    """The same as `api` has."""
    token_key: bytes
    """`store.secrets.page_token_key`: shared by all servers of the database."""
    new_runs: NewRuns
    requests: RunRequests
    wakeups: Wakeups
    logs: StepLogs
    stores: Stores
    read_artifact: ReadContent
    spaces: Spaces = field(default_factory=Spaces)
    states: RunStates = field(default_factory=RunStates)
    ids: NewIds = field(default_factory=NewIds)
    downloads: DownloadSettings = field(default_factory=DownloadSettings)
    spec_messages: SpecMessages = field(default_factory=SpecMessages)


def compat_services(parts: CompatParts) -> tuple[Service, ...]:
    """The services, not yet wrapped by a Middleware."""
    lists = Lists(Tokens(parts.token_key))
    pipelines = _PipelineParts(parts)
    return (
        _service(healthz_pb2.DESCRIPTOR.services_by_name["HealthzService"], Healthz(parts.spaces)),
        _service(auth_pb2.DESCRIPTOR.services_by_name["AuthService"], Auth(parts.spaces)),
        _service(visualization_pb2.DESCRIPTOR.services_by_name["VisualizationService"], Visualizations()),
        _service(
            experiment_pb2.DESCRIPTOR.services_by_name["ExperimentService"],
            Experiments(parts.database, WholeExperiments(parts.database, parts.jobs), lists, parts.spaces),
        ),
        _service(
            pipeline_pb2.DESCRIPTOR.services_by_name["PipelineService"],
            Pipelines(parts.database, lists, parts.spaces, pipelines.new, pipelines.sources, pipelines.messages),
            PipelineVersions(parts.database, lists, parts.spaces, pipelines.new, pipelines.sources, pipelines.messages),
        ),
        _service(
            old_pipeline_pb2.DESCRIPTOR.services_by_name["PipelineService"],
            OldPipelines(parts.database, lists, parts.spaces),
        ),
        *_run_services(parts, lists),
        _import_service(parts, pipelines.new),
    )


def compat_routes(parts: CompatParts) -> tuple[PlainRoute, ...]:
    """What is served beside the schema, not yet wrapped by a Middleware."""
    own = _PipelineParts(parts)
    uploads = Uploads(parts.database, parts.spaces, own.new, own.sources, own.messages)
    return (*uploads.routes(), *_files(parts).routes())


def _run_services(parts: CompatParts, lists: Lists) -> tuple[Service, ...]:
    asked, sources, specs = AskedRuns(parts.spaces, parts.stores), Sources(parts.specs), parts.spec_messages
    reads = RunReads(parts.states, specs, RunHistories(parts.states))
    return (
        _service(
            run_pb2.DESCRIPTOR.services_by_name["RunService"],
            Runs(parts.database, parts.new_runs, lists, parts.spaces, asked, sources, reads, parts.ids),
            RunActions(parts.database, parts.requests, parts.wakeups, parts.spaces),
            _files(parts),
        ),
        _service(
            recurring_run_pb2.DESCRIPTOR.services_by_name["RecurringRunService"],
            RecurringRuns(parts.database, parts.jobs, lists, parts.spaces, asked, sources, specs, parts.ids),
        ),
        _service(report_pb2.DESCRIPTOR.services_by_name["ReportService"], Reports()),
    )


def _import_service(parts: CompatParts, new_pipelines: NewPipelines) -> Service:
    """Ours, and not KFP's: what it takes are KFP's resources."""
    trying, asked = Trying(parts.database), AskedRuns(parts.spaces, parts.stores)
    return service_of(
        kfp_import_service_pb2.DESCRIPTOR.services_by_name["KfpImportService"],
        ImportedIds(parts.database),
        ImportedResources(trying, new_pipelines, parts.specs),
        ImportedRuns(trying, parts.ids),
        ImportedJobs(parts.database, parts.jobs, asked, parts.specs, parts.stores, parts.ids),
    )


def _files(parts: CompatParts) -> RunFiles:
    return RunFiles(parts.database, parts.logs, parts.read_artifact, parts.spaces)


class _PipelineParts:
    """What pipelines are made of, however they come."""

    def __init__(self, parts: CompatParts) -> None:
        self.new = NewPipelines(parts.database, parts.ids)
        self.sources = VersionSources(parts.specs, Downloads(parts.downloads))
        self.messages = PipelineMessages(parts.spaces, parts.spec_messages)


def _service(descriptor: ServiceDescriptor, *servicers: object) -> Service:
    return service_of(descriptor, *servicers, dialect=KFP)
