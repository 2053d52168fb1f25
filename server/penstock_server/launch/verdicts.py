"""What is told of an attempt: observations, made from its journal and its log, and their form in the
journal."""

import os
import signal
from collections.abc import Mapping
from typing import Any

from penstock_server.launch.base import Observation, Phase
from penstock_server.model.ids import AttemptId
from penstock_server.model.json import JsonObject
from penstock_server.model.resources import ArtifactValue, TaskValues

TAIL_BYTES = 4096
TAIL_LINES = 20
STOPPED = "STOPPED"
TIMED_OUT = "TIMED_OUT"
NOT_FOUND_CODE = 127
KILLED_CODE = 128 + signal.SIGKILL


def read_tail(log: str) -> str:
    """The last lines of a log; empty where there is none."""
    try:
        with open(log, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - TAIL_BYTES))
            content = file.read(TAIL_BYTES)
    except FileNotFoundError:
        return ""
    return tail_of(content, is_cut=size > TAIL_BYTES)


def tail_of(end: bytes, *, is_cut: bool) -> str:
    """The last lines of the end of a log; with `is_cut` its first line may not be whole."""
    lines = end.decode("utf-8", "replace").replace("\0", "").splitlines()
    if is_cut and len(lines) > 1:
        lines = lines[1:]
    return "\n".join(lines[-TAIL_LINES:]).strip("\n")


def succeeded(attempt: AttemptId, outputs: TaskValues) -> Observation:
    """It ended well, and its outputs are stored."""
    return Observation(attempt, Phase.SUCCEEDED, exit_code=0, outputs=outputs)


def failed(
    attempt: AttemptId, reason: str, message: str, *, exit_code: int | None = None, log_tail: str = ""
) -> Observation:
    """It ended by its own fault."""
    return Observation(attempt, Phase.FAILED, reason, message, exit_code=exit_code, log_tail=log_tail)


def exited(attempt: AttemptId, exit_code: int, log_tail: str, *, out_of_memory: bool = False) -> Observation:
    """Its program ended with another status than 0."""
    if out_of_memory:
        message = "killed because the machine ran out of memory while it ran: let fewer steps run at a time, or smaller"
        return failed(attempt, "OUT_OF_MEMORY", message, exit_code=exit_code, log_tail=log_tail)
    message = f"{how_ended(exit_code)}{_because(log_tail)}"
    return failed(attempt, "EXIT_CODE", message, exit_code=exit_code, log_tail=log_tail)


def stopped(attempt: AttemptId, reason: str, exit_code: int | None, log_tail: str) -> Observation:
    """It ended because it was told to: by a request, or because its time was over."""
    if reason == TIMED_OUT:
        message = "stopped because it ran longer than its timeout allows"
        return failed(attempt, TIMED_OUT, message, exit_code=exit_code, log_tail=log_tail)
    return Observation(attempt, Phase.STOPPED, STOPPED, "stopped on request", exit_code=exit_code)


def lost(attempt: AttemptId, message: str, log_tail: str = "") -> Observation:
    """Nobody can tell how it ended."""
    return Observation(attempt, Phase.LOST, "PROCESS_GONE", message, log_tail=log_tail)


def how_ended(exit_code: int) -> str:
    """An exit code in words, with the signal that it stands for."""
    try:
        name = signal.Signals(exit_code - 128).name
    except ValueError:
        return f"exit code {exit_code}"
    return f"exit code {exit_code} ({name})"


def _because(log_tail: str) -> str:
    lines = [line for line in log_tail.splitlines() if line.strip()]
    return f": {lines[-1].strip()}" if lines else ""


def to_json(observation: Observation) -> JsonObject:
    """A final observation as the journal keeps it."""
    return {
        "phase": observation.phase.value,
        "reason": observation.reason,
        "message": observation.message,
        "exit_code": observation.exit_code,
        "log_tail": observation.log_tail,
        "parameters": dict(observation.outputs.parameters),
        "artifacts": {
            name: [_artifact_to_json(artifact) for artifact in artifacts]
            for name, artifacts in observation.outputs.artifacts.items()
        },
    }


def from_json(attempt: AttemptId, kept: Mapping[str, Any]) -> Observation:
    """The observation that `to_json` made `kept` of."""
    artifacts = {
        name: tuple(ArtifactValue(**artifact) for artifact in listed) for name, listed in kept["artifacts"].items()
    }
    return Observation(
        attempt,
        Phase(kept["phase"]),
        kept["reason"],
        kept["message"],
        exit_code=kept["exit_code"],
        log_tail=kept["log_tail"],
        outputs=TaskValues(kept["parameters"], artifacts),
    )


def _artifact_to_json(artifact: ArtifactValue) -> JsonObject:
    return {
        "name": artifact.name,
        "type": artifact.type,
        "uri": artifact.uri,
        "metadata": dict(artifact.metadata),
        "digest": artifact.digest,
        "size_bytes": artifact.size_bytes,
        "schema_version": artifact.schema_version,
    }
