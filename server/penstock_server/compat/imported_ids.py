"""KfpImportService, what is here already: many ids at a time, so that a repeated import is quick."""

import uuid
from dataclasses import dataclass

from penstock.v1 import kfp_import_service_pb2 as pb
from penstock_server.compat.import_requests import ids_in
from penstock_server.rpc.call import Call
from penstock_server.store import imports, namespaces
from penstock_server.store.database import Database


@dataclass(frozen=True, slots=True)
class ImportedIds:
    """Serves FindImported; the schema says what it does."""

    database: Database

    async def find_imported(self, request: pb.FindImportedRequest, _call: Call) -> pb.FindImportedResponse:
        """Names by ids, those of other namespaces apart."""
        (namespace,) = ids_in(request.parent)
        async with self.database.connection() as connection:
            await namespaces.get(connection, namespace)
            found = await imports.find_all(connection, [uuid.UUID(id) for id in request.ids])
        return pb.FindImportedResponse(
            names={str(each.uid): each.name for each in found if each.namespace == namespace},
            elsewhere={str(each.uid): each.name for each in found if each.namespace != namespace},
        )
