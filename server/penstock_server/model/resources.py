"""The resources as the server holds them. Field names are those of the protos and of the columns.

Times are aware and UTC. `revision` counts changes and is what an etag is made of.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from penstock_server.model.ids import RunUid, TaskId
from penstock_server.model.json import Json
from penstock_server.model.states import AttemptState, FailureClass, RunState, TaskState

KUBERNETES = "kubernetes"
"""The launcher whose attempts are pods."""
SERVICE_ACCOUNT_LABEL = "pipelines.kubeflow.org/service-account"
"""Label of a run: the account of the cluster that its steps have."""


class CachePolicy(StrEnum):
    """What a run does with results of earlier runs."""

    DEFAULT = "DEFAULT"
    """As each task of the pipeline says."""
    DISABLED = "DISABLED"
    """Nothing is read and nothing is offered to later runs."""
    REFRESH = "REFRESH"
    """Nothing is read; results are offered to later runs."""


class TaskKind(StrEnum):
    """What a task is."""

    STEP = "STEP"
    DAG = "DAG"
    LOOP = "LOOP"
    ITERATION = "ITERATION"
    IMPORTER = "IMPORTER"


@dataclass(frozen=True, slots=True)
class Namespace:
    """The tenant every other resource lives in."""

    name: str
    """The id, as in `namespaces/{name}`."""
    uid: uuid.UUID
    display_name: str
    description: str
    labels: Mapping[str, str]
    revision: int
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class Experiment:
    """A named group of runs and jobs."""

    uid: uuid.UUID
    namespace: str
    id: str
    display_name: str
    description: str
    labels: Mapping[str, str]
    revision: int
    create_time: datetime
    update_time: datetime
    archive_time: datetime | None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A named workflow; its versions hold the specs."""

    uid: uuid.UUID
    namespace: str
    id: str
    display_name: str
    description: str
    labels: Mapping[str, str]
    revision: int
    create_time: datetime
    update_time: datetime
    archive_time: datetime | None
    latest_version: int | None
    """Number of the newest version that exists; None without versions."""
    version_count: int


@dataclass(frozen=True, slots=True)
class PipelineVersion:
    """An immutable, numbered spec of a pipeline."""

    uid: uuid.UUID
    namespace: str
    pipeline_uid: uuid.UUID
    pipeline_id: str
    number: int
    alias: str | None
    display_name: str
    description: str
    labels: Mapping[str, str]
    spec_digest: str
    """`sha256:` and 64 hex digits over the canonical spec."""
    sdk_version: str
    interface: tuple[Mapping[str, Json], ...]
    """The root's parameters, each with name, type, optional, default_value, description, literals."""
    revision: int
    create_time: datetime
    update_time: datetime
    cache_policy: CachePolicy = CachePolicy.DEFAULT
    """Of runs of this version that name none of their own."""
    cache_max_age_s: float | None = None
    """Of runs of this version that name none of their own."""


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a pipeline version or of an inline spec."""

    uid: RunUid
    namespace: str
    id: str
    experiment_uid: uuid.UUID
    experiment_id: str
    pipeline_id: str | None
    """With `pipeline_version` the source; both None for an inline spec."""
    pipeline_version: int | None
    spec_digest: str
    display_name: str
    description: str
    labels: Mapping[str, str]
    parameters: Mapping[str, Json]
    """As given; defaults are not filled in."""
    cache_policy: CachePolicy
    deadline_s: float | None
    """Seconds from the start after which the run is failed; None: no limit."""
    artifact_root: str
    """Empty: the server's own store."""
    state: RunState
    reason: str
    message: str
    failed_task_id: TaskId | None
    """The first task that failed."""
    outputs: Mapping[str, Json]
    """Output parameters of the root; empty until it succeeded."""
    event_sequence: int
    """Number of the run's newest event."""
    revision: int
    create_time: datetime
    start_time: datetime | None
    end_time: datetime | None
    update_time: datetime
    archive_time: datetime | None
    traceparent: str | None
    """W3C trace context of the call that made the run."""
    priority: int = 0
    """Steps of runs with a higher one start first; -1000 to 1000."""
    max_parallel_tasks: int | None = None
    """At most so many of its steps run at a time; None: as many as the server lets."""
    task_timeout_s: float | None = None
    """Seconds that an attempt of any of its steps may take; a step's own limit counts when it is shorter."""
    queue_timeout_s: float | None = None
    """Seconds that a step may wait for a slot."""
    cache_max_age_s: float | None = None
    """Results that are older are not reused; None: of any age."""
    pause_time: datetime | None = None
    """Since then nothing new starts; None while the run is not paused."""
    rerun_of: RunUid | None = None
    """The run whose results are reused where nothing has changed."""
    job_id: str | None = None
    """The job that made it, which may be gone; None: a caller did."""
    slot_time: datetime | None = None
    """The slot of that job."""
    pipeline_namespace: str | None = None
    """Where the pipeline is; None: in the run's own namespace."""
    origin: str = ""
    """Where it ran, of a run that was imported; empty: here."""


