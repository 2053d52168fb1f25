"""What launcher tests are made of: step requests, an artifact store in a folder, and waiting for
observations."""

import asyncio
import hashlib
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from uv import find_uv_bin

from penstock_server.launch.base import Launcher, Observation, Phase, Published, RunFacts, StepRequest
from penstock_server.launch.environments import EnvironmentSettings, StepEnvironments, uv_environment
from penstock_server.launch.process import ProcessLauncher, ProcessSettings
from penstock_server.launch.surroundings import PASSED_ON
from penstock_server.launch.warm import WarmSettings
from penstock_server.model.errors import NotFound
from penstock_server.model.ids import AttemptId, RunUid, TaskId
from penstock_server.model.resources import TaskValues
from penstock_server.spec.graph import (
    ArtifactInput,
    ArtifactOutput,
    Component,
    Container,
    ParameterInput,
    ParameterOutput,
    ParameterType,
    Resources,
)

WAIT_S = 120
STRING = ParameterType.STRING
FACTS = RunFacts(
    run_id="run-1",
    run_uid="0b2d6a9e-0000-4000-8000-000000000001",
    run_display_name="a run",
    pipeline_name="a-pipeline",
    namespace="default",
    create_time_utc="2026-01-02T03:04:05Z",
    schedule_time_utc="2026-01-02T03:04:05Z",
)


def attempt_id(task: str = "train", number: int = 1, run: RunUid | None = None) -> AttemptId:
    """The id of an attempt of a run of its own."""
    return AttemptId(run or RunUid(uuid.uuid4()), TaskId(task), number)


def component(
    command: Sequence[str] = ("true",),
    args: Sequence[str] = (),
    *,
    image: str = "",
    env: Sequence[tuple[str, str]] = (),
    inputs: Mapping[str, ParameterType] | None = None,
    input_artifacts: Sequence[str] = (),
    outputs: Mapping[str, ParameterType] | None = None,
    output_artifacts: Sequence[str] = (),
) -> Component:
    """A step that runs a command."""
    return Component(
        name="comp-step",
        input_parameters={
            name: ParameterInput(type, optional=True, has_default=False, default=None, description="", literals=())
            for name, type in (inputs or {}).items()
        },
        input_artifacts={
            name: ArtifactInput("system.Dataset", "0.0.1", is_list=False, optional=True, description="")
            for name in input_artifacts
        },
        output_parameters={name: ParameterOutput(type, "") for name, type in (outputs or {}).items()},
        output_artifacts={
            name: ArtifactOutput("system.Dataset", "0.0.1", is_list=False, metadata={}, description="")
            for name in output_artifacts
        },
        body=Container("exec-step", image, tuple(command), tuple(args), tuple(env), Resources(), {}),
    )


def step(
    *command: str,
    of: Component | None = None,
    attempt: AttemptId | None = None,
    inputs: TaskValues | None = None,
    store: Path | None = None,
    timeout_s: float | None = None,
    env: Mapping[str, str] | None = None,
    has_workspace: bool = False,
    has_started: bool = False,
) -> StepRequest:
    """A request to run `command`, or the component `of`."""
    attempt = attempt or attempt_id()
    of = of or component(command)
    root = f"file://{store or '/nowhere'}/{attempt}"
    return StepRequest(
        attempt=attempt,
        fence=1,
        task_key="train",
        facts=FACTS,
        component=of,
        inputs=inputs or TaskValues(),
        output_uris={name: f"{root}/{name}" for name in of.output_artifacts},
        output_root=root,
        timeout_s=timeout_s,
        env=env or {},
        has_workspace=has_workspace,
        has_started=has_started,
    )


def shell(script: str, **options: object) -> StepRequest:
    """A request to run a shell script."""
    return step("sh", "-c", script, **options)  # type: ignore[arg-type]  # handed on as they are


