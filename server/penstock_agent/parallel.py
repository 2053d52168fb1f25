"""Several things at a time, and things tried again."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from penstock_agent.notices import STORE_REFUSED, STORE_UNREACHABLE, say
from penstock_agent.stores import StoreError

AT_ONCE = 8
FIRST_DELAY_S = 0.2
DELAY_S_MAX = 5.0
TOLD_EVERY_S = 15.0
"""At most so often the log says that a store is asked again."""
T = TypeVar("T")


def in_parallel(jobs: Sequence[Callable[[], T]], at_once: int = AT_ONCE) -> list[T]:
    """Do all jobs; their results in order. Raises what the first that failed raised, once none is under way."""
    if len(jobs) < 2:
        return [job() for job in jobs]
    results: dict[int, T] = {}
    errors: list[BaseException] = []
    left = iter(enumerate(jobs))
    taking = threading.Lock()

    def take() -> tuple[int, Callable[[], T]] | None:
        with taking:
            return None if errors else next(left, None)

    def work() -> None:
        while (taken := take()) is not None:
            index, job = taken
            try:
                results[index] = job()
            except BaseException as error:
                errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(min(at_once, len(jobs)) - 1)]
    for thread in threads:
        thread.start()
    work()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [results[index] for index in range(len(jobs))]


class Patience:
    """Asks a store again, at growing distances, until a moment. Any number of threads may share it."""

    def __init__(
        self,
        patience_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        *,
        refusals_s: float = 0.0,
    ) -> None:
        """A store that refuses is asked again for `refusals_s` at most: a cloud may take a while to know our keys."""
        now = clock()
        self._until = now + patience_s
        self._until_refused = now + min(patience_s, refusals_s)
        self._to_utc = time.time() - now
        self._clock = clock
        self._sleep = sleep
        self._telling = threading.Lock()
        self._told_at: float | None = None

    def __call__(self, action: Callable[[], T]) -> T:
        """What `action` returns. Raises the StoreError that lasts, or was the last."""
        delay_s = FIRST_DELAY_S
        while True:
            try:
                return action()
            except StoreError as error:
                until = self._until_refused if error.is_lasting else self._until
                if self._clock() + delay_s > until:
                    raise
                self._tell(error, until)
            self._sleep(delay_s)
            delay_s = min(2 * delay_s, DELAY_S_MAX)

    def _tell(self, error: StoreError, until: float) -> None:
        """Say in the log that the store is asked again, if that was not said just now."""
        with self._telling:
            now = self._clock()
            if self._told_at is not None and now - self._told_at < TOLD_EVERY_S:
                return
            self._told_at = now
        reason = STORE_REFUSED if error.is_lasting else STORE_UNREACHABLE
        end = time.strftime("%H:%M:%S", time.gmtime(until + self._to_utc))
        say(reason, f"{error}; asked again until {end} UTC")
