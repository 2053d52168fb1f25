"""What a warm Python is asked for a step, if a fork of it would be the same as an interpreter of the step's own.

It is, unless the step changes what an interpreter reads as it starts, or what the shell reads that the component is
written for. Then nothing is asked, and the step runs as it is written.
"""

import json
import os
from collections.abc import Mapping

from penstock_server.launch.program import Program
from penstock_server.launch.strays import MARKER
from penstock_server.spec.ephemeral import ephemeral_component

MARKER_BYTES_MAX = 2048
"""Room for the attempt's name in the environment that a warm Python was started with."""
_READ_AT_START_PREFIXES = ("PYTHON", "LC_", "LD_", "MALLOC_", "GLIBC_")
_READ_AT_START = frozenset({"HOME", "PATH", "VIRTUAL_ENV", "LANG", "LANGUAGE", "LOCPATH", "GCONV_PATH", "NLSPATH"})
_READ_BY_SHELLS = frozenset({"IFS", "OLDPWD", "OPTIND", "PPID", "PWD", "SHLVL", "_"})


def warm_request(program: Program, env: Mapping[str, str], warm_env: Mapping[str, str]) -> bytes | None:
    """The request to run `program` with the variables `env`, for a warm Python that was started with `warm_env`; None
    where a fork would not do."""
    component = ephemeral_component(program.argv)
    folder = program.folder
    # Whatever else shares a variable with these would have to be split as Python does it.
    ours = {"TMPDIR": folder.tmp, "PYTHONPATH": folder.packages}
    if component is None or os.pathsep in folder.packages or any(env.get(name) != ours[name] for name in ours):
        return None
    marker = f"{MARKER}={env[MARKER]}"
    texts = (component.source, *component.arguments, *env.values())
    if not (_starts_alike(env, warm_env) and all(map(_can_be_handed_on, texts)) and _fits(marker)):
        return None
    request = {
        "marker": marker,
        "environ": dict(env),
        "work": folder.work,
        "tmp": folder.tmp,
        "packages": folder.packages,
        "source": component.source,
        "arguments": component.arguments,
    }
    return json.dumps(request).encode()


def _starts_alike(env: Mapping[str, str], warm_env: Mapping[str, str]) -> bool:
    """True when an interpreter starts the same way with either, and a shell hands on all of `env` as it is."""
    names = (env.keys() | warm_env.keys()) - {"PYTHONPATH"}
    read = [name for name in names if name.startswith(_READ_AT_START_PREFIXES) or name in _READ_AT_START]
    return (
        all(env.get(name) == warm_env.get(name) for name in read)
        and all(name.isascii() and name.isidentifier() for name in env)
        and _READ_BY_SHELLS.isdisjoint(env)
    )


def _can_be_handed_on(text: str) -> bool:
    """False for what no program can be given: the system refuses to start it then, and says why."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _fits(marker: str) -> bool:
    return len(marker.encode()) <= MARKER_BYTES_MAX
