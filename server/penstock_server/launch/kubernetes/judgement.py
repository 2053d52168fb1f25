"""The words in which is told how far the attempt in a pod is, and what that depends on beside the pod."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from penstock_server.launch.base import Phase


class Grounds(StrEnum):
    """Why a pod that does not start may be given up, once it has had its grace."""

    IMAGE = "IMAGE_UNAVAILABLE"
    CONFIG = "CONTAINER_CONFIG_INVALID"
    PROGRAM = "PROGRAM_NOT_FOUND"
    START = "CONTAINER_START_FAILED"
    SCHEDULING = "UNSCHEDULABLE"
    PREPARATION = "ENVIRONMENT_FAILED"
    """It has a node, and nothing of it comes to start: a volume, the network, or nobody knows."""


@dataclass(frozen=True, slots=True)
class Graces:
    """How long a pod may fail to start, in seconds from when it was first seen to fail so."""

    image_s: float = 120
    config_s: float = 60
    start_s: float = 60
    scheduling_s: float = 3600
    preparation_s: float = 3600
    """Of one that has a node and has not started anything, which may be the time that a large image takes."""
    lost_node_s: float = 30
    """How long after the end of a pod's own grace it may still be there before its node is asked after."""

    def of(self, grounds: Grounds) -> timedelta:
        """The grace of a pod that fails to start on these grounds."""
        seconds = {
            Grounds.IMAGE: self.image_s,
            Grounds.CONFIG: self.config_s,
            Grounds.PROGRAM: self.start_s,
            Grounds.START: self.start_s,
            Grounds.SCHEDULING: self.scheduling_s,
            Grounds.PREPARATION: self.preparation_s,
        }
        return timedelta(seconds=seconds[grounds])


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the verdict depends on beside the pod and its history."""

    now: datetime
    is_gone: bool = False
    """The API server has no such pod any more; the view is the last one there was."""
    is_stopping: bool = False
    """It was asked to stop, by us."""
    is_timing_out: bool = False
    """It was asked to end because its time is over, by us."""
    is_node_lost: bool = False
    """Its node is known to be lost."""


@dataclass(frozen=True, slots=True)
class Pending:
    """`main` has not started."""

    reason: str
    """Of the cluster, in UPPER_SNAKE."""
    message: str = ""
    grounds: Grounds | None = None
    """Why it will be given up, should it stay so."""
    since: datetime | None = None
    """Since when, by the clock of its node; None where that is not told."""
    is_grave: bool = False
    """Half of the grace that it has for that is over."""


@dataclass(frozen=True, slots=True)
class Started:
    """`main` runs."""

    reason: str = ""
    """What the user should know of that, in UPPER_SNAKE; empty: nothing."""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Ending:
    """`main` has ended well, and *stage-out* has its work to do."""

    held_by: tuple[str, ...] = ()
    """Containers that would keep the pod from ending: it has to be deleted for *stage-out* to begin."""
    is_slow: bool = False
    """It may be done long ago: the status of a pod that ends is told anew only when its last container has ended."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """It should be gone by now: its node may be lost."""


@dataclass(frozen=True, slots=True)
class Overtime:
    """Its time is over: it has to be deleted before its node ends it, with the long grace that outputs have."""


@dataclass(frozen=True, slots=True)
class Refused:
    """*stage-in* did not let it start: the records of the attempt say why."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the attempt has ended."""

    phase: Phase
    reason: str = ""
    message: str = ""
    exit_code: int | None = None
    report: str = ""
    """Of one that succeeded: what *stage-out* left as its termination message."""


Judgement = Pending | Started | Ending | Stuck | Overtime | Refused | Verdict
