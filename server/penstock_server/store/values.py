"""Task values as JSON in columns and back.

An artifact has its uid from where it was made, so that a row, and whoever consumes the artifact, name the same one.
"""

import json
import math
import uuid
from collections.abc import Mapping
from typing import Any

from penstock_server.model.ids import RunUid, TaskId
from penstock_server.model.resources import ArtifactValue, TaskValues


def artifact_uid(run_uid: RunUid, task_id: TaskId, output: str, index: int) -> uuid.UUID:
    """The uid of an artifact that a task makes; the same however often it is computed."""
    return uuid.uuid5(run_uid, f"{task_id}/{output}/{index}")


def identified(values: TaskValues, run_uid: RunUid, task_id: TaskId) -> TaskValues:
    """`values` with a uid for each artifact that has none yet."""
    if not values.artifacts:
        return values
    artifacts = {
        output: tuple(_with_uid(value, artifact_uid(run_uid, task_id, output, i)) for i, value in enumerate(found))
        for output, found in values.artifacts.items()
    }
    return TaskValues(values.parameters, artifacts)


def to_json(values: TaskValues) -> dict[str, Any]:
    """As it is stored; empty parts are left out."""
    result: dict[str, Any] = {}
    if values.parameters:
        result["parameters"] = dict(values.parameters)
    if values.artifacts:
        result["artifacts"] = {name: [_artifact(value) for value in found] for name, found in values.artifacts.items()}
    return result


def from_json(stored: Mapping[str, Any]) -> TaskValues:
    """What `to_json` has stored."""
    artifacts = {name: tuple(map(_value, found)) for name, found in stored.get("artifacts", {}).items()}
    return TaskValues(stored.get("parameters", {}), artifacts)


def dumps(value: object) -> str:
    """Compact JSON that Postgres takes as jsonb.

    What jsonb cannot hold is written as protobuf's JSON does it, or nearly: `NaN` and the infinities as text, NUL
    characters and lone surrogates as U+FFFD.
    """
    try:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    except ValueError:
        return dumps(_storable(value))
    if "\\u0000" in text or "\\ud" in text:
        return json.dumps(_storable(value), separators=(",", ":"))
    return text


def _storable(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, str):
        # Halves of a pair become one character again; a half without its other becomes U+FFFD.
        return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {_storable(key): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value


def _with_uid(value: ArtifactValue, uid: uuid.UUID) -> ArtifactValue:
    if value.uid is not None:
        return value
    return ArtifactValue(
        value.name,
        value.type,
        value.uri,
        value.metadata,
        value.digest,
        value.size_bytes,
        uid,
        value.schema_version,
    )


def _artifact(value: ArtifactValue) -> dict[str, Any]:
    return {
        "name": value.name,
        "type": value.type,
        "uri": value.uri,
        "metadata": dict(value.metadata),
        "digest": value.digest,
        "size_bytes": value.size_bytes,
        "uid": str(value.uid) if value.uid is not None else None,
        "schema_version": value.schema_version,
    }


def _value(stored: Mapping[str, Any]) -> ArtifactValue:
    uid = uuid.UUID(stored["uid"]) if stored["uid"] is not None else None
    return ArtifactValue(**{**stored, "uid": uid})
