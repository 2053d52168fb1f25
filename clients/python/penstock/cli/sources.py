"""What a command is to run: a file, or a pipeline that the server keeps; and its parameters, by their types."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.cli.failures import UsageError
from penstock.cli.values import read_parameters, type_name
from penstock.spec_source import is_path, read_file

if TYPE_CHECKING:
    from penstock import Client
    from penstock.v1.pipeline_pb2 import PipelineVersion


def read_source(client: "Client", source: str, assignments: Sequence[str]) -> tuple[str, dict[str, object]]:
    """The text of a file or the name of a version, and the parameters by the types that it declares."""
    if is_path(source):
        return file_source(source, assignments)
    if not assignments:
        return source, {}
    version = client.pipelines.get_version(source)
    # The version that told its types is the one that runs, even if another became the latest meanwhile.
    return version.name, read_parameters(assignments, declared_types(version))


def job_source(client: "Client", source: str, assignments: Sequence[str]) -> tuple[str, dict[str, object]]:
    """The same for a job, which looks for an alias or the latest version anew each time; values may be macros."""
    if is_path(source):
        return file_source(source, assignments, macros=True)
    if not assignments:
        return source, {}
    types = declared_types(client.pipelines.get_version(source))
    return source, read_parameters(assignments, types, macros=True)


def file_source(path: str, assignments: Sequence[str], *, macros: bool = False) -> tuple[str, dict[str, object]]:
    """The text of a compiled pipeline, and the parameters. Raises UsageError, OSError."""
    text = read_file(Path(path))
    if not text.strip():
        raise UsageError(f"{path} is empty")
    if not assignments:
        return _as_text(text), {}
    from penstock.ir import parameter_types

    types = parameter_types(text)
    if types is None:
        raise UsageError(f"{path} is no compiled pipeline: it has no `root`; compile it with the kfp SDK first")
    return _as_text(text), read_parameters(assignments, types, macros=macros)


def declared_types(version: "PipelineVersion") -> Mapping[str, str]:
    """The type of each parameter of a version, by name."""
    return {parameter.name: type_name(parameter) for parameter in version.parameters}


def read_labels(assignments: Sequence[str], option: str = "--label") -> dict[str, str]:
    """`KEY=VALUE` pairs. Raises UsageError."""
    pairs = [assignment.partition("=") for assignment in assignments]
    for key, separator, _ in pairs:
        if not separator or not key:
            raise UsageError(f"{option} {key}: expected KEY=VALUE")
    return {key: value for key, _, value in pairs}


def _as_text(text: str) -> str:
    """A text that no file name could be taken for: the client tells them apart by their lines."""
    return text if text.endswith("\n") else f"{text}\n"
