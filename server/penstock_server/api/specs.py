"""Spec messages: read and checked, and written."""

from penstock.v1 import spec_pb2
from penstock_server.engine.specs import CheckedSpec, Specs, spec_text
from penstock_server.rpc.json_values import from_struct
from penstock_server.spec import document
from penstock_server.spec.document import Document


async def check_spec(specs: Specs, spec: spec_pb2.Spec, field: str) -> CheckedSpec:
    """The spec, complete and right; `field` is where the request holds it. Raises as `Specs.check` does."""
    return await specs.check(spec.SerializeToString(deterministic=True), lambda: _read(spec, field))


def spec_message(canonical: bytes) -> spec_pb2.Spec:
    """A stored spec as it is handed out: the pipeline, and the platform spec as a second document."""
    return spec_pb2.Spec(text=spec_text(canonical))


def _read(spec: spec_pb2.Spec, field: str) -> Document:
    if spec.WhichOneof("source") == "struct":
        return document.from_struct(from_struct(spec.struct, f"{field}.struct"))
    return document.load(spec.text)
