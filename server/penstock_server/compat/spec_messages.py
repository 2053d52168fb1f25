"""Specs in KFP's messages: the bare IR, or `pipeline_spec` and `platform_spec` side by side."""

from google.protobuf.struct_pb2 import Struct

from penstock_server.engine.specs import CheckedSpec, Specs
from penstock_server.model.recent import Recent
from penstock_server.rpc.json_values import from_struct, to_struct
from penstock_server.spec import document
from penstock_server.store import specs as stored
from penstock_server.store.database import Connection

KEPT_BYTES_MAX = 4 * 1024 * 1024
"""Of canonical text, which is a tenth of what the messages take."""


async def check_spec(specs: Specs, spec: Struct, field: str) -> CheckedSpec:
    """The spec, complete and right; `field` is where the request holds it. Raises as `Specs.check` does."""
    given = spec.SerializeToString(deterministic=True)
    return await specs.check(given, lambda: document.from_struct(from_struct(spec, field)))


class SpecMessages:
    """Stored specs as messages. Those used last are kept, since lists and whoever waits ask time and again."""

    def __init__(self) -> None:
        self._kept: Recent[str, Struct] = Recent(KEPT_BYTES_MAX)

    async def get(self, connection: Connection, digest: str) -> Struct:
        """The spec of that digest; nobody may change the message."""
        found = self._kept.get(digest)
        return found if found is not None else self.of(digest, await stored.get(connection, digest))

    def of(self, digest: str, canonical: bytes) -> Struct:
        """The spec of that digest, whose canonical text is at hand; nobody may change the message."""
        found = self._kept.get(digest)
        if found is None:
            found = _struct(canonical)
            self._kept.keep(digest, found, len(canonical))
        return found


def _struct(canonical: bytes) -> Struct:
    parts = document.from_canonical(canonical)
    if parts.platform is None:
        return to_struct(parts.pipeline)
    return to_struct({"pipeline_spec": parts.pipeline, "platform_spec": parts.platform})
