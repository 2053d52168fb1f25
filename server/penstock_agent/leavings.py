"""What a step has left in its pod: texts to report, content to store, and what is wrong with it."""

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from penstock_agent.content import ContentError, Source, is_there
from penstock_agent.places import Places, told_artifacts, told_place
from penstock_agent.plan import StagePlan
from penstock_agent.texts import read_text

REPORT_BYTES_MAX = 64 * 1024 * 1024
"""Of all texts together."""


class Leavings(NamedTuple):
    """What a step has left."""

    executor_output: str | None
    parameters: Mapping[str, str]
    contents: Mapping[str, Source]
    """What is to be stored, by the URI to store it at."""
    faults: tuple[str, ...]


def collect(plan: StagePlan) -> Leavings:
    """Look at all that the plan expects. What cannot be read becomes a fault."""
    within = tuple(os.path.realpath(folder) for folder in (plan.shared, plan.workspace) if folder)
    faults: list[str] = []

    def text(path: str) -> str | None:
        try:
            return read_text(path, within)
        except ContentError as error:
            faults.append(str(error))
            return None

    executor_output = text(plan.output_file)
    found = {name: text(path) for name, path in plan.parameters.items()}
    parameters = {name: value for name, value in found.items() if value is not None}
    size = len(executor_output or "") + sum(map(len, parameters.values()))
    if size > REPORT_BYTES_MAX:
        faults.append(f"the output parameters have {size} characters together, more than {REPORT_BYTES_MAX}")
        executor_output, parameters = None, {}
    contents = _contents(plan, executor_output, within, faults)
    return Leavings(executor_output, parameters, contents, tuple(faults))


def _contents(
    plan: StagePlan, executor_output: str | None, within: tuple[str, ...], faults: list[str]
) -> Mapping[str, Source]:
    told = _told(executor_output)
    if told is None:
        return {}  # the server says what is wrong with it
    places = Places.of(plan)
    contents: dict[str, Source] = {}
    for name, artifact in plan.artifacts.items():
        for item in _listed(told.get(name), is_list=artifact.is_list):
            place = places.place(name, told_place(item, artifact.path))
            if not place.content:
                continue
            try:
                if _is_to_be_stored(name, place.content, within):
                    contents[place.uri] = Source(place.content, within)
            except ContentError as error:
                faults.append(str(error))
    return contents


def _is_to_be_stored(name: str, path: str, within: tuple[str, ...]) -> bool:
    """Whether there is content. Raises ContentError for a place that only the step's own container sees."""
    if not any(os.path.realpath(path).startswith(f"{folder}/") for folder in within):
        raise ContentError(
            f"output artifact {name} lies at {path}, which only the container of the step sees:"
            f" write it below {' or '.join(within)}"
        )
    return is_there(path)


def _told(executor_output: str | None) -> Mapping[str, Any] | None:
    """What the executor says of artifacts; None where it says nothing that could be read."""
    if not (executor_output or "").strip():
        return {}
    try:
        told = json.loads(executor_output or "").get("artifacts", {})
    except (ValueError, RecursionError, AttributeError):
        return None
    return told if isinstance(told, dict) else None


def _listed(told: Any, *, is_list: bool) -> list[dict[str, Any]]:
    try:
        return told_artifacts(told, is_list=is_list)
    except ValueError:
        return []  # the server says what is wrong with it
