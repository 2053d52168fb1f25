"""What may be asked for when a run is made: what it executes, and all that it is told."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from penstock_server.model.ids import RunUid
from penstock_server.model.json import Json
from penstock_server.model.resources import CachePolicy
from penstock_server.schedule.macros import SlotFacts
from penstock_server.spec.document import Document
from penstock_server.spec.graph import PipelineGraph
from penstock_server.store import experiments
from penstock_server.store.requested import RequestKey


@dataclass(frozen=True, slots=True)
class VersionSource:
    """A pipeline version: by number or by alias, the newest when both are None."""

    pipeline_id: str
    number: int | None = None
    alias: str | None = None
    namespace: str | None = None
    """None: that of the run."""


@dataclass(frozen=True, slots=True)
class InlineSpec:
    """A spec of the run's own that was read, compiled and found to be supported already."""

    digest: str
    canonical: bytes
    graph: PipelineGraph


@dataclass(frozen=True, slots=True)
class StoredSpec:
    """The spec that another run executes, and the version that it was, which may be deleted by now."""

    digest: str
    pipeline_id: str | None
    pipeline_version: int | None
    pipeline_namespace: str | None = None
    """None: that of the run."""


RunSource = VersionSource | InlineSpec | StoredSpec | Document


@dataclass(frozen=True, slots=True)
class CacheDefaults:
    """What runs do with results of earlier ones where neither they nor their versions say so."""

    policy: CachePolicy = CachePolicy.DEFAULT
    max_age_s: float | None = None


NO_CACHE_DEFAULTS = CacheDefaults()
"""Each task as it says."""


@dataclass(frozen=True, slots=True)
class SlotOrigin:
    """The slot of a job that makes a run."""

    job_uid: uuid.UUID
    job_id: str
    slot_time: datetime
    backfill_uid: uuid.UUID | None
    facts: SlotFacts
    """What the macros of the parameters are written out with; `run_uid` is the run's."""


@dataclass(frozen=True, slots=True)
class NewRunRequest:
    """A run to be made."""

    namespace: str
    run_id: str
    source: RunSource
    experiment_id: str = experiments.DEFAULT
    display_name: str = ""
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Json] = field(default_factory=dict)
    cache_policy: CachePolicy | None = None
    """None: the version's, else the server's."""
    cache_max_age_s: float | None = None
    """None: the version's, else the server's."""
    deadline_s: float | None = None
    priority: int = 0
    max_parallel_tasks: int | None = None
    task_timeout_s: float | None = None
    queue_timeout_s: float | None = None
    artifact_root: str = ""
    traceparent: str | None = None
    rerun_of: RunUid | None = None
    """The run whose results are to be used where nothing has changed."""
    request: RequestKey | None = None
    """What makes the call safe to repeat."""
    call_deadline_s: float | None = None
    """Seconds that the call itself may take."""
    origin: SlotOrigin | None = None
    """None: a caller makes it."""
    facts: SlotFacts | None = None
    """With which the macros of a caller's parameters are written out, `run_uid` being the run's; None: they stay. Those
    of a slot are in `origin`."""
    parameters_field: str = "run.parameters"
    """Where the caller's request has the parameters, for errors."""


@dataclass(frozen=True, slots=True)
class RerunRequest:
    """A run to be made from an old one."""

    namespace: str
    rerun_of: str
    """Id of the old run."""
    run_id: str
    display_name: str = ""
    """Empty: the old run's."""
    parameters: Mapping[str, Json] = field(default_factory=dict)
    """Those that change."""
    unset_parameters: frozenset[str] = frozenset()
    """Those that take their defaults again."""
    source: VersionSource | None = None
    """None: what the old run executes."""
    traceparent: str | None = None
    request: RequestKey | None = None
    call_deadline_s: float | None = None
