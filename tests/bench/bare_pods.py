"""The floor of a step on a cluster: a pod of the same three containers, made straight through the API.

Images and resources are those of a step; the containers around `main` run a bare interpreter, which does nothing, or
waits for its end. There is no plan in it, no store, no log that is kept, and nobody writes to a database.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from penstock_server.launch.kubernetes.api import ClusterApi, Kind
from penstock_server.launch.kubernetes.frame import STAGE_REQUESTS
from penstock_server.launch.kubernetes.names import MAIN, STAGE_IN, STAGE_OUT
from tests.bench.sightings import Moments, Sightings

_PYTHON = ("python3", "-IS", "-c")
_NOTHING = (*_PYTHON, "pass")
_UNTIL_ENDED = ("env", "--block-signal=TERM", *_PYTHON, "import signal; signal.sigwait([signal.SIGTERM])")
_VOLUME = "step"
_MOUNTS = [{"name": _VOLUME, "mountPath": "/penstock"}]


@dataclass(frozen=True, slots=True)
class BarePods:
    """Makes them in a namespace."""

    api: ClusterApi
    seen: Sightings
    namespace: str
    stage_image: str
    main_image: str

    async def run(self, count: int, *, at_once: int) -> list[Moments]:
        """So many pods, each made, watched to its end and removed; a place is free again when the end is seen."""
        places = asyncio.Semaphore(at_once)
        round_id = time.monotonic_ns()
        return await asyncio.gather(*(self._one(f"bare-{round_id}-{number}", places) for number in range(count)))

    async def _one(self, name: str, places: asyncio.Semaphore) -> Moments:
        async with places:
            ready_s = time.time()
            await self.api.create(Kind.PODS, self.namespace, self._manifest(name))
            seen = await self.seen.ended(name)
            known_s = time.time()
        await self.api.delete(Kind.PODS, self.namespace, name, grace_s=0)
        return Moments(ready_s, seen.created_s, seen.started_s, known_s)

    def _manifest(self, name: str) -> dict[str, Any]:
        around = {"image": self.stage_image, "resources": {"requests": dict(STAGE_REQUESTS)}, "volumeMounts": _MOUNTS}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {
                "restartPolicy": "Never",
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "initContainers": [
                    {**around, "name": STAGE_IN, "command": list(_NOTHING)},
                    {**around, "name": STAGE_OUT, "command": list(_UNTIL_ENDED), "restartPolicy": "Always"},
                ],
                "containers": [
                    {"name": MAIN, "image": self.main_image, "command": ["true"], "volumeMounts": _MOUNTS},
                ],
                "volumes": [{"name": _VOLUME, "emptyDir": {}}],
            },
        }
