"""What an importer brings into the run."""

from penstock_server.model.json import with_integers
from penstock_server.model.resources import ArtifactValue
from penstock_server.spec.constants import RunConstants, filled, task_texts
from penstock_server.spec.graph import Component, Constant, Importer, TaskSpec
from penstock_server.spec.resolve import ResolutionError, TaskInputs
from penstock_server.spec.values import shown

OUTPUT = "artifact"
"""The one output of every importer."""


def imported_artifact(
    component: Component, task: TaskSpec, inputs: TaskInputs, constants: RunConstants
) -> ArtifactValue:
    """The artifact that the importer's URI, type and metadata tell of; whether it exists is not asked.

    Raises ResolutionError(IMPORT_URI_INVALID).
    """
    importer = component.body
    assert isinstance(importer, Importer)
    bound = inputs.bound.parameters
    texts = task_texts(task, constants)
    source = importer.uri
    uri = filled(source.value, bound, texts) if isinstance(source, Constant) else bound.get(source.name)
    if not isinstance(uri, str) or not uri.strip():
        raise ResolutionError("IMPORT_URI_INVALID", f"the URI that {task.key} imports is no text: {shown(uri)}")
    metadata = with_integers(filled(dict(importer.metadata), bound, texts))
    assert isinstance(metadata, dict)
    return ArtifactValue(OUTPUT, importer.type, uri, metadata, schema_version=importer.schema_version)