class FolderStore:
    """An artifact store in a folder, for `file://` URIs below it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.published: list[str] = []
        self.is_remote = False
        """True: content has to be fetched."""

    def local_path(self, uri: str) -> Path | None:
        path = self._path(uri)
        return None if self.is_remote or path is None else path

    async def publish(self, source: Path, uri: str) -> Published:
        target = self._path(uri)
        assert target is not None
        content = _copy(source, target)
        self.published.append(uri)
        return Published(f"sha256:{hashlib.sha256(content).hexdigest()}", len(content))

    async def fetch(self, uri: str, target: Path) -> None:
        source = self._path(uri)
        if source is None or not source.exists():
            raise NotFound("ARTIFACT_NOT_FOUND", f"there is nothing at {uri}")
        _copy(source, target)

    def _path(self, uri: str) -> Path | None:
        return Path(uri.removeprefix("file://")) if uri.startswith(f"file://{self.root}") else None


def _copy(source: Path, target: Path) -> bytes:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
        return b"".join(path.read_bytes() for path in sorted(source.rglob("*")) if path.is_file())
    shutil.copy(source, target)
    return source.read_bytes()


def make_launcher(
    root: Path,
    *,
    store: FolderStore | None = None,
    grace_s: float = 5,
    uv: Path | None = None,
    vmstat: Path | None = None,
    warm: WarmSettings | None = None,
    passed_on: tuple[str, ...] = (),
    **variables: str,
) -> ProcessLauncher:
    """A process launcher on the folder `root`, not started; `variables` are added to its environment, of which steps
    get those in `passed_on` too."""
    environ = {**os.environ, **variables}
    settings = EnvironmentSettings(uv=uv or Path(find_uv_bin()), environ=uv_environment(environ))
    environments = StepEnvironments(root / "environments", settings)
    artifacts = store or FolderStore(root / "store")
    process = ProcessSettings(
        environ, (*PASSED_ON, *passed_on), grace_s, warm or WarmSettings(), vmstat or Path("/proc/vmstat")
    )
    return ProcessLauncher(root / "steps", artifacts, environments, process)


@asynccontextmanager
async def running(root: Path, **options: object) -> AsyncIterator["Watched"]:
    """A started process launcher that is closed at the end."""
    watched = Watched(make_launcher(root, **options))  # type: ignore[arg-type]  # handed on as they are
    await watched.launcher.start()
    try:
        yield watched
    finally:
        await watched.close()


class Watched:
    """A launcher and what it has told."""

    def __init__(self, launcher: Launcher) -> None:
        self.launcher = launcher
        self.told: list[Observation] = []
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    async def run(self, request: StepRequest) -> Observation:
        """Launch it and wait for its end."""
        await self.launcher.launch(request)
        return await self.end_of(request)

    async def end_of(self, request: StepRequest) -> Observation:
        """Wait for its end."""
        return await self._wait_for(request.attempt, lambda seen: seen.phase.is_final)

    async def start_of(self, request: StepRequest) -> Observation:
        """Wait until it has started."""
        return await self._wait_for(request.attempt, lambda seen: seen.phase is Phase.STARTED)

    def phases(self, request: StepRequest) -> list[Phase]:
        """What was told of it so far."""
        return [seen.phase for seen in self.told if seen.attempt == request.attempt]

    async def log_of(self, request: StepRequest, offset: int = 0, *, follow: bool = False) -> bytes:
        """Its log from `offset` on."""
        chunks = self.launcher.logs(request.attempt, offset, follow=follow)
        return b"".join([chunk.content async for chunk in chunks])

    async def close(self) -> None:
        """Close the launcher."""
        await self.launcher.close()
        await asyncio.gather(self._reader, return_exceptions=True)

    def stop_reading(self) -> None:
        """Leave the observations to somebody else."""
        self._reader.cancel()

    async def _wait_for(self, attempt: AttemptId, test: Callable[[Observation], bool]) -> Observation:
        def found() -> Observation | None:
            return next((seen for seen in self.told if seen.attempt == attempt and test(seen)), None)

        async with asyncio.timeout(WAIT_S), self._news:
            await self._news.wait_for(lambda: found() is not None)
        seen = found()
        assert seen is not None
        return seen

    async def _read(self) -> None:
        async for observation in self.launcher.observe():
            async with self._news:
                self.told.append(observation)
                self._news.notify_all()


async def until(test: Callable[[], bool]) -> None:
    """Wait until `test()` is true."""
    async with asyncio.timeout(WAIT_S):
        while not test():  # other processes make it true; nothing tells of that
            await asyncio.sleep(0.01)
