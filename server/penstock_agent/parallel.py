"""Several things at a time, and things tried again."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from penstock_agent.stores import StoreError

AT_ONCE = 8
FIRST_DELAY_S = 0.2
DELAY_S_MAX = 5.0
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
    """Asks a store again, at growing distances, until a moment."""

    def __init__(
        self,
        patience_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._until = clock() + patience_s
        self._clock = clock
        self._sleep = sleep

    def __call__(self, action: Callable[[], T]) -> T:
        """What `action` returns. Raises the StoreError that lasts, or was the last."""
        delay_s = FIRST_DELAY_S
        while True:
            try:
                return action()
            except StoreError as error:
                if error.is_lasting or self._clock() + delay_s > self._until:
                    raise
            self._sleep(delay_s)
            delay_s = min(2 * delay_s, DELAY_S_MAX)
