"""Which rpc serves which HTTP method and path, by the `google.api.http` rules of the schema."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from google.api import annotations_pb2
from google.api.http_pb2 import HttpRule
from google.protobuf.message import Message

from penstock_server.gateway.templates import PathTemplate, compile_template
from penstock_server.rpc.dialect import Dialect
from penstock_server.rpc.method import Method, Service

WHOLE_BODY = "*"


@dataclass(frozen=True, slots=True)
class Route:
    """One binding of one rpc."""

    http_method: str
    template: PathTemplate
    body: str
    """The request's field that the HTTP body holds; `*`: the body is the request; empty: there is no body."""
    method: Method
    dialect: Dialect


@dataclass(frozen=True, slots=True)
class Found:
    """A route that serves a request, and what the request's path says."""

    route: Route
    variables: Mapping[str, str]
    """By field path."""


class Routes:
    """All bindings of some services."""

    def __init__(self, services: Iterable[Service]) -> None:
        self._by_verb: dict[str, list[Route]] = {}
        for service in services:
            for method in service.methods.values():
                for route in _routes(method, service.dialect):
                    self._by_verb.setdefault(route.template.verb, []).append(route)

    def __iter__(self) -> Iterator[Route]:
        return (route for routes in self._by_verb.values() for route in routes)

    def find(self, http_method: str, raw_path: str) -> Found | frozenset[str]:
        """What serves the request; else the HTTP methods that the path is served for, none when unknown."""
        others = set()
        for route in self._by_verb.get(_verb(raw_path), ()):
            variables = route.template.match(raw_path)
            if variables is None:
                continue
            if route.http_method == http_method:
                return Found(route, variables)
            others.add(route.http_method)
        return frozenset(others)


def _verb(raw_path: str) -> str:
    return raw_path.rpartition("/")[2].partition(":")[2]


def _routes(method: Method, dialect: Dialect) -> Iterator[Route]:
    options: Message = method.descriptor.GetOptions()
    rule: HttpRule = options.Extensions[annotations_pb2.http]
    for binding in (rule, *rule.additional_bindings):
        kind = binding.WhichOneof("pattern")
        if kind is None:
            continue
        if binding.response_body:
            raise ValueError(f"{method.full_name}: response_body is not served")
        http_method, path = (
            (binding.custom.kind, binding.custom.path) if kind == "custom" else (kind.upper(), getattr(binding, kind))
        )
        yield Route(http_method, compile_template(path), binding.body, method, dialect)
