"""Stories of `kfp_server_api`: the test sees to it that every operation is called by one."""

import inspect
from typing import Any

import kfp_server_api

from tests.compat.clients import operation_errors, pipeline_operations, run_operations
from tests.compat.clients.telling import Methods, public_methods, tell, told_of

STORIES = (*pipeline_operations.STORIES, *run_operations.STORIES, *operation_errors.STORIES)


def operations(host: str) -> Methods:
    """Those of all services; no two have the same name."""
    client = kfp_server_api.ApiClient(kfp_server_api.Configuration(host=host))
    kinds: list[Any] = [kind for name, kind in inspect.getmembers(kfp_server_api) if name.endswith("ServiceApi")]
    found = {name: method for kind in kinds for name, method in public_methods(kind(client)).items()}
    return {name: method for name, method in found.items() if not name.endswith("_with_http_info")}


def main(asked: dict[str, Any]) -> dict[str, Any]:
    """Acts them out against a server that has nothing yet and may download from this machine."""
    return told_of(operations(asked["host"]), STORIES)


if __name__ == "__main__":
    tell(main)
