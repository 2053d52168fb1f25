"""What a stage says in its log while something takes long, and how the server finds it there.

A notice is a line: `penstock: STORE_UNREACHABLE: ...`. In the ordinary case a stage says nothing.
"""

import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

STORE_UNREACHABLE = "STORE_UNREACHABLE"
STORE_REFUSED = "STORE_REFUSED"
FETCHING_INPUTS = "FETCHING_INPUTS"
FIRST_S = 15.0
"""What takes longer is told."""
EVERY_S_MAX = 120.0
"""At first it is told after twice as long each time, and so often in the end."""
_PREFIX = "penstock: "


def say(reason: str, message: str) -> None:
    """Write a notice."""
    print(f"{_PREFIX}{reason}: {' '.join(message.split())}", file=sys.stderr, flush=True)


def last_notice(log: str) -> tuple[str, str] | None:
    """Reason and message of the last line of a log; None where that is no notice."""
    lines = log.splitlines()
    found = re.fullmatch(rf"{_PREFIX}([A-Z_]+): (.+)", lines[-1]) if lines else None
    return (found[1], found[2]) if found is not None else None


@contextmanager
def telling(reason: str, message: Callable[[], str]) -> Iterator[None]:
    """Say what is under way for as long as it is, should it take long."""
    is_done = threading.Event()

    def tell() -> None:
        wait_s = FIRST_S
        while not is_done.wait(wait_s):
            say(reason, message())
            wait_s = min(2 * wait_s, EVERY_S_MAX)

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        is_done.set()
        teller.join()
