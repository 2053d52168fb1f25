"""The plays of the launchers' conformance suite, as pods."""

import shlex
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from penstock_server.launch.base import Launcher, StepRequest
from penstock_server.model.ids import AttemptId
from penstock_server.model.json import JsonObject
from penstock_server.spec.pod_settings import PodSettings
from tests.kubernetes.cluster import SHELL_IMAGE, Cluster
from tests.launch.world import STRING, attempt_id, component, step


class KubernetesScene:
    """Real pods, which share a folder with the test."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.installation = uuid.uuid4().hex
        self._folder = cluster.folder / self.installation
        self._folder.mkdir()
        self._folder.chmod(0o777)
        self._ran = self._folder / "ran"
        self._gates = 0

    def launcher(self, **settings: Any) -> Launcher:
        return self._cluster.launcher(self.installation, **settings)

    def succeeding(self, *, log: str = "", output: str | None = None) -> StepRequest:
        if output is None:
            return self.step(f"printf %s {shlex.quote(log)}")
        return self.step('printf %s "$2" > "$1"', writes=output)

    def failing(self, exit_code: int, *, log: str = "") -> StepRequest:
        return self.step(f"printf %s {shlex.quote(log)}; exit {exit_code}")

    def waiting(self, *, log: str = "") -> tuple[StepRequest, Callable[[], None]]:
        self._gates += 1
        gate = self._folder / f"gate-{self._gates}"
        wait = f"until [ -e {shlex.quote(str(gate))} ]; do sleep 0.1; done"
        return self.step(f"printf %s {shlex.quote(log)}; {wait}"), gate.touch

    def runs(self, attempt: AttemptId) -> int:
        return self._ran.read_text().split().count(str(attempt)) if self._ran.exists() else 0

    def placed(self, request: StepRequest) -> StepRequest:
        """The request with its outputs in the store that the pods share."""
        root = f"file://{self._cluster.store}/{request.attempt}"
        uris = {name: f"{root}/{name}" for name in request.output_uris}
        return replace(request, output_root=root, output_uris=uris)

    def step(self, script: str, writes: str | None = None) -> StepRequest:
        """A step that notes down that it has run, and then runs the script."""
        attempt = attempt_id()
        journal = f"echo {attempt} >> {shlex.quote(str(self._ran))}; "
        place = ["{{$.outputs.parameters['result'].output_file}}", writes] if writes is not None else []
        outputs = {"result": STRING} if writes is not None else None
        of = component(["sh", "-c", journal + script, "step", *place], image=SHELL_IMAGE, outputs=outputs)
        request = step(of=of, attempt=attempt, store=self._cluster.store)
        return shared(request, str(self._folder))


def shared(request: StepRequest, folder: str) -> StepRequest:
    """The step with a folder of this machine at the same place in its pod."""
    volume: JsonObject = {"name": "shared", "hostPath": {"path": folder}}
    mount: JsonObject = {"name": "shared", "mountPath": folder}
    return replace(request, settings=PodSettings(volumes=(volume,), volume_mounts=(mount,)))
