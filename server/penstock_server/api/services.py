"""All services of `penstock.v1`, put together from the parts that `main` hands in."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from penstock.v1 import (
    experiment_service_pb2,
    job_service_pb2,
    namespace_service_pb2,
    pipeline_service_pb2,
    run_service_pb2,
    server_service_pb2,
)
from penstock_server.api.backfills import BackfillMethods
from penstock_server.api.experiments import ExperimentService
from penstock_server.api.job_slots import JobSlots
from penstock_server.api.job_watches import JobWatches
from penstock_server.api.jobs import JobMethods
from penstock_server.api.lists import Lists
from penstock_server.api.namespaces import NamespaceService
from penstock_server.api.pipeline_versions import PipelineVersions
from penstock_server.api.pipelines import Pipelines
from penstock_server.api.run_control import RunControl
from penstock_server.api.run_logs import RunLogs
from penstock_server.api.run_reader import RunReader
from penstock_server.api.run_tasks import RunTasks
from penstock_server.api.run_watches import RunWatches
from penstock_server.api.runs import Runs
from penstock_server.api.server_info import ServerFacts, ServerLoad, ServerService
from penstock_server.engine.backfills import Backfills
from penstock_server.engine.jobs import Jobs
from penstock_server.engine.new_ids import NewIds
from penstock_server.engine.new_runs import NewRuns
from penstock_server.engine.requests import RunRequests
from penstock_server.engine.specs import Specs
from penstock_server.engine.step_logs import StepLogs
from penstock_server.engine.wakeups import Wakeups
from penstock_server.rpc.method import Service, service_of
from penstock_server.rpc.paging import Tokens
from penstock_server.store.database import Database


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class ApiParts:
    """What the services are made of."""

    database: Database
    wakeups: Wakeups
    """Started before the first call and drained before the transports are."""
    new_runs: NewRuns
    requests: RunRequests
    jobs: Jobs
    backfills: Backfills
    logs: StepLogs
    token_key: bytes
    """`store.secrets.page_token_key`: shared by all servers of the database."""
    facts: ServerFacts
    load: ServerLoad
    stores: Callable[[str], bool]
    """Whether the artifact store takes what lies under a URI."""
    specs: Specs = field(default_factory=Specs)
    ids: NewIds = field(default_factory=NewIds)
    now: Callable[[], datetime] = _now


def api_services(parts: ApiParts) -> tuple[Service, ...]:
    """The services, not yet wrapped by a Middleware."""
    database, wakeups, ids = parts.database, parts.wakeups, parts.ids
    tokens = Tokens(parts.token_key)
    lists = Lists(tokens)
    reader = RunReader(parts.specs, parts.stores)
    return (
        service_of(
            namespace_service_pb2.DESCRIPTOR.services_by_name["NamespaceService"],
            NamespaceService(database, lists),
        ),
        service_of(
            experiment_service_pb2.DESCRIPTOR.services_by_name["ExperimentService"],
            ExperimentService(database, parts.requests, lists, ids, wakeups),
        ),
        service_of(
            pipeline_service_pb2.DESCRIPTOR.services_by_name["PipelineService"],
            Pipelines(database, lists, ids),
            PipelineVersions(database, lists, parts.specs),
        ),
        service_of(
            run_service_pb2.DESCRIPTOR.services_by_name["RunService"],
            Runs(database, parts.new_runs, parts.requests, lists, ids, reader),
            RunControl(database, parts.new_runs, parts.requests, ids, wakeups),
            RunTasks(database, lists),
            RunWatches(database, tokens, wakeups),
            RunLogs(database, parts.logs),
        ),
        service_of(
            job_service_pb2.DESCRIPTOR.services_by_name["JobService"],
            JobMethods(database, parts.jobs, lists, ids, reader),
            JobSlots(database, parts.jobs, lists),
            JobWatches(database, tokens, wakeups),
            BackfillMethods(database, parts.backfills, lists, ids),
        ),
        service_of(
            server_service_pb2.DESCRIPTOR.services_by_name["ServerService"],
            ServerService(parts.facts, parts.load, database, parts.now),
        ),
    )
