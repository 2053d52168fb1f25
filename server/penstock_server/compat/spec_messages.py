"""Specs in KFP's messages: the bare IR, or `pipeline_spec` and `platform_spec` side by side."""

from collections import OrderedDict

from google.protobuf.struct_pb2 import Struct

from penstock_server.engine.specs import CheckedSpec, Specs
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
        self._kept: OrderedDict[str, tuple[Struct, int]] = OrderedDict()
        self._kept_bytes = 0

    async def get(self, connection: Connection, digest: str) -> Struct:
        """The spec of that digest; nobody may change the message."""
        if digest not in self._kept:
            canonical = await stored.get(connection, digest)
            self._keep(digest, _struct(canonical), len(canonical))
        self._kept.move_to_end(digest)
        return self._kept[digest][0]

    def _keep(self, digest: str, message: Struct, size_bytes: int) -> None:
        if digest in self._kept:
            return  # Somebody else brought it while this one was read.
        self._kept[digest] = (message, size_bytes)
        self._kept_bytes += size_bytes
        while self._kept_bytes > KEPT_BYTES_MAX and len(self._kept) > 1:
            _digest, (_message, gone_bytes) = self._kept.popitem(last=False)
            self._kept_bytes -= gone_bytes


def _struct(canonical: bytes) -> Struct:
    parts = document.from_canonical(canonical)
    if parts.platform is None:
        return to_struct(parts.pipeline)
    return to_struct({"pipeline_spec": parts.pipeline, "platform_spec": parts.platform})
