"""The `Launcher` protocol: what the engine asks of whatever executes attempts, and what it hears back.

A launcher knows attempts, programs and files. It does not know runs, DAGs or Postgres. All of it may be
repeated safely: launching an attempt twice finds the first, stopping an ended one does nothing, observing may
start again at any time and tells the present state of every attempt it is asked about.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from penstock_server.launch.reasons import CLASSES, SETTLED
from penstock_server.model.ids import AttemptId, RunUid
from penstock_server.model.resources import TaskValues
from penstock_server.model.states import FailureClass
from penstock_server.spec.constants import RunConstants
from penstock_server.spec.graph import Component
from penstock_server.spec.pod_settings import NO_SETTINGS, PodSettings


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a step may learn of its run through placeholders and its environment."""

    run_id: str
    run_uid: str
    run_display_name: str
    pipeline_name: str
    namespace: str
    create_time_utc: str
    """RFC 3339."""
    schedule_time_utc: str
    """Equal to `create_time_utc` when no schedule made the run."""
    service_account: str = ""
    """The account of the cluster that the steps are to have; empty: the one that the launcher is set up with."""

    @property
    def constants(self) -> RunConstants:
        """The same, as the placeholders of the spec tell it."""
        return RunConstants(
            job_name=self.run_display_name,
            job_resource_name=f"{self.pipeline_name}-{self.run_id}",
            job_uuid=self.run_uid,
            create_time_utc=self.create_time_utc,
            schedule_time_utc=self.schedule_time_utc,
        )


@dataclass(frozen=True, slots=True)
class StepRequest:
    """All a launcher needs to execute one attempt."""

    attempt: AttemptId
    fence: int
    """Of the lease under which it was decided; a launcher that keeps records notes it down."""
    task_key: str
    facts: RunFacts
    component: Component
    """Its body is a Container, or an Importer that downloads to the workspace: its `inputs` hold the artifact to
    be brought there under the name `artifact`."""
    inputs: TaskValues
    """Resolved and checked. An optional parameter that was not given is absent."""
    output_uris: Mapping[str, str]
    """For each output artifact the URI to publish its content at."""
    output_root: str
    """The URI under which all outputs of this attempt lie."""
    timeout_s: float | None = None
    """Seconds after which the attempt is stopped and fails with reason TIMED_OUT."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Of ours, such as TRACEPARENT and KFP_RETRY_INDEX; the component's own comes after it."""
    has_workspace: bool = False
    """The steps of the run share a folder, which `/kfp-workspace` in their commands and inputs stands for."""
    workspace: Mapping[str, Any] = field(default_factory=dict)
    """What the pipeline asks of that folder: its `size`, and for a cluster `kubernetes.pvcSpecPatch`."""
    settings: PodSettings = NO_SETTINGS
    """What the step asks of its pod; a launcher without pods tells which of it is passed over."""
    has_started: bool = False
    """It was seen running before: should it have left no trace, it is lost, and is not started again."""


class Phase(StrEnum):
    """How far an attempt is."""

    PENDING = "PENDING"
    """What it is to run in is being made, or waits for room: reason and message say for what."""
    STARTED = "STARTED"
    SUCCEEDED = "SUCCEEDED"
    """Ended well, outputs read and published."""
    FAILED = "FAILED"
    """Ended by its own fault."""
    LOST = "LOST"
    """Gone, or never there, and nobody can tell how it ended."""
    STOPPED = "STOPPED"
    """Ended because `stop` was called."""

    @property
    def is_final(self) -> bool:
        """True when no further observation of the attempt follows."""
        return self not in (Phase.PENDING, Phase.STARTED)


