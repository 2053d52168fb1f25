"""Reasons that the engine gives for states and notices; stable words that clients may branch on.

Reasons of failed steps come from the launcher (see `launch.base.Observation`), those of values that cannot be
resolved from `spec.resolve`.
"""

from typing import Final

WAITING_FOR_ENGINE: Final = "WAITING_FOR_ENGINE"
"""The run was accepted; no engine has taken it up."""
READY: Final = "READY"
"""Nothing stands before the task but its turn."""
WAITING_FOR_UPSTREAM: Final = "WAITING_FOR_UPSTREAM"
"""The task waits for the tasks that its message names."""
WAITING_FOR_SLOT: Final = "WAITING_FOR_SLOT"
"""The step is ready; as many steps run as may run at a time."""
WAITING_FOR_RETRY: Final = "WAITING_FOR_RETRY"
"""An attempt failed or was lost; another one follows."""
CACHED: Final = "CACHED"
"""The outputs of an earlier task that did the same were reused."""
STARTED: Final = "STARTED"
COMPLETED: Final = "COMPLETED"
TASK_FAILED: Final = "TASK_FAILED"
"""Something in the DAG, or in the run, failed; the message names the first."""
UPSTREAM_FAILED: Final = "UPSTREAM_FAILED"
"""The task was not run since one it depends on failed."""
UPSTREAM_SKIPPED: Final = "UPSTREAM_SKIPPED"
"""The task was not run since one it depends on was not run."""
CANCEL_REQUESTED: Final = "CANCEL_REQUESTED"
"""Somebody asked for the run to be cancelled."""
RUN_DELETED: Final = "RUN_DELETED"
"""The run is cancelled since it is to be deleted."""
DEADLINE_EXCEEDED: Final = "DEADLINE_EXCEEDED"
"""The run took longer than it may."""
RUN_CANCELLED: Final = "RUN_CANCELLED"
"""The task did not go on since the run was cancelled."""
RETRY_REQUESTED: Final = "RETRY_REQUESTED"
"""Somebody asked for the ended run to go on."""
LAUNCH_FAILED: Final = "LAUNCH_FAILED"
"""The launcher could not be asked to start the attempt, time and again."""
SERVER_CHANGED: Final = "SERVER_CHANGED"
"""A notice: another server goes on with the run, after the one before had ended or lost its lease."""

DEADLINE_REASONS: Final = frozenset({DEADLINE_EXCEEDED})
"""Reasons of CANCELLING after which the run ends FAILED rather than CANCELLED."""
LAUNCHER_FAULTS: Final = frozenset(
    {"START_FAILED", "ENVIRONMENT_FAILED", "INPUT_UNAVAILABLE", "PUBLISH_FAILED", "LAUNCHER_ERROR"}
)
"""Reasons of failed attempts that are no fault of the step; they count as losses."""
