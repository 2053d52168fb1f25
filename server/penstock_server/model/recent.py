"""What was used last, kept within a bound in bytes."""

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Values that can be made anew from what their keys stand for; what was used least recently goes first.

    Threads may share one.
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """The value; None when it is not kept."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def keep(self, key: K, value: V, size_bytes: int) -> None:
        """Keep the value, unless somebody else has done so meanwhile. One that is larger than all room is not kept."""
        with self._lock:
            if key in self._kept or size_bytes > self._bytes_max:
                return
            self._kept[key] = (value, size_bytes)
            self._bytes += size_bytes
            while self._bytes > self._bytes_max:
                _key, (_value, gone_bytes) = self._kept.popitem(last=False)
                self._bytes -= gone_bytes