@dataclass(frozen=True, slots=True)
class Observation:
    """What a launcher saw of one attempt."""

    attempt: AttemptId
    phase: Phase
    reason: str = ""
    """Stable, UPPER_SNAKE: EXIT_CODE, OUT_OF_MEMORY, TIMED_OUT, OUTPUT_MISSING, OUTPUT_INVALID, ENVIRONMENT_FAILED,
    INPUT_UNAVAILABLE, COMMAND_INVALID, START_FAILED, PUBLISH_FAILED, LAUNCHER_ERROR, PROCESS_GONE, STOPPED; of pods
    those of `launch.reasons` too. Of one that is PENDING what it waits for, in the launcher's words;
    of one that has STARTED what is about to end it, such as POD_TERMINATING."""
    message: str = ""
    exit_code: int | None = None
    """128 + n when signal n ended it."""
    log_tail: str = ""
    """The last lines (at most 20, at most 4 KiB) of the log of one that failed."""
    outputs: TaskValues = field(default_factory=TaskValues)
    """Of one that succeeded; artifacts with URI, digest, size and metadata."""
    host: str = ""
    """The machine, or the pod's node; empty: as told before, or not known."""
    handle: str = ""
    """What it is there: the number of a process, or `namespace/name` of a pod; empty: as told before, or not known."""
    notices: tuple[tuple[str, str], ...] = ()
    """Reason and message of what the user should know, such as SETTINGS_IGNORED. Told with STARTED, by the
    launcher that started it; not again when it is adopted."""

    @property
    def failure_class(self) -> FailureClass | None:
        """What kind of failure ended the attempt; None when none did."""
        match self.phase:
            case Phase.FAILED:
                return CLASSES.get(self.reason, FailureClass.STEP)
            case Phase.LOST:
                return FailureClass.LOST
            case Phase.PENDING | Phase.STARTED | Phase.SUCCEEDED | Phase.STOPPED:
                return None

    @property
    def is_settled(self) -> bool:
        """True for a failure that no further attempt follows: it would end the same way, or waited as long already."""
        return self.phase is Phase.FAILED and self.reason in SETTLED


@dataclass(frozen=True, slots=True)
class LogChunk:
    """A piece of an attempt's log."""

    offset: int
    """Of its first byte in the log."""
    content: bytes


class Capability(StrEnum):
    """What not every launcher can."""

    PODS = "PODS"
    """Each attempt is a pod: what a step asks of its pod (`StepRequest.settings`) is resolved for it."""
    VOLUMES = "VOLUMES"
    """It makes and deletes volume claims for the steps whose image says so (`spec.support.VOLUME_IMAGES`)."""


NO_CAPABILITIES: frozenset[Capability] = frozenset()


@dataclass(frozen=True, slots=True)
class EarlierStep:
    """A step that has succeeded, and whose results another one like it is to have."""

    namespace: str
    """Of ours."""
    component: Component
    inputs: TaskValues
    outputs: TaskValues


class Launcher(Protocol):
    """Executes attempts."""

    name: str
    """`process`, `kubernetes` or `fake`."""
    capabilities: frozenset[Capability]
    """What it can beyond executing commands."""

    async def start(self) -> None:
        """Get ready; called once before anything else."""

    async def close(self) -> None:
        """Let go of everything but the attempts themselves, which go on; may be called twice."""

    async def launch(self, request: StepRequest) -> None:
        """Start the attempt unless it was started before.

        Returns once it is recorded so that it survives this process, at the latest when the program runs.
        What goes wrong with the attempt afterwards, or makes it impossible, is told by `observe`, never
        raised; an exception means that nothing is known and the call may be repeated.
        """

    async def stop(self, attempt: AttemptId) -> None:
        """End the attempt with all it started: politely first, by force after the grace. Returns at once."""

    def observe(self) -> AsyncIterator[Observation]:
        """Observations of the attempts that were launched or adopted here, as they happen.

        One consumer at a time. An attempt that ended unobserved is told of when it is adopted.
        """

    async def adopt(self, requests: list[StepRequest]) -> None:
        """Take over attempts that another process may have launched: each is then told of by `observe`, as
        STARTED while it lives, with its end when it has ended. One that has left no trace never ran, and is
        launched; if it was seen running it is lost."""

    async def forget(self, attempts: list[AttemptId]) -> None:
        """Their ends are committed: whatever was kept to tell of them may go. Logs stay."""

    async def still_so(self, earlier: EarlierStep) -> bool:
        """Whether what it has brought about beside its artifacts is so still: a claim that it made is there, one that
        it deleted is not. Raises Unavailable."""

    async def discard(self, run_uid: RunUid) -> None:
        """The run is deleted: logs, workspace and all else that is kept of it may go. Repeating it is safe."""

    def logs(self, attempt: AttemptId, offset: int, *, follow: bool) -> AsyncIterator[LogChunk]:
        """The log from byte `offset` on; with `follow` until the attempt has ended. Raises NotFound without a
        log."""


@dataclass(frozen=True, slots=True)
class Published:
    """What was stored."""

    digest: str
    size_bytes: int


class ArtifactTransfer(Protocol):
    """Moves artifact content between local paths and the store behind URIs. Given to launchers that need
    it."""

    def local_path(self, uri: str) -> Path | None:
        """Where the content of `uri` can be read in place on this machine; None where it has to be
        fetched."""

    async def publish(self, source: Path, uri: str) -> Published:
        """Store the file or folder `source` at `uri`, whole or not at all; repeating it is safe.

        Raises Unavailable where it has not happened and may later, as on a disk that is full.
        """

    async def fetch(self, uri: str, target: Path) -> None:
        """Bring the content of `uri` to `target`. Raises NotFound."""
