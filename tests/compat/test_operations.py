"""The methods of KFP's contract, held against the operations of the client that KFP publishes."""

from typing import Any
from urllib.parse import quote, urlencode

import pytest
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.json_format import ParseDict

from penstock_server.gateway.requests import read_request
from penstock_server.gateway.routes import WHOLE_BODY, Found, Routes
from penstock_server.rpc.method import service_of, snake_case
from tests.compat.contract import V1BETA1, V2BETA1, methods, rule, services, verb_and_path
from tests.compat.differences import INLINE_BODIES, OPERATIONS_APART, OPERATIONS_OF_OURS
from tests.compat.vocabulary import model_name, published_type

pytestmark = pytest.mark.slow

BODIES = {None: b"", "str": b'"some text"'}
"""By type; a model is sent empty."""


def operation_name(method: MethodDescriptor) -> str:
    """What the published client calls a method."""
    return f"{snake_case(method.containing_service.name)}_{snake_case(method.name)}"


OPERATIONS = {operation_name(method): method for method in methods(V2BETA1)}
COMPARED = {name: method for name, method in OPERATIONS.items() if name not in OPERATIONS_OF_OURS}
each_operation = pytest.mark.parametrize(("name", "method"), COMPARED.items(), ids=list(COMPARED))


class Nobody:
    """A servicer that has every method and serves none."""

    def __getattr__(self, name: str) -> object:
        return name


ROUTES = Routes(service_of(service, Nobody()) for service in (*services(V2BETA1), *services(V1BETA1)))


def test_every_operation_is_in_the_schema(published: Any) -> None:
    assert COMPARED.keys() | OPERATIONS_APART.keys() == published["operations"].keys()
    assert not COMPARED.keys() & OPERATIONS_APART.keys()


@each_operation
def test_an_operation_goes_where_the_schema_says(name: str, method: MethodDescriptor, published: Any) -> None:
    operation = published["operations"][name]
    assert (operation["verb"], operation["path"]) == verb_and_path(rule(method))
    assert operation["in_path"] == variables(operation["path"])
    assert operation["in_query"] == {field.name: query_type(field) for field in query_fields(method)}
    assert INLINE_BODIES.get(operation["body"], operation["body"]) == body_type(method)
    assert operation["answer"] == model_name(method.output_type)


def variables(path: str) -> list[str]:
    """The variables of a path, in their order."""
    return [part.partition("}")[0] for part in path.split("{")[1:]]


def query_fields(method: MethodDescriptor) -> list[FieldDescriptor]:
    """The fields of a request that neither the path nor the body holds."""
    body = rule(method).body
    elsewhere = {body, *variables(verb_and_path(rule(method))[1])}
    return [field for field in method.input_type.fields if body != WHOLE_BODY and field.name not in elsewhere]


def query_type(field: FieldDescriptor) -> str:
    """The type that the published client gives to a query parameter: enums are texts there."""
    return "str" if field.enum_type is not None else published_type(field)


def body_type(method: MethodDescriptor) -> str | None:
    """The type that the published client gives to the body; None where there is none."""
    body = rule(method).body
    if body == WHOLE_BODY:
        return model_name(method.input_type)
    return published_type(method.input_type.fields_by_name[body]) if body else None


@each_operation
def test_the_gateway_reads_what_the_published_client_sends(name: str, method: MethodDescriptor, published: Any) -> None:
    operation = published["operations"][name]
    in_path = {variable: f"some {variable}" for variable in operation["in_path"]}
    in_query = {field.name: sample(field) for field in query_fields(method)}
    found = ROUTES.find(operation["verb"], filled(operation["path"], in_path))
    assert isinstance(found, Found)
    assert found.route.method.descriptor is method
    request = read_request(found, urlencode(in_query), BODIES.get(operation["body"], b"{}")).message
    assert request == ParseDict(document(rule(method).body, operation["body"], in_path | in_query), type(request)())


def sample(field: FieldDescriptor) -> str:
    """A value of a query parameter."""
    if field.enum_type is not None:
        return str(field.enum_type.values[1].name)
    return {"int": "7", "bool": "true"}.get(published_type(field), f"some {field.name}")


def filled(path: str, values: dict[str, str]) -> str:
    """The path with its variables replaced."""
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", quote(value))
    return path


def document(body: str, kind: str | None, values: dict[str, str]) -> dict[str, Any]:
    """The whole request as JSON; names with dots lead into messages."""
    whole: dict[str, Any] = {} if body in ("", WHOLE_BODY) else {body: "some text" if kind == "str" else {}}
    for name, value in values.items():
        *outer, last = name.split(".")
        inner = whole
        for part in outer:
            inner = inner.setdefault(part, {})
        inner[last] = True if value == "true" else value
    return whole


@pytest.mark.parametrize(
    ("verb", "path", "method"),
    [
        ("DELETE", "/apis/v1beta1/runs/some-run", "RunService/DeleteRun"),
        ("DELETE", "/apis/v1beta1/pipelines/some-pipeline", "PipelineService/DeletePipeline"),
        ("GET", "/apis/v1beta1/pipelines/some-pipeline", "PipelineService/GetPipelineV1"),
        ("GET", "/apis/v1beta1/pipelines/some-pipeline/templates", "PipelineService/GetTemplate"),
        ("GET", "/apis/v1beta1/pipeline_versions", "PipelineService/ListPipelineVersionsV1"),
        ("GET", "/apis/v1beta1/pipeline_versions/some-version", "PipelineService/GetPipelineVersionV1"),
        ("GET", "/apis/v1beta1/pipeline_versions/some-version/templates", "PipelineService/GetPipelineVersionTemplate"),
        ("GET", "/apis/v1beta1/auth", "AuthService/Authorize"),
        ("GET", "/apis/v1beta1/healthz", "HealthzService/GetHealthz"),
        ("POST", "/apis/v1beta1/visualizations/some-namespace", "VisualizationService/CreateVisualizationV1"),
        ("GET", "/apis/v1beta1/runs/some-run/nodes/some-pod/artifacts/some-output:read", "RunService/ReadArtifact"),
        ("GET", "/apis/v2beta1/runs/some-run/nodes/some-pod/artifacts/some-output:read", "RunService/ReadArtifact"),
    ],
)
def test_what_the_user_interface_still_calls_is_bound(verb: str, path: str, method: str) -> None:
    found = ROUTES.find(verb, path)
    assert isinstance(found, Found)
    assert found.route.method.full_name.rpartition(".")[2] == method
