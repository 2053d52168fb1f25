"""Python environments for steps: one for each set of requirements, built once with `uv`, shared by all steps.

    <root>/<key>/         the environment, in its final place: scripts in it name their interpreter by path
    <root>/<key>/.ready   written last; without it the environment is not used and is built anew
    <root>/<key>.lock     held while it is built, also by the `uv` that builds it: one that a killed server
                          has left behind is waited for rather than disturbed

The key covers the requirements, the interpreter and what we put in ourselves (see `long_arguments`
and `warm_hook`). Neither the
server's own environment nor the machine's Python is written to.
"""

import asyncio
import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from penstock_server.launch import long_arguments, warm_hook
from penstock_server.launch.strays import signal_group
from penstock_server.launch.surroundings import base_bin
from penstock_server.spec.packages import PackageGroup, Requirements

_READY = ".ready"
_HOOKS = {long_arguments.HOOK_NAME: long_arguments.HOOK, warm_hook.HOOK_NAME: warm_hook.HOOK}
"""What Python runs as it starts in an environment of ours."""
_LOCK_POLL_S = 0.1
_ERROR_BYTES_MAX = 4096
_NOT_FOR_UV = frozenset({"UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_PROJECT", "UV_PROJECT_ENVIRONMENT"})
_KEPT = ("HOME", "PATH", "USER", "TMPDIR", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR")
_KEPT_PREFIXES = (
    "UV_",
    "XDG_",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
)
_OF_PIP = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_NO_INDEX": "UV_NO_INDEX",
    "PIP_TRUSTED_HOST": "UV_INSECURE_HOST",
    "PIP_DEFAULT_TIMEOUT": "UV_HTTP_TIMEOUT",
    "PIP_CERT": "SSL_CERT_FILE",
}


class EnvironmentBuildError(Exception):
    """The environment could not be built; the message is what `uv` had to say, shortened to its end."""


@dataclass(frozen=True, slots=True)
class EnvironmentSettings:
    """How environments are built."""

    uv: Path
    environ: Mapping[str, str]
    """Variables for `uv`: index, proxies, certificates. See `uv_environment`."""
    python: Path = base_bin() / f"python{sys.version_info.major}.{sys.version_info.minor}"
    """The interpreter the environments are made of."""
    timeout_s: float = 1800
    """A build that takes longer has failed."""


def uv_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What of the server's `environ` concerns `uv`; what is said to pip only is said to `uv` as well."""
    env = {
        name: value
        for name, value in environ.items()
        if (name in _KEPT or name.startswith(_KEPT_PREFIXES)) and name not in _NOT_FOR_UV
    }
    for of_pip, of_uv in _OF_PIP.items():
        if of_pip in environ:
            env.setdefault(of_uv, environ[of_pip])
    if "PIP_FIND_LINKS" in environ:
        env.setdefault("UV_FIND_LINKS", ",".join(environ["PIP_FIND_LINKS"].split()))
    return env


