"""What KFP's REST costs the server beside the native calls, on a hundred thousand runs.

The native calls go over REST as well, so that both sides read a request and write an answer of the same kind; over gRPC
they cost a little less, which is told too. A native page tells how many tasks of a run are in which state, where KFP's
tells each of the tasks, the states that it and the run have been in, and the spec: the pages are measured once where
they were told before, as whoever watches a list asks for them, and once where none of their runs was. KFP's SDK looks
the experiment up before it makes a run of a package, which is two calls, and is set beside two native calls.
"""

import http.client
import json
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from penstock.v1 import run_service_pb2
from tests import pipelines
from tests.bench import lists
from tests.bench.bed import NAMESPACE, PASS, Bed, Row, inline
from tests.bench.processes import family_cpu_s, used

RUNS = 100_000
SHOWN = 50
"""Real runs with their tasks and moves, the newest, which are those that the pages show."""
NEVER_SHOWN = 4_000
"""Copies with tasks and moves, the next ones, for pages whose runs nobody has asked for."""
PAGE = 10
"""As KFP's SDK asks unless it is told otherwise."""
CALLS = 100
ROUNDS = 3
IDLE_S = 2.0
"""A connection that was silent for so long is given up: servers do so after five seconds."""
KFP = "/apis/v2beta1"
NATIVE = f"/v1/{NAMESPACE}"

Call = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one call, in milliseconds."""

    server_cpu: float
    postgres_cpu: float
    server_time: float
    """From the beginning of a method to its end, as the server's own metrics have it; of several calls the sum."""


def kfp(bed: Bed) -> list[Row]:
    """Pages of runs, then runs made, each natively and through KFP's REST, in turns."""
    spec = pipelines.chain(1, *PASS)
    bed.finish(bed.create(spec))
    bed.settle()
    lists.copy_runs(bed.dsn, "default", RUNS)
    for _ in range(SHOWN):
        bed.finish(bed.create(spec))
    bed.settle()
    lists.copy_tasks(bed.dsn, "default", NEVER_SHOWN)
    rest = Rest(bed)
    page = f"page of {PAGE} of {RUNS:,} runs"
    rows = _rows(bed, page, rest.natively_list, rest.list_runs)
    rows += _rows(bed, f"{page}, native over gRPC", _list_natively(bed), rest.list_runs)
    rows += _rows(bed, f"{page}, none told before", rest.walk_natively(), rest.walk())
    rows += _orders(rest)
    bed.serve("--runs-max", "1")
    blocking = bed.create(pipelines.chain(1, "sleep", "3600"))
    rest = Rest(bed)
    made = "a run of a package"
    rows += _rows(bed, made, lambda: rest.natively_create(spec), lambda: rest.create_run(spec))
    rows += _rows(bed, f"{made}, native over gRPC", _create_natively(bed, spec), lambda: rest.create_run(spec))
    rows += _rows(bed, f"{made}, its experiment looked up", rest.as_client(spec), rest.as_sdk(spec))
    bed.drop_open_runs(blocking)
    return rows


def _list_natively(bed: Bed) -> Call:
    request = run_service_pb2.ListRunsRequest(parent=NAMESPACE, page_size=PAGE)
    return lambda: bed.client.stubs.run.ListRuns(request)


def _create_natively(bed: Bed, spec: dict[str, Any]) -> Call:
    request = run_service_pb2.CreateRunRequest(parent=NAMESPACE, run=inline(spec))
    return lambda: bed.client.stubs.run.CreateRun(request)


