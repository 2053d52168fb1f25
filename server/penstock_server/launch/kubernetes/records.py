"""What is kept of an attempt beside its pod, in the object store: whether it may still start, its report, its log.

It lies where the id of the attempt alone leads to, since that is all that some are told who look for it.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from penstock_server.launch import verdicts
from penstock_server.launch.base import Observation
from penstock_server.model.ids import AttemptId, RunUid
from penstock_server.model.json import JsonObject

FOLDER = ".penstock"


class RecordStore(Protocol):
    """Small files and logs by URI. All of it may be repeated; every method raises Unavailable."""

    async def read(self, uri: str) -> bytes | None:
        """The whole content; None where there is none."""

    def stream(self, uri: str, offset: int) -> AsyncIterator[bytes]:
        """The content from a byte on, in pieces. Raises NotFound."""

    async def write(self, uri: str, content: bytes | AsyncIterator[bytes]) -> None:
        """Store the content, whole or not at all, instead of what is there."""

    async def list(self, uri: str) -> list[tuple[str, int]]:
        """What lies directly below the URI: names, and sizes in bytes."""

    async def drop(self, uri: str) -> None:
        """Remove all that lies below the URI."""


@dataclass(frozen=True, slots=True)
class Closing:
    """Nothing of the attempt may start any more."""

    reason: str
    """STOPPED, FORGOTTEN, or ENDED: its pod is about to go, and this is how it ended."""
    message: str = ""
    verdict: Observation | None = None


@dataclass(frozen=True, slots=True)
class Records:
    """The records of all attempts below a root."""

    store: RecordStore
    root: str
    """URI, without a slash at its end."""

    def folder(self, run: RunUid) -> str:
        """Where the records of a run lie."""
        return f"{self.root}/{FOLDER}/{run}"

    def plan_uri(self, attempt: AttemptId) -> str:
        """Of a plan that is too long for a variable."""
        return f"{self._of(attempt)}/plan.json"

    def report_uri(self, attempt: AttemptId) -> str:
        """Of what *stage-out* reports."""
        return f"{self._of(attempt)}/report.json"

    def closed_uri(self, attempt: AttemptId) -> str:
        """Of what keeps *stage-in* from starting."""
        return f"{self._of(attempt)}/closed.json"

    def log_uri(self, attempt: AttemptId) -> str:
        """Of what `main` has written."""
        return f"{self._of(attempt)}/log"

    def log_parts_uri(self, attempt: AttemptId) -> str:
        """Of the parts of what it has written, where that was stored while it ran."""
        return f"{self._of(attempt)}/log.parts"

    async def close(self, attempt: AttemptId, closing: Closing) -> None:
        """See to it that nothing of the attempt starts any more."""
        kept: JsonObject = {"attempt": str(attempt), "reason": closing.reason, "message": closing.message}
        if closing.verdict is not None:
            kept["verdict"] = verdicts.to_json(closing.verdict)
        await self.store.write(self.closed_uri(attempt), json.dumps(kept).encode())

    async def closing(self, attempt: AttemptId) -> Closing | None:
        """Why nothing of it may start any more; None where it may."""
        content = await self.store.read(self.closed_uri(attempt))
        if content is None:
            return None
        kept = json.loads(content)
        verdict = verdicts.from_json(attempt, kept["verdict"]) if "verdict" in kept else None
        return Closing(kept["reason"], kept["message"], verdict)

    async def is_reported(self, attempt: AttemptId) -> bool:
        """Whether *stage-out* has stored its report, which it does last."""
        return await self.store.read(self.report_uri(attempt)) is not None

    async def discard(self, run: RunUid) -> None:
        """Drop all that is kept of the attempts of a run."""
        await self.store.drop(self.folder(run))

    def _of(self, attempt: AttemptId) -> str:
        return f"{self.folder(attempt.run_uid)}/{attempt.task_id}/{attempt.number}"
