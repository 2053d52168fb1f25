"""Specs as callers hand them in: read, checked completely, and kept, since many runs bring the same one."""

import asyncio
import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass

from penstock.v1 import spec_pb2
from penstock_server.api.json_values import from_struct
from penstock_server.model.json import JsonObject
from penstock_server.spec import document
from penstock_server.spec.compile import compile_pipeline
from penstock_server.spec.document import Document
from penstock_server.spec.graph import PipelineGraph
from penstock_server.spec.interface import interface

KEPT_BYTES_MAX = 16 * 1024 * 1024
"""Of canonical text; what was used least recently goes first."""
IN_LOOP_BYTES_MAX = 64 * 1024
"""A larger spec is worked on in a thread, so that nobody else has to wait for it."""


@dataclass(frozen=True, slots=True)
class CheckedSpec:
    """A spec that this server can run."""

    document: Document
    graph: PipelineGraph
    digest: str
    canonical: bytes
    interface: tuple[JsonObject, ...]


class Specs:
    """Checks specs."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, CheckedSpec] = OrderedDict()
        self._kept_bytes = 0

    async def check(self, spec: spec_pb2.Spec, field: str) -> CheckedSpec:
        """The spec, complete and right.

        Raises InvalidArgument for one that is wrong and Unimplemented for one that this server does not run;
        `field` is where the request holds it.
        """
        key = hashlib.sha256(spec.SerializeToString(deterministic=True)).digest()
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        else:
            if spec.ByteSize() > IN_LOOP_BYTES_MAX:
                found = await asyncio.to_thread(_checked, spec, field)
            else:
                found = _checked(spec, field)
            self._keep(key, found)
        return found

    def _keep(self, key: bytes, checked: CheckedSpec) -> None:
        if key in self._kept:
            return  # Somebody else brought it while this one was worked on.
        self._kept[key] = checked
        self._kept_bytes += len(checked.canonical)
        while self._kept_bytes > KEPT_BYTES_MAX:
            _key, gone = self._kept.popitem(last=False)
            self._kept_bytes -= len(gone.canonical)


def spec_message(canonical: bytes) -> spec_pb2.Spec:
    """A stored spec as it is handed out: the pipeline, and the platform spec as a second document."""
    parts = document.from_canonical(canonical)
    texts = [parts.pipeline] if parts.platform is None else [parts.pipeline, parts.platform]
    return spec_pb2.Spec(text="\n---\n".join(_compact(text) for text in texts))


def _compact(value: JsonObject) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _checked(spec: spec_pb2.Spec, field: str) -> CheckedSpec:
    if spec.WhichOneof("source") == "struct":
        read = document.from_struct(from_struct(spec.struct, f"{field}.struct"))
    else:
        read = document.load(spec.text)
    graph = compile_pipeline(read)
    canonical = document.canonical(read)
    return CheckedSpec(read, graph, document.digest(canonical), canonical, interface(graph))
