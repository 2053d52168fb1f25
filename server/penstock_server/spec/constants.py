"""Constants of a pipeline, and what the placeholders in them stand for: what is told of the run, and inputs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from penstock_server.model.json import Json
from penstock_server.spec.graph import TaskSpec
from penstock_server.spec.values import as_text

WORKSPACE_PATH = "/kfp-workspace"
"""Where each step of a run finds the folder that they share."""
_FILLED = re.compile(r"\{\{\$\.inputs\.parameters\[(?:'([^']*)'|\"([^\"]*)\")\]\}\}|(\{\{\$\.\w+\}\})")


@dataclass(frozen=True, slots=True)
class RunConstants:
    """What placeholders tell of the run."""

    job_name: str
    """The run's display name."""
    job_resource_name: str
    """Begins with the pipeline's name and a hyphen."""
    job_uuid: str
    create_time_utc: str
    """RFC 3339."""
    schedule_time_utc: str

    def placeholders(self, task_key: str, task_uuid: str) -> dict[str, str]:
        """Each placeholder, as it stands in constants and commands, with its text."""
        return {
            "{{$.pipeline_job_name}}": self.job_name,
            "{{$.pipeline_job_resource_name}}": self.job_resource_name,
            "{{$.pipeline_job_uuid}}": self.job_uuid,
            "{{$.pipeline_task_name}}": task_key,
            "{{$.pipeline_task_uuid}}": task_uuid,
            "{{$.pipeline_job_create_time_utc}}": self.create_time_utc,
            "{{$.pipeline_job_schedule_time_utc}}": self.schedule_time_utc,
            "{{$.workspace_path}}": WORKSPACE_PATH,
        }


def task_texts(task: TaskSpec, constants: RunConstants) -> dict[str, str]:
    """What placeholders in constants of the task stand for."""
    return constants.placeholders(task.key, f"{constants.job_uuid}.{task.key}")


def filled(value: Json, inputs: Mapping[str, Json], texts: Mapping[str, str]) -> Json:
    """A constant with its placeholders replaced in one pass: what is put in is not looked at again."""
    if isinstance(value, list):
        return [filled(item, inputs, texts) for item in value]
    if isinstance(value, dict):
        # The SDK formats keys as well as values.
        return {str(filled(key, inputs, texts)): filled(item, inputs, texts) for key, item in value.items()}
    if not isinstance(value, str) or "{{$" not in value:
        return value
    if value in texts:
        return texts[value]

    def text_of(match: "re.Match[str]") -> str:
        name = match.group(1) or match.group(2) or ""
        if match.group(3):
            return texts.get(match.group(3), match.group(3))
        return as_text(inputs[name]) if name in inputs else match.group(0)

    return _FILLED.sub(text_of, value)
