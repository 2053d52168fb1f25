"""A finished run, and what has to hold of it: the end state and selected outputs, as rows of tables tell them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from google.protobuf.json_format import MessageToDict

from penstock import Client
from penstock.v1 import run_pb2, task_pb2


@dataclass(frozen=True, slots=True)
class Expected:
    """What has to hold at the end; what a row leaves out is not looked at."""

    end: str = "SUCCEEDED"
    failed: str = ""
    """The task that failed first."""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    """Output parameters of the run."""
    tasks: Mapping[str, str] = field(default_factory=dict)
    """States of tasks by their ids."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why tasks are in the state that they are in."""
    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Output parameters of tasks."""
    contents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Texts that output artifacts of tasks contain; of a list of artifacts one each."""
    metadata: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Metadata of output artifacts of tasks, or some of it."""
    logs: Mapping[str, str] = field(default_factory=dict)
    """Texts that stand in the logs of tasks."""


def read_file(uri: str) -> str:
    """The text of an artifact in a folder."""
    return Path(urlsplit(uri).path).read_text()


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run and the way to what it left."""

    client: Client
    run: run_pb2.Run
    read: Callable[[str], str] = read_file
    """The text of an artifact, by its URI."""

    def check(self, expected: Expected) -> None:
        """Fail where something is not as expected."""
        told = f"{self.run.name}: {self.run.reason}: {self.run.message}"
        assert run_pb2.Run.State.Name(self.run.state) == f"STATE_{expected.end}", told
        assert self.run.failed_task.rpartition("/")[2] == expected.failed
        for name, value in expected.outputs.items():
            assert MessageToDict(self.run.outputs[name]) == value, name
        for task, state in expected.tasks.items():
            assert task_pb2.Task.State.Name(self.task(task).state) == f"STATE_{state}", f"{task}: {self.task(task)}"
        for task, reason in expected.reasons.items():
            assert self.task(task).reason == reason, f"{task}: {self.task(task)}"
        for task, values in expected.values.items():
            made = self.task(task).outputs.parameters
            assert {name: MessageToDict(made[name]) for name in values} == values, task
        for task, text in expected.logs.items():
            assert text in self.log(task), task
        self._check_artifacts(expected)

    def task(self, task_id: str) -> task_pb2.Task:
        """A task with its attempts."""
        return self.client.runs.task(self.run, task_id)

    def log(self, task_id: str) -> str:
        """What the newest attempt of a step wrote."""
        return b"".join(piece.content for piece in self.client.logs(self.run, task_id)).decode()

    def _check_artifacts(self, expected: Expected) -> None:
        for task, texts in expected.contents.items():
            for name, text in texts.items():
                found = self.task(task).outputs.artifacts[name].artifacts
                wanted = text if isinstance(text, list) else [text]
                assert len(found) == len(wanted), f"{task}.{name}"
                for artifact, part in zip(found, wanted, strict=True):
                    assert part in self.read(artifact.uri), f"{task}.{name}"
        for task, metadata in expected.metadata.items():
            for name, values in metadata.items():
                told = MessageToDict(self.task(task).outputs.artifacts[name].artifacts[0].metadata)
                assert {key: told.get(key) for key in values} == values, f"{task}.{name}"
