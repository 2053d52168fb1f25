"""Specs as callers hand them in: read, checked completely, and kept, since many runs bring the same one."""

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from penstock_server.model.json import JsonObject
from penstock_server.model.recent import Recent
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
    """Checks specs. One for all who take any."""

    def __init__(self) -> None:
        self._kept: Recent[bytes, CheckedSpec] = Recent(KEPT_BYTES_MAX)

    async def check(self, given: bytes, read: Callable[[], Document]) -> CheckedSpec:
        """The spec, complete and right.

        `given` is the spec as it came, in whatever form, and `read` reads it; what was given before is known by its
        bytes. Raises InvalidArgument for a spec that is wrong and Unimplemented for one that this server does not run.
        """
        key = hashlib.sha256(given).digest()
        found = self._kept.get(key)
        if found is None:
            found = await asyncio.to_thread(_checked, read) if len(given) > IN_LOOP_BYTES_MAX else _checked(read)
            self._kept.keep(key, found, len(found.canonical))
        return found


def spec_text(canonical: bytes) -> str:
    """A stored spec as text: the pipeline, and the platform spec as a second document."""
    parts = document.from_canonical(canonical)
    texts = [parts.pipeline] if parts.platform is None else [parts.pipeline, parts.platform]
    return "\n---\n".join(_compact(text) for text in texts)


def _compact(value: JsonObject) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _checked(read: Callable[[], Document]) -> CheckedSpec:
    given = read()
    graph = compile_pipeline(given)
    canonical = document.canonical(given)
    return CheckedSpec(given, graph, document.digest(canonical), canonical, interface(graph))