class Rest:
    """What KFP's SDK sends, and the native calls of the same purpose, on one connection."""

    def __init__(self, bed: Bed) -> None:
        self._line = http.client.HTTPConnection(bed.http)
        self._asked_at = time.monotonic()
        self.experiment_id = self.ask("GET", f"{KFP}/experiments")["experiments"][0]["experiment_id"]

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of the answer."""
        if time.monotonic() - self._asked_at > IDLE_S:
            self._line.close()  # the server has hung up, or is about to; a new one is opened with the request
        self._asked_at = time.monotonic()
        content = None if body is None else json.dumps(body)
        self._line.request(method, path, content, {"Content-Type": "application/json"})
        answer = self._line.getresponse()
        text = answer.read()
        assert answer.status == 200, text
        return json.loads(text)

    def list_runs(self, sort_by: str = "created_at desc", **query: Any) -> Any:
        """A page."""
        asked = {"page_token": "", "page_size": PAGE, "sort_by": sort_by, **query}
        page = self.ask("GET", f"{KFP}/runs?{urlencode(asked)}")
        assert len(page["runs"]) == PAGE
        return page

    def natively_list(self, **query: Any) -> Any:
        """A page by the native call; without an order it begins with the newest, too."""
        page = self.ask("GET", f"{NATIVE}/runs?{urlencode({'page_size': PAGE, **query})}")
        assert len(page["runs"]) == PAGE, (query, len(page["runs"]))
        return page

    def walk(self) -> Call:
        """One page after the other, from behind those that are shown."""
        token = ""

        def turn() -> None:
            nonlocal token
            token = self.list_runs(page_token=token)["next_page_token"]

        for _ in range(SHOWN // PAGE):
            turn()
        return turn

    def walk_natively(self) -> Call:
        """The same by the native call."""
        token = ""

        def turn() -> None:
            nonlocal token
            token = self.natively_list(page_token=token)["nextPageToken"]

        for _ in range(SHOWN // PAGE):
            turn()
        return turn

    def create_run(self, spec: dict[str, Any]) -> Any:
        """The call that makes the run."""
        run = {"display_name": "bench", "experiment_id": self.experiment_id, "pipeline_spec": spec}
        return self.ask("POST", f"{KFP}/runs", {**run, "runtime_config": {"parameters": {}}})

    def natively_create(self, spec: dict[str, Any]) -> Any:
        """The native call that makes it."""
        return self.ask("POST", f"{NATIVE}/runs", {"displayName": "bench", "inlineSpec": {"struct": spec}})

    def as_client(self, spec: dict[str, Any]) -> Call:
        """The native calls that look an experiment up and make a run."""

        def both() -> object:
            self.ask("GET", f"{NATIVE}/experiments/default")
            return self.natively_create(spec)

        return both

    def as_sdk(self, spec: dict[str, Any]) -> Call:
        """All calls of `create_run_from_pipeline_package`: it looks the experiment up by name first."""
        predicate = {"operation": 1, "key": "display_name", "stringValue": "Default"}
        wanted = {"page_token": "", "page_size": 1, "sort_by": "", "filter": json.dumps({"predicates": [predicate]})}

        def both() -> object:
            self.ask("GET", f"{KFP}/experiments?{urlencode(wanted)}")
            return self.create_run(spec)

        return both


def _rows(bed: Bed, what: str, native: Call, by_kfp: Call) -> list[Row]:
    """The medians of some rounds, taken in turns."""
    costs = [(_cost(bed, native), _cost(bed, by_kfp)) for _ in range(ROUNDS)]
    names = {"server_cpu": "server's CPU", "postgres_cpu": "Postgres's CPU", "server_time": "time in the server"}
    rows = []
    for field, name in names.items():
        floor, figure = (statistics.median(getattr(pair[side], field) for pair in costs) for side in (0, 1))
        target = "" if field == "postgres_cpu" else "at most 1.5"
        rows.append(Row(f"KFP's REST beside native: {what}, {name}", figure, "ms", floor, target))
    return rows


def _cost(bed: Bed, call: Call) -> Cost:
    for _ in range(20):
        call()
    before = used(bed.server_pid).cpu_s, family_cpu_s(bed.postgres_pid), _method_s(bed)
    for _ in range(CALLS):
        call()
    after = used(bed.server_pid).cpu_s, family_cpu_s(bed.postgres_pid), _method_s(bed)
    return Cost(*(1000 * (now - then) / CALLS for now, then in zip(after, before, strict=True)))


def _method_s(bed: Bed) -> float:
    """Seconds that all methods of the server have taken so far."""
    line = http.client.HTTPConnection(bed.http)
    line.request("GET", "/metrics")
    text = line.getresponse().read().decode()
    line.close()
    return sum(map(float, re.findall(r"^penstock_rpc_duration_seconds_sum\{.*\} (\S+)$", text, re.MULTILINE)))


def _orders(rest: Rest) -> list[Row]:
    """Pages in each order, and with the filters that KFP's user interface and its users write."""
    archived = {"predicates": [{"key": "storage_state", "operation": "NOT_EQUALS", "string_value": "ARCHIVED"}]}
    failed = {"predicates": [{"key": "state", "operation": "EQUALS", "string_value": "SUCCEEDED"}]}
    named = {"predicates": [{"key": "name", "operation": "IS_SUBSTRING", "string_value": "synth"}]}
    of_one = {"experiment_id": rest.experiment_id}
    queries: dict[str, dict[str, Any]] = {
        **{f"sort_by {field}": {"sort_by": field} for field in ("created_at", "name", "state", "description")},
        **{f"sort_by {field}": {"sort_by": field} for field in ("scheduled_at desc", "experiment_id", "storage_state")},
        "of an experiment": of_one,
        "storage_state not ARCHIVED": {"filter": json.dumps(archived)},
        "state SUCCEEDED": {"filter": json.dumps(failed)},
        "a part of the name": {"filter": json.dumps(named)},
    }
    return [Row(f"KFP's list_runs, {name}", _page_ms(rest, query), "ms") for name, query in queries.items()]


def _page_ms(rest: Rest, query: dict[str, Any]) -> float:
    times = []
    for _ in range(15):
        start = time.perf_counter()
        rest.list_runs(**query)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)
