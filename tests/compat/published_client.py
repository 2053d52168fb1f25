"""What KFP's published client makes of the API; run by the Python of an environment that has it, never imported.

Reads one JSON object from its input and writes one to its output. `{"ask": "tables"}` is answered with all models and
operations, `{"ask": "echo", "documents": [[model, document], ...]}` with the documents as the client writes them again
after having read them into its models. The prefix that some of the client's names have is left out everywhere.
"""

import inspect
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import kfp_server_api
from kfp_server_api import models

PARAMETER = re.compile(r":param (\w+):.*?\n\s*:type \w+: ([^\n]+)", re.DOTALL)
PREFIX = "V2beta1"
OPTIONS = ("async_req", "_return_http_data_only", "_preload_content", "_request_timeout")


class Recorder(kfp_server_api.ApiClient):  # type: ignore[misc]
    """A client that keeps what it was told to send."""

    def call_api(self, path: str, verb: str, path_values: Any, query: Any, _: Any, **options: Any) -> None:
        """Keep the call instead of making it; values are told apart by being what they are."""
        self.verb, self.path, self.body, self.answer = verb, path, options["body"], options["response_type"]
        self.in_path, self.in_query = list(path_values), [name for name, _ in query]


@dataclass
class Answer:
    """A response as the client's reader wants it."""

    data: str


def tables() -> dict[str, Any]:
    """All models and operations."""
    return {
        "models": {name: model(kind) for name, kind in inspect.getmembers(models, inspect.isclass)},
        "operations": dict(operations()),
    }


def model(kind: Any) -> dict[str, Any]:
    """The fields of a model by their names in JSON, or the values of an enum."""
    if hasattr(kind, "allowable_values"):
        return {"values": kind.allowable_values}
    return {"fields": {kind.attribute_map[name]: type_ for name, type_ in kind.openapi_types.items()}}


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    """Each operation by the name of its method, called with a text for each of its parameters."""
    for _, api in inspect.getmembers(kfp_server_api, inspect.isclass):
        if not api.__name__.endswith("ServiceApi"):
            continue
        for name, function in inspect.getmembers(api, inspect.isfunction):
            if not name.startswith("_") and not name.endswith("_with_http_info"):
                yield name, operation(api, name, parameters(function))


def operation(api: Any, name: str, types: dict[str, str]) -> dict[str, Any]:
    """One operation: where its parameters go, and of which types they are."""
    recorder = Recorder()
    samples: dict[str, Any] = {parameter: f"some {parameter}" for parameter in types}
    getattr(api(recorder), name)(**samples)
    return {
        "verb": recorder.verb,
        "path": recorder.path,
        "in_path": recorder.in_path,
        "in_query": {parameter: types[parameter] for parameter in recorder.in_query},
        "body": next((types[parameter] for parameter in types if samples[parameter] == recorder.body), None),
        "answer": recorder.answer,
    }


def parameters(function: Any) -> dict[str, str]:
    """The parameters of an operation with their types, from its documentation: it takes most of them as `**kwargs`."""
    found = PARAMETER.findall(function.__doc__ or "")
    return {name: type_ for name, type_ in found if name not in OPTIONS}


def echo(documents: list[tuple[str, Any]]) -> list[Any]:
    """The documents, read into the models named beside them and written again."""
    client = kfp_server_api.ApiClient()
    known = {name.removeprefix(PREFIX): kind for name, kind in inspect.getmembers(models, inspect.isclass)}
    read = (client.deserialize(Answer(json.dumps(document)), known[name]) for name, document in documents)
    return [client.sanitize_for_serialization(instance) for instance in read]


if __name__ == "__main__":
    request = json.load(sys.stdin)
    answer = tables() if request["ask"] == "tables" else echo(request["documents"])
    print(json.dumps(answer).replace(PREFIX, ""))
