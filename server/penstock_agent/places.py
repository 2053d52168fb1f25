"""Where outputs are placed: which content of a step goes to which URI. One rule for processes and for pods."""

import os
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from penstock_agent.plan import JOURNAL, OutputArtifact, StagePlan


class ToldArtifact(NamedTuple):
    """Where an output artifact lies, by the step's own words."""

    uri: str
    """As declared to the step, or as the step has changed it."""
    custom_path: str = ""
    """Where the content lies instead; empty: at the URI."""


class Place(NamedTuple):
    """Where an output artifact is for good."""

    uri: str
    content: str = ""
    """The path of what is to be stored there; empty: nothing of this step's is."""


class Places(NamedTuple):
    """The places of one attempt."""

    declared: Mapping[str, OutputArtifact]
    output_root: str
    outputs: str
    """The step's task directory."""
    live: str
    """The folder of all that is the attempt's own."""
    work: str
    """What paths that are not absolute begin at."""
    handed_in: Collection[str] = ()
    """The places of input artifacts: the step may hand one on, which stores nothing."""

    @classmethod
    def of(cls, plan: StagePlan) -> "Places":
        """The places in a pod, where the step's working directory is not to be seen."""
        handed_in = frozenset(path for paths in plan.inputs.values() for path in paths)
        return cls(plan.artifacts, plan.output_root, plan.outputs, plan.shared, plan.shared, handed_in)

    def place(self, name: str, told: ToldArtifact) -> Place:
        """Where the artifact of output `name` is to be."""
        if told.uri in self.handed_in:
            return Place(told.uri)
        uri = self._lasting_uri(name, told.uri)
        if uri is None:
            return Place(told.uri)
        path = told.custom_path or told.uri or self.declared[name].path
        return Place(uri, os.path.join(self.work, path))

    def _lasting_uri(self, name: str, given: str) -> str | None:
        """Where the content of an artifact at `given` is stored; None where it lies elsewhere for good."""
        declared = self.declared[name]
        if not given or given == declared.path:
            return declared.uri
        path = os.path.normpath(given)
        if path.startswith(f"{declared.path}/"):
            return declared.uri + quote(path.removeprefix(declared.path))
        for folder in (self.outputs, self.live):
            if path.startswith(f"{folder}/"):
                inner = path.removeprefix(f"{folder}/")
                return None if inner.split("/")[0] == JOURNAL else f"{self.output_root}/{quote(inner)}"
        return None


def told_artifacts(told: Any, *, is_list: bool) -> list[dict[str, Any]]:
    """The artifacts of one output, as the executor's output lists them; `told` is what it says of the output,
    None for nothing. One of which nothing is told is as it was declared. Raises ValueError."""
    listed = told.get("artifacts") if isinstance(told, dict) else None
    if not listed:
        return [] if told is not None and is_list else [{}]
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise ValueError("it has another form than KFP's")
    return listed


def told_place(item: Mapping[str, Any], declared_path: str) -> ToldArtifact:
    """Where one of them lies."""
    custom_path = item.get("custom_path") or item.get("customPath") or ""
    return ToldArtifact(str(item.get("uri") or declared_path), str(custom_path))
