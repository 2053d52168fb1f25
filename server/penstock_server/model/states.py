"""The states of runs, tasks and attempts, and the one table of legal moves.

    Run       PENDING ──► RUNNING ──► SUCCEEDED
                 │           │  └───► FAILED ────┐ retry
                 │           ▼                   │
                 └────► CANCELLING ──► CANCELLED ┤
                                └────► FAILED    ▼
                                              PENDING

    Task      PENDING ──► QUEUED ──► RUNNING ──► SUCCEEDED
                 │  │        │          ├──────► FAILED
                 │  │        │          └──────► CANCELLED
                 │  └────────┴── SKIPPED, FAILED, CANCELLED, SUCCEEDED (from the cache)
                 └► RUNNING (a DAG, a loop or an iteration starts at once)
              RUNNING ──► QUEUED: the attempt failed or was lost and another one follows
              QUEUED ──► QUEUED: it waits for something else than before
              FAILED, SKIPPED, CANCELLED ──► PENDING: the run is retried
              SUCCEEDED ──► PENDING: the run is retried, and something that the task waited for runs again

    Attempt   LAUNCHING ──► RUNNING ──► SUCCEEDED | FAILED | LOST | CANCELLED
                    └─────────────────► SUCCEEDED | FAILED | LOST | CANCELLED

Final states of a run and a task are left only by a retry; those of an attempt never.
"""

from collections.abc import Mapping
from enum import StrEnum


class RunState(StrEnum):
    """Where a run stands."""

    PENDING = "PENDING"
    """Accepted; no engine has taken it up."""
    RUNNING = "RUNNING"
    """An engine works on it."""
    CANCELLING = "CANCELLING"
    """Nothing new starts, what runs is being stopped; ends CANCELLED, or FAILED when its deadline was the cause."""
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        """True when the run has ended."""
        return self in _RUN_FINAL


class TaskState(StrEnum):
    """Where a task stands."""

    PENDING = "PENDING"
    """Waits; the reason says for what."""
    QUEUED = "QUEUED"
    """Ready; waits for a free slot or for its next attempt."""
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    """Never ran; the reason says why."""
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        """True when the task has ended."""
        return self in _TASK_FINAL


class AttemptState(StrEnum):
    """Where one try at a step stands."""

    LAUNCHING = "LAUNCHING"
    """Decided and committed; the launcher is asked to start it. What it waits for there is its reason."""
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    """The step's own failure: exit code, refused outputs, timeout, environment."""
    LOST = "LOST"
    """The launcher cannot tell how it ended."""
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        """True when the attempt has ended."""
        return self in _ATTEMPT_FINAL


class FailureClass(StrEnum):
    """What kind of failure ended an attempt; decides whose retries it uses up."""

    STEP = "STEP"
    """The step's own: its exit code, or outputs that cannot be used."""
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    TIMEOUT = "TIMEOUT"
    """It ran longer than it may."""
    ENVIRONMENT = "ENVIRONMENT"
    """The image or the environment that it asks for could not be made."""
    INPUT = "INPUT"
    """An input could not be brought to it."""
    LOST = "LOST"
    """The launcher, the machine or the store behind them failed."""

    @property
    def is_own(self) -> bool:
        """True when it uses up the retries that the pipeline grants; others have a bound of their own."""
        return self in _OWN_FAILURES


_OWN_FAILURES = frozenset({FailureClass.STEP, FailureClass.OUT_OF_MEMORY, FailureClass.TIMEOUT})
_RUN_FINAL = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELLED})
_TASK_FINAL = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.SKIPPED, TaskState.CANCELLED})
_ATTEMPT_FINAL = frozenset({AttemptState.SUCCEEDED, AttemptState.FAILED, AttemptState.LOST, AttemptState.CANCELLED})

RUN_MOVES: Mapping[RunState | None, frozenset[RunState]] = {
    None: frozenset({RunState.PENDING}),
    RunState.PENDING: frozenset({RunState.RUNNING, RunState.CANCELLING}),
    RunState.RUNNING: frozenset({RunState.CANCELLING, RunState.SUCCEEDED, RunState.FAILED}),
    RunState.CANCELLING: frozenset({RunState.CANCELLED, RunState.FAILED}),
    RunState.SUCCEEDED: frozenset(),
    RunState.FAILED: frozenset({RunState.PENDING}),
    RunState.CANCELLED: frozenset({RunState.PENDING}),
}
"""From (None: created) to the states a run may move to."""

TASK_MOVES: Mapping[TaskState | None, frozenset[TaskState]] = {
    None: frozenset({TaskState.PENDING}),
    TaskState.PENDING: frozenset(
        {TaskState.QUEUED, TaskState.RUNNING, TaskState.SUCCEEDED}
        | {TaskState.FAILED, TaskState.SKIPPED, TaskState.CANCELLED}
    ),
    TaskState.QUEUED: frozenset(
        {TaskState.QUEUED, TaskState.RUNNING, TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED}
    ),
    TaskState.RUNNING: frozenset(
        {TaskState.RUNNING, TaskState.QUEUED, TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED}
    ),
    TaskState.SUCCEEDED: frozenset({TaskState.PENDING}),
    TaskState.FAILED: frozenset({TaskState.PENDING}),
    TaskState.SKIPPED: frozenset({TaskState.PENDING}),
    TaskState.CANCELLED: frozenset({TaskState.PENDING}),
}
"""From (None: created) to the states a task may move to."""

ATTEMPT_MOVES: Mapping[AttemptState | None, frozenset[AttemptState]] = {
    None: frozenset({AttemptState.LAUNCHING}),
    AttemptState.LAUNCHING: frozenset({AttemptState.LAUNCHING, AttemptState.RUNNING}) | _ATTEMPT_FINAL,
    AttemptState.RUNNING: _ATTEMPT_FINAL,
    AttemptState.SUCCEEDED: frozenset(),
    AttemptState.FAILED: frozenset(),
    AttemptState.LOST: frozenset(),
    AttemptState.CANCELLED: frozenset(),
}
"""From (None: created) to the states an attempt may move to."""
