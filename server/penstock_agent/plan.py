"""What the agent is to do for one attempt at one step: written by the server, read in the pod.

A plan is deterministic: whoever knows the attempt makes the same one again, which is how the server finds what the
report of an attempt is about.
"""

import binascii
import json
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

VERSION = 1
"""Of the form of plans. An agent refuses a plan of another one: the image and the server do not fit together."""
JOURNAL = ".penstock"
"""The folder below the outputs of an attempt, and beside artifacts, that is Penstock's own."""
PLAN_VARIABLE = "PENSTOCK_PLAN"
PLAN_URI_VARIABLE = "PENSTOCK_PLAN_URI"
STORE_VARIABLE = "PENSTOCK_STORE"
READABLE_BYTES_MAX = 4096
"""A plan up to this size stands in its variable as it is, for people to read."""
VARIABLE_BYTES_MAX = 64 * 1024
"""A plan that is longer lies in the object store: Linux takes 128 KiB for a variable, and two containers carry it."""


class PlanError(Exception):
    """There is no plan, or it cannot be read; the message says what is wrong with it."""


class StoreOptions(NamedTuple):
    """How the object store is reached. Credentials come from the environment, or from the pod's identity."""

    endpoint: str = ""
    """Empty: where the scheme of a URI says."""
    region: str = ""
    allow_http: bool = False
    root: str = ""
    """The URI under which the server stores; of `file://` nothing else is read or written."""

    def to_text(self) -> str:
        """As JSON, for a variable of a container."""
        return _for_kubernetes(json.dumps(self._asdict()))

    @classmethod
    def from_text(cls, text: str) -> "StoreOptions":
        """Raises PlanError."""
        try:
            return cls(**json.loads(text or "{}"))
        except (ValueError, TypeError) as error:
            raise PlanError(f"{STORE_VARIABLE} cannot be read: {error}") from error


class Fetch(NamedTuple):
    """Content that is brought to a path before the step starts."""

    uri: str
    path: str
    digest: str = ""
    """As it was stored: other content is refused. Empty: not known."""


class OutputArtifact(NamedTuple):
    """Where the step is told to write an output artifact, and where it is stored."""

    path: str
    uri: str
    is_list: bool = False


class StagePlan(NamedTuple):
    """All that the agent has to know of an attempt. Paths are absolute; URIs have no slash at their end."""

    attempt: str
    report_uri: str
    closed_uri: str
    output_root: str
    """The URI under which all that the step makes is stored."""
    shared: str
    """The folder that all containers of the pod share: only what lies in it can be stored."""
    outputs: str
    """The step's task directory, in the shared folder."""
    output_file: str
    """Where the KFP executor writes its results."""
    grace_s: float
    """So long the agent may take to store everything, once the step has ended."""
    folders: tuple[str, ...] = ()
    """To be made before the step starts, parents first; whoever runs it may write to them."""
    fetches: tuple[Fetch, ...] = ()
    """Input artifacts. One without content is no error: an artifact may be metadata only."""
    downloads: tuple[Fetch, ...] = ()
    """What an importer brings to the workspace: whole or not at all. What is there stays; no content is an error."""
    inputs: Mapping[str, tuple[str, ...]] = {}
    """For each input the places the step is given for its artifacts, in their order."""
    parameters: Mapping[str, str] = {}
    """For each output parameter its file."""
    artifacts: Mapping[str, OutputArtifact] = {}
    workspace: str = ""
    """Where the workspace is mounted; empty without one. An artifact may lie there too."""

    def to_json(self) -> str:
        """As one line of JSON."""
        document: dict[str, Any] = {
            "version": VERSION,
            **{key: value for key, value in self._asdict().items() if value},
        }
        return json.dumps(document, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "StagePlan":
        """Raises PlanError."""
        try:
            document = json.loads(text)
            if (version := document.pop("version", None)) != VERSION:
                raise PlanError(
                    f"the plan has version {version} and this agent reads version {VERSION}:"
                    " the image of the stage containers has to be that of the server"
                )
            return cls(**{key: _READERS.get(key, _as_is)(value) for key, value in document.items()})
        except (ValueError, TypeError, AttributeError) as error:
            raise PlanError(f"the plan cannot be read: {error}") from error

    def to_variable(self) -> str | None:
        """The plan as the value of `PLAN_VARIABLE`; None where it is too long for one."""
        text = self.to_json()
        if len(text) > READABLE_BYTES_MAX:
            text = binascii.b2a_base64(zlib.compress(text.encode()), newline=False).decode()
        text = _for_kubernetes(text)
        return text if len(text) <= VARIABLE_BYTES_MAX else None

    @classmethod
    def from_variable(cls, text: str) -> "StagePlan":
        """Raises PlanError."""
        if text.startswith("{"):
            return cls.from_json(text)
        try:
            return cls.from_json(zlib.decompress(binascii.a2b_base64(text, strict_mode=True)).decode())
        except (ValueError, zlib.error) as error:
            raise PlanError(f"the plan in {PLAN_VARIABLE} cannot be read: {error}") from error


def _as_is(value: Any) -> Any:
    return value


def _fetches(listed: list[list[str]]) -> tuple[Fetch, ...]:
    return tuple(Fetch(*item) for item in listed)


_READERS: dict[str, Any] = {
    "folders": tuple,
    "fetches": _fetches,
    "downloads": _fetches,
    "inputs": lambda given: {name: tuple(paths) for name, paths in given.items()},
    "artifacts": lambda given: {name: OutputArtifact(*item) for name, item in given.items()},
}


def _for_kubernetes(text: str) -> str:
    """JSON without a dollar sign: Kubernetes reads `$(NAME)` and `$$` in a variable as references to others."""
    return text.replace("$", "\\u0024")
