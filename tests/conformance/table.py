"""Tables of pipelines and of what has to hold of their runs, read from YAML."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from tests.conformance.outcomes import Expected

KFP_VERSION = "2.17.0"
"""The SDK that all steps install, whichever they were compiled with: one environment for all."""
_PINNED_KFP = re.compile(r"kfp==2\.\d+\.\d+(rc\d+)?")
_IDLE = re.compile(r"^    (pass|print\('hello world'\))$", re.MULTILINE)
_EXPECTED = frozenset(each.name for each in fields(Expected))


@dataclass(frozen=True, slots=True)
class Row:
    """A pipeline, what its run is given, and what has to hold."""

    file: str
    expected: Expected
    arguments: Mapping[str, Any] = field(default_factory=dict)
    cache_policy: str = "DISABLED"
    """That of the run."""
    quick: bool = False
    """Belongs to `make test`."""
    accepted_only: str = ""
    """Why it is kept as a version and not run."""
    run_refused: str = ""
    """The reason with which a run is refused."""
    refused: str = ""
    """The reason with which a version is refused."""
    body: str = ""
    """What steps do whose functions do nothing to be seen by."""

    @property
    def is_run(self) -> bool:
        """True when it is run to its end."""
        return not self.accepted_only and not self.refused

    def read(self, folder: Path) -> str:
        """The text of the pipeline below `folder`."""
        path = folder / self.file
        text = (path if path.suffix else folder / f"{self.file}.yaml").read_bytes().decode(errors="replace")
        text = _PINNED_KFP.sub(f"kfp=={KFP_VERSION}", text)
        return _doing(self.body, text) if self.body else text


def read_table(path: Path) -> list[Row]:
    """The rows of a table. Raises TypeError for a key that is none."""
    return [_row(row) for row in yaml.safe_load(path.read_text())]


def _doing(body: str, text: str) -> str:
    """The pipeline with `body` as the body of all functions that are empty or greet."""
    documents = list(yaml.safe_load_all(text))
    for executor in documents[0]["deploymentSpec"]["executors"].values():
        container = executor["container"]
        container["command"] = [_IDLE.sub(lambda _: f"    {body}", part) for part in container.get("command", ())]
    return yaml.safe_dump_all(documents)


def _row(row: Mapping[str, Any]) -> Row:
    expected = Expected(**{key: value for key, value in row.items() if key in _EXPECTED})
    return Row(expected=expected, **{key: value for key, value in row.items() if key not in _EXPECTED})