@dataclass(frozen=True, slots=True)
class ArtifactValue:
    """An artifact as a task's input or output carries it."""

    name: str
    type: str
    """Schema title, such as `system.Model`."""
    uri: str
    metadata: Mapping[str, Json] = field(default_factory=dict)
    digest: str = ""
    """`sha256:` and 64 hex digits over the content; empty where nothing was stored by us."""
    size_bytes: int = 0
    uid: uuid.UUID | None = None
    """Of the Artifact resource; None before it is recorded."""
    schema_version: str = "0.0.1"


@dataclass(frozen=True, slots=True)
class TaskValues:
    """The inputs or the outputs of a task."""

    parameters: Mapping[str, Json] = field(default_factory=dict)
    artifacts: Mapping[str, tuple[ArtifactValue, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Task:
    """One node of a run."""

    run_uid: RunUid
    id: TaskId
    parent_id: TaskId | None
    """None for the root."""
    key: str
    """Its name in its DAG; for an iteration its index."""
    display_name: str
    kind: TaskKind
    state: TaskState
    reason: str
    message: str
    inputs: TaskValues
    outputs: TaskValues
    cache_key: str | None
    cached_run_uid: RunUid | None
    cached_task_id: TaskId | None
    """With `cached_run_uid`: the task whose outputs were reused."""
    attempt_count: int
    not_before: datetime | None
    """A retry waits until then."""
    create_time: datetime
    start_time: datetime | None
    end_time: datetime | None
    result_key: str | None = None
    """Of a step: what decides its results, `sha256:` and 64 hex digits, whether or not it is cached."""
    cache_note: str = ""
    """Why no earlier result was reused: what differed; empty when none was looked for."""
    queue_time: datetime | None = None
    """When it last became QUEUED."""
    step_key: str | None = None
    """Of a cached step: which one it is of which pipeline, whatever it is given."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at a step."""

    run_uid: RunUid
    task_id: TaskId
    number: int
    state: AttemptState
    reason: str
    message: str
    exit_code: int | None
    log_tail: str
    """The last lines of the log of an attempt that failed; empty otherwise."""
    launcher: str
    host: str
    """Where it ran: a host name, or a node."""
    handle: str
    """What it was there: a process id, or a pod's name."""
    create_time: datetime
    start_time: datetime | None
    end_time: datetime | None
    failure_class: FailureClass | None = None
    """Of one that failed or was lost."""


@dataclass(frozen=True, slots=True)
class Pod:
    """The pod that executes an attempt."""

    name: str
    namespace: str
    """Of the cluster."""
    node: str
    """Empty until it is scheduled."""

    @classmethod
    def of(cls, attempt: Attempt) -> "Pod | None":
        """That of the attempt, once its launcher has told of it; None where attempts are no pods."""
        namespace, slash, name = attempt.handle.partition("/")
        return cls(name, namespace, attempt.host) if slash and attempt.launcher == KUBERNETES else None


class EventSubject(StrEnum):
    """What an event tells of."""

    RUN = "RUN"
    TASK = "TASK"
    ATTEMPT = "ATTEMPT"
    NOTICE = "NOTICE"
    """No transition: something the user should know, such as an ignored image."""


@dataclass(frozen=True, slots=True)
class Event:
    """One transition, or one notice, of a run."""

    run_uid: RunUid
    sequence: int
    """1, 2, 3 ... in the run, without gaps."""
    transaction_id: int
    """Of the writing transaction; orders a stream across runs."""
    time: datetime
    subject: EventSubject
    task_id: TaskId | None
    attempt: int | None
    from_state: str | None
    to_state: str | None
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """A typed output, recorded with the task that made it."""

    uid: uuid.UUID
    namespace: str
    run_uid: RunUid
    run_id: str
    task_id: TaskId
    output: str
    index: int
    value: ArtifactValue
    create_time: datetime
