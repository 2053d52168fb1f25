"""All services of KFP's API, put together from the parts that `main` hands in."""

from dataclasses import dataclass, field

from google.protobuf.descriptor import ServiceDescriptor

from penstock.kfp.v2beta1 import experiment_pb2, healthz_pb2
from penstock_server.compat.dialect import KFP
from penstock_server.compat.experiments import Experiments
from penstock_server.compat.healthz import Healthz
from penstock_server.compat.lists import Lists
from penstock_server.compat.spaces import Spaces
from penstock_server.engine.experiments import WholeExperiments
from penstock_server.engine.jobs import Jobs
from penstock_server.engine.new_ids import NewIds
from penstock_server.engine.specs import Specs
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
    spaces: Spaces = field(default_factory=Spaces)
    ids: NewIds = field(default_factory=NewIds)


def compat_services(parts: CompatParts) -> tuple[Service, ...]:
    """The services, not yet wrapped by a Middleware."""
    lists = Lists(Tokens(parts.token_key))
    return (
        _service(healthz_pb2.DESCRIPTOR.services_by_name["HealthzService"], Healthz(parts.spaces)),
        _service(
            experiment_pb2.DESCRIPTOR.services_by_name["ExperimentService"],
            Experiments(parts.database, WholeExperiments(parts.database, parts.jobs), lists, parts.spaces),
        ),
    )


def compat_routes(_parts: CompatParts) -> tuple[PlainRoute, ...]:
    """What is served beside the schema, not yet wrapped by a Middleware."""
    return ()


def _service(descriptor: ServiceDescriptor, *servicers: object) -> Service:
    return service_of(descriptor, *servicers, dialect=KFP)
