"""Storing the outputs of a step, with patience: a store that is full or away for a while costs time only."""

import asyncio
from dataclasses import dataclass

from penstock_server.launch.base import ArtifactTransfer, Published
from penstock_server.launch.outputs import CollectedOutputs
from penstock_server.model.errors import PenstockError, Unavailable

PATIENCE_S = 120.0
"""So long an output is tried to be stored, once that has failed."""


class PublicationError(Exception):
    """An output could not be stored, and will not be."""


@dataclass(slots=True)
class Publication:
    """The outputs of one attempt on their way to the store."""

    artifacts: ArtifactTransfer
    _failing_since: float | None = None
    """By the event loop's time."""

    async def publish(self, outputs: CollectedOutputs) -> dict[str, Published]:
        """Store all, from the first on when it is repeated: what was stored, by its URI.

        Raises Unavailable when repeating may help, PublicationError when it does not.
        """
        published: dict[str, Published] = {}
        try:
            for uri, source in outputs.to_publish.items():
                published[uri] = await self.artifacts.publish(source, uri)
        except (PenstockError, OSError) as error:
            if isinstance(error, Unavailable) and self._has_patience():
                raise
            raise PublicationError(f"an output artifact could not be stored: {error}") from error
        return published

    def _has_patience(self) -> bool:
        now = asyncio.get_running_loop().time()
        if self._failing_since is None:
            self._failing_since = now
        return now - self._failing_since < PATIENCE_S
