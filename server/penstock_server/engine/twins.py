"""Cached steps that do the same at the same time on this server: one runs, the others wait for its results."""

from penstock_server.model.ids import RunUid, TaskId


class Twins:
    """Which step runs under each cache key, and which ones wait for it."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[RunUid, TaskId]] = {}
        self._waiting: dict[str, list[tuple[RunUid, TaskId]]] = {}
        self._keys: dict[RunUid, dict[TaskId, str]] = {}
        """Of those that run."""

    def running(self, key: str) -> tuple[RunUid, TaskId] | None:
        """Who runs under the key; None when nobody does."""
        return self._running.get(key)

    def start(self, key: str, run: RunUid, task: TaskId) -> None:
        """The step runs under the key, unless another one does already."""
        if key not in self._running:
            self._running[key] = (run, task)
            self._keys.setdefault(run, {})[task] = key

    def wait(self, key: str, run: RunUid, task: TaskId) -> bool:
        """The step waits for the one that runs; False when that has ended by now."""
        if key not in self._running:
            return False
        self._waiting.setdefault(key, []).append((run, task))
        return True

    def end(self, run: RunUid, task: TaskId) -> list[tuple[RunUid, TaskId]]:
        """The step runs no more; those that waited for it."""
        keys = self._keys.get(run, {})
        key = keys.pop(task, None)
        if key is None:
            return []
        if not keys:
            del self._keys[run]
        del self._running[key]
        return self._waiting.pop(key, [])

    def drop(self, run: RunUid) -> list[tuple[RunUid, TaskId]]:
        """The run is no longer this server's; those that waited for its steps."""
        return [waiting for task in list(self._keys.get(run, ())) for waiting in self.end(run, task)]
