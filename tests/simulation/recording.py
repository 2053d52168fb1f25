"""A model of the store that keeps what it was asked and what it said, so that Postgres can be asked the same."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from penstock_server.model.ids import RunUid, ServerId
from penstock_server.store.loading import RunRecord
from penstock_server.store.transitions import CommitResult
from tests.engine.world import Rows
from tests.simulation.store import LEASES, ModelStore


@dataclass(frozen=True, slots=True)
class Asked:
    """One statement, and what the model said to it."""

    name: str
    values: tuple[Any, ...]
    options: dict[str, Any]
    answer: Any
    lapsed: frozenset[ServerId]
    """Servers whose lease had run out by then."""


class RecordingStore(ModelStore):
    """Keeps all statements in the order in which they were carried out."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.asked: list[Asked] = []

    def insert(self, rows: Rows) -> None:
        run = rows.run
        super().insert(rows)
        self._keep("insert", (run,), {}, None, run.uid)

    def ask(self, uid: RunUid, **asked: Any) -> None:
        super().ask(uid, **asked)
        self._keep("ask", (uid,), asked, None, uid)

    def load_run(self, uid: RunUid) -> RunRecord | None:
        answer = super().load_run(uid)
        self._keep("load_run", (uid,), {}, answer)
        return answer

    def commit(self, server: ServerId, batch: Any) -> CommitResult:
        answer = super().commit(server, batch)
        self._keep("commit", (server, tuple(batch)), {}, answer, *(changes.run_uid for changes in batch))
        return answer

    def _keep(self, name: str, values: tuple[Any, ...], options: dict[str, Any], answer: Any, *runs: RunUid) -> None:
        now = self.clock()
        lapsed = frozenset(server for server, until in self.servers.items() if until <= now)
        self.asked.append(Asked(name, values, options, answer, lapsed))
        self.asked += [Asked("load_run", (uid,), {}, ModelStore.load_run(self, uid), lapsed) for uid in runs]


def _recorded(name: str) -> Callable[..., Any]:
    carry_out = getattr(ModelStore, name)

    def ask(store: RecordingStore, *values: Any) -> Any:
        answer = carry_out(store, *values)
        store._keep(name, values, {}, answer)
        return answer

    return ask


for _name in LEASES:
    setattr(RecordingStore, _name, _recorded(_name))
