"""Waking the watches of this process when the store tells of new events.

One subscription serves all of them. A notification only wakes: what is new is read by sequence, and a watch that
hears nothing looks by itself once in a while.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from penstock_server.model.errors import Unavailable
from penstock_server.model.ids import RunUid


class Subscription(Protocol):
    """What is heard on a channel of notifications."""

    async def wait(self, timeout_s: float) -> frozenset[str]:
        """Payloads since the last call; empty when the time ran out."""
