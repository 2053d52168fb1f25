"""Compiled pipelines for the tests of the spec layer."""

from pathlib import Path
from typing import Any

from penstock_server.spec.compile import compile_pipeline
from penstock_server.spec.document import Document, load
from penstock_server.spec.graph import PipelineGraph

CORPUS = Path(__file__).parent.parent / "corpus"


def compiled(spec: dict[str, Any]) -> PipelineGraph:
    """The graph of an IR object."""
    return compile_pipeline(Document(spec))


def of_corpus(name: str) -> PipelineGraph:
    """The graph of a file of the corpus, such as `general/identity`."""
    return compile_pipeline(load((CORPUS / f"{name}.yaml").read_text()))
