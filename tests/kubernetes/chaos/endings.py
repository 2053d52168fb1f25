"""How a run has to have ended, whatever was done to its pods: history, attempts, journal and artifacts."""

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from penstock import Client
from penstock.v1.run_pb2 import Run
from penstock.v1.task_pb2 import Attempt, Task
from penstock_server.engine.history import check
from penstock_server.model.ids import AttemptId, RunUid, TaskId
from tests.chaos.journal import Line
from tests.e2e.histories import events_of
from tests.kubernetes.chaos.faults import Faults

KILLED = 137


@dataclass(frozen=True, slots=True)
class Expected:
    """A run that was acknowledged, and what its steps make."""

    run: Run
    digests: Mapping[str, str]
    """SHA-256 of the artifact of each step."""


def problems_of_run(
    client: Client, run: Run, expected: Expected, lines: Sequence[Line], faults: Faults
) -> tuple[int, list[str]]:
    """How many attempts there were, and what is wrong."""
    problems = [] if run.state == Run.STATE_SUCCEEDED else [f"{run.reason}: {run.message}"]
    problems += check(events_of(client, run))
    tasks = {key: client.runs.task(run, key) for key in expected.digests}
    for key, task in tasks.items():
        own = [line for line in lines if (line.run, line.task) == (run.uid, key)]
        found = [*_of_attempts(task, run.uid, key, faults), *_of_notes(task, own)]
        if run.state == Run.STATE_SUCCEEDED:
            found += _of_artifact(task, expected.digests[key])
        problems += [f"{key}: {problem}" for problem in found]
    return sum(len(task.attempts) for task in tasks.values()), [f"{run.name}: {problem}" for problem in problems]


def noted_as(attempt: AttemptId) -> tuple[str, str, int]:
    """What the journal calls an attempt."""
    return str(attempt.run_uid), str(attempt.task_id), attempt.number - 1


def _of_attempts(task: Task, uid: str, key: str, faults: Faults) -> Iterator[str]:
    """Each has ended as something was done to it: a program fails where it was killed alone, pods are lost."""
    for attempt in task.attempts:
        told = f"attempt {attempt.number} is {Attempt.State.Name(attempt.state)}: {attempt.reason}: {attempt.message}"
        is_killed = AttemptId(RunUid(uuid.UUID(uid)), TaskId(key), attempt.number) in faults.killed
        if (attempt.state == Attempt.STATE_FAILED and not (is_killed and attempt.exit_code == KILLED)) or (
            attempt.state == Attempt.STATE_LOST and attempt.reason == "LAUNCHER_ERROR"
        ):
            yield told
        elif attempt.state == Attempt.STATE_SUCCEEDED and attempt.number != len(task.attempts):
            yield f"attempts follow: {told}"


def _of_notes(task: Task, lines: Sequence[Line]) -> Iterator[str]:
    """What succeeded has run from its beginning to its end, and what ran was an attempt."""
    succeeded = [each.number - 1 for each in task.attempts if each.state == Attempt.STATE_SUCCEEDED]
    notes = {(line.what, line.attempt) for line in lines}
    yield from (
        f"attempt {n + 1} succeeded without its {w}" for n in succeeded for w in ("start", "end") if (w, n) not in notes
    )
    numbers = {attempt.number - 1 for attempt in task.attempts}
    yield from (
        f"attempt {number + 1} ran, and there is no such attempt" for _, number in notes if number not in numbers
    )


def _of_artifact(task: Task, digest: str) -> Iterator[str]:
    """It is there, whole, and what the step has made."""
    (artifact,) = task.outputs.artifacts["made"].artifacts
    if artifact.digest != f"sha256:{digest}":
        yield f"its artifact is told to be {artifact.digest}, and has to be {digest}"
    stored = hashlib.sha256(Path(artifact.uri.removeprefix("file://")).read_bytes()).hexdigest()
    if stored != digest:
        yield f"its artifact is {stored}, and has to be {digest}"
