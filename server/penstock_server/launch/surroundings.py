"""The environment variables of a step: chosen ones of the host, ours, the run's, the component's; never the
server's."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from penstock_server.launch.base import StepRequest
from penstock_server.launch.scratch import AttemptFolder
from penstock_server.launch.strays import MARKER

PASSED_ON = (
    *("HOME", "USER", "LOGNAME", "SHELL", "TZ", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE"),
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES"),
)
"""Variables of the host that a step gets as they are. None of them is about the server."""
PROMPT_PYTHON = {"PYTHONUNBUFFERED": "1"}
"""A Python writes what it prints at once. Into a log it would else gather that until it ends: then the log says nothing
while the step runs, and tells an exception before all that came before it."""
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def base_environment(environ: Mapping[str, str], passed_on: tuple[str, ...] = PASSED_ON) -> dict[str, str]:
    """What every step gets of the server's own `environ`. The server's Python environment is not on its
    PATH."""
    chosen = {name: environ[name] for name in passed_on if name in environ}
    own = str(Path(sys.prefix) / "bin") if sys.prefix != sys.base_prefix else None
    entries = [entry for entry in environ.get("PATH", DEFAULT_PATH).split(os.pathsep) if entry and entry != own]
    return PROMPT_PYTHON | chosen | {"PATH": os.pathsep.join(dict.fromkeys([str(base_bin()), *entries]))}


def base_bin() -> Path:
    """The folder with the programs of the Python that this server's own environment was made from."""
    return Path(sys.base_prefix) / "bin"


def step_environment(
    base: Mapping[str, str], request: StepRequest, folder: AttemptFolder, python_env: Path | None
) -> dict[str, str]:
    """The variables of one attempt, without the component's own, which go over them.

    What a step installs by itself with pip lands in the attempt's folder: neither the machine's own Python
    nor an environment that is shared with other steps changes under it.
    """
    env = python_environment(base, python_env) if python_env is not None else dict(base)
    env["TMPDIR"] = folder.tmp
    env["PIP_TARGET"] = env["PYTHONPATH"] = folder.packages
    env["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    env.update(request.env)
    return env


def python_environment(base: Mapping[str, str], python_env: Path) -> dict[str, str]:
    """What is so for all steps in the Python environment `python_env`."""
    path = f"{python_env / 'bin'}{os.pathsep}{base['PATH']}"
    return {**base, "VIRTUAL_ENV": str(python_env), "PATH": path}


def mark(env: dict[str, str], request: StepRequest) -> dict[str, str]:
    """`env` with what the launcher finds the attempt's processes by; nothing may overwrite it."""
    env[MARKER] = str(request.attempt)
    return env
