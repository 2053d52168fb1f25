"""KFP's REST API of a server, as curl sees it; and all that it tells, for comparing two servers."""

from typing import Any

import urllib3

from tests.servers import Server

Record = dict[str, Any]
_POOL = urllib3.PoolManager(retries=False, timeout=30)
LISTS = {"experiments": "experiments", "pipelines": "pipelines", "recurringruns": "recurringRuns", "runs": "runs"}


def ask(server: Server, method: str, path: str, body: Record | None = None) -> Record:
    """The JSON of an answer, which has to be a good one."""
    answer = _POOL.request(method, f"http://{server.http}/apis/v2beta1/{path}", json=body)
    assert answer.status == 200, answer.data
    told: Record = answer.json()
    return told


def listed(server: Server, path: str, items: str) -> list[Record]:
    """All of a list."""
    found: list[Record] = []
    token = ""
    while True:
        page = ask(server, "GET", f"{path}?page_size=200&page_token={token}")
        found += page.get(items, [])
        token = page.get("next_page_token", "")
        if not token:
            return found


def holdings(server: Server) -> dict[str, dict[str, Record]]:
    """All that the server holds, by ids, as far as an import keeps it."""
    found = {path: listed(server, path, items) for path, items in LISTS.items()}
    versions = [
        version
        for pipeline in found["pipelines"]
        for version in listed(server, f"pipelines/{pipeline['pipeline_id']}/versions", "pipeline_versions")
    ]
    homes = {e["experiment_id"] for e in found["experiments"] if e["display_name"] == "Default"}
    return {
        "experiments": _by_id([_kept(e, homes) for e in found["experiments"]], "experiment_id"),
        "pipelines": _by_id(found["pipelines"], "pipeline_id"),
        "versions": _by_id(versions, "pipeline_version_id"),
        "schedules": _by_id([_kept_schedule(s, homes) for s in found["recurringruns"]], "recurring_run_id"),
        "runs": _by_id([_kept_run(run, homes) for run in found["runs"]], "run_id"),
    }


def _by_id(records: list[Record], id: str) -> dict[str, Record]:
    found = {record[id]: record for record in records}
    assert len(found) == len(records), "an id stands twice"
    return found


def _kept(experiment: Record, homes: set[str]) -> Record:
    """Each server has a default experiment of its own."""
    return experiment | ({"experiment_id": "home", "created_at": ""} if experiment["experiment_id"] in homes else {})


def _kept_schedule(schedule: Record, homes: set[str]) -> Record:
    """It comes disabled."""
    home = {"experiment_id": "home"} if schedule["experiment_id"] in homes else {}
    return schedule | home | dict.fromkeys(("mode", "status", "updated_at"))


def _kept_run(run: Record, homes: set[str]) -> Record:
    """Logs and artifacts, and what they are asked for by, stay where they are."""
    home = {"experiment_id": "home"} if run["experiment_id"] in homes else {}
    tasks = [_kept_task(task) for task in run.get("run_details", {}).get("task_details", [])]
    return run | home | {"run_details": sorted(tasks, key=lambda task: str(task["task_id"]))}


def _kept_task(task: Record) -> Record:
    names = ("task_id", "display_name", "parent_task_id", "state", "error")
    return {name: task.get(name) for name in names}
