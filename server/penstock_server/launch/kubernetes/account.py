"""What is told of the attempt in a pod: to the engine each thing once, to the log what an operator should see."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from penstock_server.launch.base import Observation, Phase
from penstock_server.launch.kubernetes.view import PodView
from penstock_server.launch.kubernetes.waits import says_the_same
from penstock_server.model.ids import AttemptId

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Account:
    """All that was told of one attempt."""

    attempt: AttemptId
    tell: Callable[[Observation], None]
    last: Observation | None = None
    """What was told last."""
    _warned_of: set[str] = field(default_factory=set)
    """Reasons of waits that the log has."""

    @property
    def has_ended(self) -> bool:
        """True when its end was told."""
        return self.last is not None and self.last.phase.is_final

    @property
    def is_pending(self) -> bool:
        """True when it was told last what it waits for."""
        return self.last is not None and self.last.phase is Phase.PENDING

    def waits(self, pod: PodView | None, reason: str, message: str) -> None:
        """It has not started, for this reason."""
        if self.last is None or not says_the_same(reason, self.last.reason):
            self.add(pod, Observation(self.attempt, Phase.PENDING, reason, message))

    def warn(self, pod: PodView | None, reason: str, message: str, *, ends_as: str, grace_s: float) -> None:
        """It has waited for so long that an operator should know, once for each reason."""
        if reason in self._warned_of:
            return
        self._warned_of.add(reason)
        facts = {"attempt": str(self.attempt), "pod": _name(pod), "reason": reason, "why": message}
        _log.warning("pod does not start", extra={**facts, "ends_as": ends_as, "grace_s": grace_s})

    def add(self, pod: PodView | None, observation: Observation) -> None:
        """Tell it, unless it is no news."""
        told = observation
        if pod is not None:
            told = replace(told, host=pod.node, handle=_name(pod))
        if told != self.last and not self.has_ended:
            self.last = told
            self.tell(told)


def _name(pod: PodView | None) -> str:
    return f"{pod.namespace}/{pod.name}" if pod is not None else ""
