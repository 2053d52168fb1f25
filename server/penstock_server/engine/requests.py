"""What the API asks of runs: make one, cancel, retry, delete. Nothing here moves a run.

A request is checked and recorded; the engine that owns the run, here or elsewhere, takes it up.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from penstock_server.model.json import Json
from penstock_server.model.resources import CachePolicy
from penstock_server.spec.document import Document
from penstock_server.spec.graph import PipelineGraph
from penstock_server.store import experiments
from penstock_server.store.requested import RequestKey

COMPILE_ASIDE_BYTES = 64 * 1024
"""Larger specs are compiled in a thread, so that other calls do not wait for them."""


@dataclass(frozen=True, slots=True)
class VersionSource:
    """A pipeline version of the run's namespace: by number or by alias, the newest when both are None."""

    pipeline_id: str
    number: int | None = None
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class NewRunRequest:
    """A run to be made."""

    namespace: str
    run_id: str
    source: VersionSource | Document
    experiment_id: str = experiments.DEFAULT
    display_name: str = ""
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Json] = field(default_factory=dict)
    cache_policy: CachePolicy = CachePolicy.DEFAULT
    deadline_s: float | None = None
    artifact_root: str = ""
    traceparent: str | None = None
    request: RequestKey | None = None
    """What makes the call safe to repeat."""
    call_deadline_s: float | None = None
    """Seconds that the call itself may take."""


@dataclass(frozen=True, slots=True)
class _Spec:
    digest: str
    graph: PipelineGraph
    document: bytes | None
    """To be stored; None when it is."""
    pipeline_id: str | None = None
    pipeline_version: int | None = None
