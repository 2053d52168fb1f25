"""A round: runs on all servers, faults at random moments, and everything that has to hold once they have passed."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from penstock import Client
from penstock.errors import DeadlineExceededError, UnavailableError
from penstock.v1 import run_pb2
from penstock_server.engine.history import check
from tests import pipelines
from tests.chaos import recurring
from tests.chaos.faults import moments
from tests.chaos.journal import problems_of_journal, read_journal
from tests.chaos.telling import Told
from tests.chaos.world import MARK, World
from tests.conformance.outcomes import Outcome
from tests.conformance.table import Row, read_table
from tests.e2e.histories import events_of
from tests.servers import Server

RUN_TIMEOUT_S = 180
RETRY_S = 0.2
SYNTHETIC = 16
REAL = 2
CORPUS = Path(__file__).parent.parent / "corpus"
ROWS = [row for row in read_table(CORPUS.parent / "conformance" / "corpus.yaml") if row.quick and row.is_run]


@dataclass(frozen=True, slots=True)
class _Run:
    """One that was acknowledged, and what has to come of it."""

    name: str
    tasks: Sequence[str] = ()
    """Of a synthetic one."""
    row: Row | None = None
    """Of a real one."""


def play(world: World, seed: int) -> Told:
    """Play one round. The seed decides what happens when; how far the servers are by then it does not."""
    began = time.monotonic()
    random, told = Random(seed), Told(seed)
    journal = world.folder / f"journal-{seed}"
    journal.touch()
    prefix = f"r{seed}-{uuid.uuid4().hex[:6]}"
    runs = _submit_all(world, random, journal, prefix)
    jobs = recurring.begin(world, random, journal, prefix)
    start = time.monotonic()
    for moment in moments(world, random):
        time.sleep(max(0.0, start + moment.at_s - time.monotonic()))  # the random moment is the point
        moment.happen()
        told.faults[" ".join(word for word in moment.what.split() if not word.isdigit())] += 1
    told.slots, problems = recurring.end(world, random, jobs)
    _look(world, random.choice(world.servers), runs, told)
    told.problems += problems
    told.problems += problems_of_journal(read_journal(journal.read_text()))
    told.problems += [f"a step is left: {step}" for step in world.live_steps()]
    world.store.clear()
    told.runs, told.seconds = len(runs), time.monotonic() - began
    return told


def _submit_all(world: World, random: Random, journal: Path, prefix: str) -> list[_Run]:
    runs: list[_Run] = []
    for index in range(SYNTHETIC):
        spec = journalling(journal, random)
        name = _submit(random.choice(world.servers), f"{prefix}-{index}", spec)
        runs.append(_Run(name, tuple(spec["root"]["dag"]["tasks"])))
    for row in random.sample(ROWS, k=REAL):
        name = _submit(random.choice(world.servers), f"{prefix}-{len(runs)}", row.read(CORPUS), row)
        runs.append(_Run(name, row=row))
    return runs


def _submit(server: Server, run_id: str, spec: Any, row: Row | None = None) -> str:
    arguments, policy = (row.arguments, row.cache_policy) if row else ({}, "DISABLED")
    with Client(server.grpc) as client:
        return client.create_run(spec, arguments, run_id=run_id, cache_policy=policy).name


def journalling(journal: Path, random: Random) -> dict[str, Any]:
    """A random graph of steps that note in the journal that they start and that they end; some make an artifact."""
    script = (
        f': {MARK}; echo "start $0 $1 $KFP_RETRY_INDEX" >> {journal}; '
        'mkdir -p "$(dirname "$3")"; head -c "$4" /dev/zero > "$3"; sleep "$2"; '
        f'echo "end $0 $1 $KFP_RETRY_INDEX" >> {journal}'
    )
    edges: dict[str, list[str]] = {}
    for index in range(random.randint(3, 7)):
        edges[f"s{index}"] = [other for other in edges if random.random() < 0.4]
    words = ("{{$.pipeline_job_uuid}}", "{{$.pipeline_task_name}}", f"{random.uniform(0.2, 1.5):.2f}")
    artifact = ("{{$.outputs.artifacts['made'].path}}", str(random.choice([0, 1_000, 300_000])))
    spec = pipelines.dag(edges, "sh", "-c", script, *words, *artifact)
    spec["components"]["comp-step"]["outputDefinitions"] = pipelines.makes("made")
    for task in spec["root"]["dag"]["tasks"].values():
        task["retryPolicy"] = {"maxRetryCount": 6, "backoffDuration": "0s"}
    return spec


def _look(world: World, server: Server, runs: Sequence[_Run], told: Told) -> None:
    """Wait for all runs, and compare each with what had to come of it."""
    with Client(server.grpc) as client:
        for run in runs:
            ended = _wait(client, run.name)
            if ended is None:
                told.problems.append(f"{run.name} has not ended")
                continue
            events = events_of(client, ended)
            told.steps += sum(event.attempt is not None and event.to_state == "LAUNCHING" for event in events)
            told.problems += [f"{run.name}: {problem}" for problem in check(events)]
            told.problems += _unexpected(Outcome(client, ended), run.row)


def _wait(client: Client, name: str) -> run_pb2.Run | None:
    """The run at its end; None when that does not come. The database may still be on its way back."""
    give_up = time.monotonic() + RUN_TIMEOUT_S
    while (left_s := give_up - time.monotonic()) > 0:
        try:
            return client.wait(name, timeout=left_s)
        except UnavailableError:
            time.sleep(RETRY_S)
        except (DeadlineExceededError, TimeoutError):
            break
    return None


def _unexpected(outcome: Outcome, row: Row | None) -> list[str]:
    if row is None:
        run = outcome.run
        is_right = run.state == run_pb2.Run.STATE_SUCCEEDED
        return [] if is_right else [f"{run.name}: {run.reason}: {run.message}"]
    try:
        outcome.check(row.expected)
    except AssertionError as error:
        return [f"{outcome.run.name} ({row.file}): {error}"]
    return []
