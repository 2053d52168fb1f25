"""What a warm Python is asked for a step, if a fork of it would be the same as an interpreter of the step's own.

It is, unless the step changes what an interpreter reads as it starts, or what the shell reads that the component is
written for. Then nothing is asked, and the step runs as it is written.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from penstock_server.launch.program import Program
from penstock_server.launch.strays import MARKER
from penstock_server.launch.warm_python import MARKER_BYTES_MAX
from penstock_server.spec.ephemeral import ephemeral_component

_READ_AT_START_PREFIXES = ("PYTHON", "LC_", "LD_", "MALLOC_", "GLIBC_")
_READ_AT_START = frozenset({"HOME", "PATH", "VIRTUAL_ENV", "LANG", "LANGUAGE", "LOCPATH", "GCONV_PATH", "NLSPATH"})
_READ_BY_SHELLS = frozenset({"IFS", "OLDPWD", "OPTIND", "PPID", "PWD", "SHLVL", "_"})


@dataclass(frozen=True, slots=True)
class WarmRequest:
    """A step as a warm Python is told of it."""

    marker: bytes
    """The variable that names the attempt."""
    content: bytes
    """Marker, folders, source, number of arguments, arguments, variables: each ends where a NUL or the whole ends."""


def warm_request(program: Program, env: Mapping[str, str], warm_env: Mapping[str, str]) -> WarmRequest | None:
    """The request to run `program` with the variables `env`, for a warm Python that was started with `warm_env`; None
    where a fork would not do."""
    component = ephemeral_component(program.argv)
    folder = program.folder
    # Whatever else shares a variable with these would have to be split as Python does it.
    ours = {"TMPDIR": folder.tmp, "PYTHONPATH": folder.packages}
    if component is None or os.pathsep in folder.packages or any(env.get(name) != ours[name] for name in ours):
        return None
    if not _starts_alike(env, warm_env):
        return None
    fresh = os.path.join(folder.tmp, f"tmp.{os.urandom(5).hex()}")
    fields = [f"{MARKER}={env[MARKER]}", folder.work, folder.packages, fresh]
    fields += [component.source, str(len(component.arguments)), *component.arguments]
    fields += [f"{name}={text}" for name, text in env.items()]
    return _packed(fields)


def _packed(fields: list[str]) -> WarmRequest | None:
    """None for what no program can be given: the system refuses to start it then, and says why."""
    try:
        parts = [field.encode() for field in fields]
    except UnicodeEncodeError:
        return None
    if any(b"\0" in part for part in parts) or len(parts[0]) > MARKER_BYTES_MAX:
        return None
    return WarmRequest(parts[0], b"\0".join(parts))


def _starts_alike(env: Mapping[str, str], warm_env: Mapping[str, str]) -> bool:
    """True when an interpreter starts the same way with either, and a shell hands on all of `env` as it is."""
    names = (env.keys() | warm_env.keys()) - {"PYTHONPATH"}
    read = [name for name in names if name.startswith(_READ_AT_START_PREFIXES) or name in _READ_AT_START]
    return (
        all(env.get(name) == warm_env.get(name) for name in read)
        and all(name.isascii() and name.isidentifier() for name in env)
        and _READ_BY_SHELLS.isdisjoint(env)
    )