class StepEnvironments:
    """Finds environments, and builds those that are missing. Servers on one host share the folder."""

    def __init__(self, root: Path, settings: EnvironmentSettings) -> None:
        self._root = root.absolute()
        self._settings = settings
        self._builds: dict[str, asyncio.Task[Path]] = {}

    def find(self, requirements: Requirements) -> Path | None:
        """The environment, if it is ready."""
        path = self._path(requirements)
        return path if (path / _READY).exists() else None

    async def build(self, requirements: Requirements) -> Path:
        """The environment, built now unless it is ready. Raises EnvironmentBuildError; repeating helps.

        Callers who are cancelled leave the build to the others; `close` ends it.
        """
        key = self._key(requirements)
        build = self._builds.get(key)
        if build is None:
            build = asyncio.create_task(self._build(requirements), name=f"environment-{key}")
            self._builds[key] = build
            build.add_done_callback(lambda done: self._settle(key, done))
        return await asyncio.shield(build)

    async def close(self) -> None:
        """End the builds that are going on; may be called twice."""
        builds = list(self._builds.values())
        for build in builds:
            build.cancel()
        await asyncio.gather(*builds, return_exceptions=True)

    def _settle(self, key: str, build: "asyncio.Task[Path]") -> None:
        self._builds.pop(key, None)
        if not build.cancelled():
            build.exception()  # whoever waits for the build hears of it; there may be nobody left who does

    def _key(self, requirements: Requirements) -> str:
        parts = f"{requirements.key}\n{self._settings.python}\n{sys.version}\n{_HOOKS}"
        return hashlib.sha256(parts.encode()).hexdigest()[:24]

    def _path(self, requirements: Requirements) -> Path:
        return self._root / self._key(requirements)

    async def _build(self, requirements: Requirements) -> Path:
        path = self._path(requirements)
        self._root.mkdir(parents=True, exist_ok=True)
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                await _lock(lock)
                if not (path / _READY).exists():
                    await self._build_at(path, requirements, lock)
        except TimeoutError:
            raise EnvironmentBuildError(f"not ready within {self._settings.timeout_s:g} s") from None
        finally:
            os.close(lock)
        return path

    async def _build_at(self, path: Path, requirements: Requirements, lock: int) -> None:
        await asyncio.to_thread(_remove, path)
        await self._uv(["venv", "--no-project", "--python", str(self._settings.python), str(path)], lock)
        install = ["pip", "install", "--python", str(path / "bin" / "python")]
        if (wheels := bundled_pip()) is not None:
            await self._uv([*install, "--no-index", "--find-links", str(wheels), "pip"], lock)
        for group in requirements.groups:
            await self._uv([*install, *group_arguments(group)], lock)
        await asyncio.to_thread(_finish, path, requirements)

    async def _uv(self, arguments: Sequence[str], lock: int) -> None:
        process = await asyncio.create_subprocess_exec(
            self._settings.uv,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=self._root,
            env=dict(self._settings.environ),
            pass_fds=(lock,),
            start_new_session=True,
        )
        try:
            output, _ = await process.communicate()
        except asyncio.CancelledError:
            signal_group(process.pid, signal.SIGKILL)
            await process.wait()
            raise
        if process.returncode != 0:
            told = output.decode("utf-8", "replace")[-_ERROR_BYTES_MAX:].strip()
            raise EnvironmentBuildError(told or f"uv {arguments[0]} ended with {process.returncode} and said nothing")


def _finish(path: Path, requirements: Requirements) -> None:
    for packages in path.glob("lib/python*/site-packages"):
        for name, hook in _HOOKS.items():
            (packages / name).write_text(hook)
    (path / _READY).write_text(f"{requirements.key}\n")


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)


def build_of(path: Path) -> tuple[int, int] | None:
    """What tells this build of the environment at `path` from others; None when it is not ready."""
    try:
        ready = os.stat(path / _READY)
    except OSError:
        return None
    return ready.st_ino, ready.st_mtime_ns


async def _lock(fd: int) -> None:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Another server builds it; when that one is done, or killed, it is our turn to look.
            await asyncio.sleep(_LOCK_POLL_S)
        else:
            return


def bundled_pip() -> Path | None:
    """The folder with the wheel of pip that comes with Python, for steps that call pip; None where there is
    none."""
    found = importlib.util.find_spec("ensurepip")
    if found is None or found.origin is None:
        return None
    wheels = Path(found.origin).parent / "_bundled"
    return wheels if any(wheels.glob("pip-*.whl")) else None


def group_arguments(group: PackageGroup) -> list[str]:
    """What `uv pip install` is given for one group of packages."""
    flags = {"--no-deps": group.no_deps, "--upgrade": group.upgrade}
    arguments = [flag for flag, is_set in flags.items() if is_set]
    if group.pre:
        arguments += ["--prerelease", "allow"]
    if group.index_url:
        arguments += ["--default-index", group.index_url]
    for option, values in (
        ("--index", group.extra_index_urls),
        ("--allow-insecure-host", group.trusted_hosts),
        ("--find-links", group.find_links),
    ):
        arguments += [word for value in values for word in (option, value)]
    return [*arguments, *group.packages]
