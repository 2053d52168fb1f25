"""What is done for one attempt, in tasks of its own: again and again while the cluster or the object store is away."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from penstock_server.launch.kubernetes.api_errors import ApiForbiddenError, ApiUnavailableError
from penstock_server.model.errors import Unavailable
from penstock_server.model.ids import AttemptId

_log = logging.getLogger(__name__)

RETRY_S = 1.0
RETRY_MAX_S = 15.0
INTERRUPTIONS_MAX = 5
"""After so many errors of our own an attempt is given up."""


@dataclass(slots=True)
class Work:
    """The tasks of an attempt."""

    attempt: AttemptId
    give_up: Callable[[Exception], None]
    """Is told the error that came again and again."""
    _tasks: "set[asyncio.Task[None]]" = field(default_factory=set)

    def begin(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it, until it is done; whatever it does it may have done before."""
        task = asyncio.create_task(self._insist(work), name=f"attempt-{self.attempt}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End all that is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _insist(self, work: Callable[[], Awaitable[None]]) -> None:
        wait_s, interruptions = RETRY_S, 0
        while True:
            try:
                return await work()
            except (ApiUnavailableError, Unavailable) as error:
                _log.warning("attempt waits", extra={"attempt": str(self.attempt), "error": str(error)})
                wait_s = error.retry_after_s or wait_s
            except ApiForbiddenError as error:
                _log.warning("attempt waits", extra={"attempt": str(self.attempt), "error": str(error)})
                wait_s = RETRY_MAX_S
            except Exception as error:
                _log.exception("attempt interrupted", extra={"attempt": str(self.attempt)})
                interruptions += 1
                if interruptions >= INTERRUPTIONS_MAX:
                    return self.give_up(error)
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, RETRY_MAX_S)
