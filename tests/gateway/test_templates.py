"""Path templates."""

import pytest

from penstock.v1 import (
    experiment_service_pb2,
    namespace_service_pb2,
    pipeline_service_pb2,
    run_service_pb2,
    server_service_pb2,
)
from penstock_server.gateway.routes import Routes
from penstock_server.gateway.templates import compile_template
from penstock_server.rpc.method import Service, service_of

SCHEMAS = (
    experiment_service_pb2,
    namespace_service_pb2,
    pipeline_service_pb2,
    run_service_pb2,
    server_service_pb2,
)


@pytest.mark.parametrize(
    ("template", "path", "variables"),
    [
        ("/v1/{name=namespaces/*/runs/*}", "/v1/namespaces/a/runs/b", {"name": "namespaces/a/runs/b"}),
        (
            "/v1/{name=namespaces/*/runs/*}:cancel",
            "/v1/namespaces/a/runs/b:cancel",
            {"name": "namespaces/a/runs/b"},
        ),
        ("/v1/{parent=namespaces/*}/runs:watch", "/v1/namespaces/a/runs:watch", {"parent": "namespaces/a"}),
        ("/v1/{run.name=runs/*}", "/v1/runs/b", {"run.name": "runs/b"}),
        ("/v1/{a}/x/{b}", "/v1/1/x/2", {"a": "1", "b": "2"}),
        ("/v1/{name=files/**}", "/v1/files/a/b/c", {"name": "files/a/b/c"}),
        ("/v1/{a}", "/v1/a%20b%2Fc", {"a": "a b/c"}),
        ("/v1/server", "/v1/server", {}),
    ],
)
def test_a_path_is_matched(template: str, path: str, variables: dict[str, str]) -> None:
    assert compile_template(template).match(path) == variables


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("/v1/{name=namespaces/*/runs/*}", "/v1/namespaces/a/runs/b:cancel"),
        ("/v1/{name=namespaces/*/runs/*}", "/v1/namespaces/a/runs/"),
        ("/v1/{name=namespaces/*/runs/*}", "/v1/namespaces/a/b/runs/c"),
        ("/v1/{name=runs/*}:cancel", "/v1/runs/b"),
        ("/v1/a.b", "/v1/aXb"),
    ],
)
def test_another_path_is_not(template: str, path: str) -> None:
    assert compile_template(template).match(path) is None


@pytest.mark.parametrize("template", ["v1/x", "/v1/{", "/v1/{a={b}}", "/v1/x:y/z", "/v1/{a=*}:{b}"])
def test_what_is_no_template_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="is no path template"):
        compile_template(template)


def test_every_template_of_the_schema_is_one() -> None:
    def whatever() -> None: ...

    class Anything:
        def __getattr__(self, name: str) -> object:
            return whatever

    services: list[Service] = [
        service_of(descriptor, Anything())
        for schema in SCHEMAS
        for descriptor in schema.DESCRIPTOR.services_by_name.values()
    ]
    served = {route.method.full_name for route in Routes(services)}
    assert served == {method.full_name for service in services for method in service.methods.values()}
