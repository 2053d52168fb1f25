"""The artifact store as launchers ask for it; store and launchers do not know each other."""

from dataclasses import dataclass
from pathlib import Path

from penstock_server.launch.base import Published
from penstock_server.store.objects import Artifacts


@dataclass(frozen=True, slots=True)
class StoredArtifacts:
    """Implements `launch.base.ArtifactTransfer`."""

    store: Artifacts

    def local_path(self, uri: str) -> Path | None:
        """Where the content can be read in place."""
        return self.store.local_path(uri)

    async def publish(self, source: Path, uri: str) -> Published:
        """Store a file or folder, whole or not at all."""
        stored = await self.store.publish(source, uri)
        return Published(stored.digest, stored.size_bytes)

    async def fetch(self, uri: str, target: Path) -> None:
        """Bring the content to `target`. Raises NotFound."""
        await self.store.fetch(uri, target)
