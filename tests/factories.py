"""Builds the world that tests begin with; every value has a default."""

import hashlib
import json
import uuid
from typing import Any

from penstock_server.model.ids import RunUid, ServerId
from penstock_server.model.resources import CachePolicy, Run
from penstock_server.store import runs, specs
from penstock_server.store.database import Database
from penstock_server.store.requested import RequestKey
from penstock_server.store.runs import NewRun
from tests import pipelines


def server_id() -> ServerId:
    """Some server."""
    return ServerId(uuid.uuid4())


def spec(document: dict[str, Any] | None = None) -> tuple[str, bytes]:
    """Digest and canonical bytes of a pipeline, by default of one step."""
    data = json.dumps({"pipeline": document or pipelines.chain(1, "true")}, sort_keys=True).encode()
    return f"sha256:{hashlib.sha256(data).hexdigest()}", data


async def insert_run(database: Database, request: RequestKey | None = None, **values: Any) -> Run:
    """A PENDING run of the default namespace and experiment."""
    async with database.transaction() as connection:
        digest, document = spec()
        if "spec_digest" not in values:
            await specs.insert(connection, digest, document)
        defaults: dict[str, Any] = {
            "uid": RunUid(uuid.uuid4()),
            "namespace": "default",
            "id": f"run-{uuid.uuid4().hex[:12]}",
            "experiment_id": "default",
            "pipeline_id": None,
            "pipeline_version": None,
            "spec_digest": digest,
            "document": None,
            "display_name": "",
            "description": "",
            "labels": {},
            "parameters": {},
            "cache_policy": CachePolicy.DEFAULT,
            "deadline_s": None,
            "artifact_root": "",
            "reason": "WAITING_FOR_ENGINE",
            "message": "",
            "traceparent": None,
            "root_display_name": "synthetic",
        }
        return (await runs.insert(connection, NewRun(**(defaults | values)), request)).run
