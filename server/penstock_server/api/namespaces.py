"""NamespaceService."""

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.v1 import namespace_service_pb2 as pb
from penstock_server.api import convert, names
from penstock_server.api.editing import NewValues, edited, guarded_revision
from penstock_server.api.filter_values import ListFields
from penstock_server.api.lists import Lists
from penstock_server.api.masks import edit_of
from penstock_server.model.query import Order
from penstock_server.model.resources import Namespace
from penstock_server.rpc.call import Call
from penstock_server.store import namespaces
from penstock_server.store.database import Database

FIELDS = ListFields(namespaces.LISTING.fields, orders=namespaces.LISTING.orders, default_order=(Order("name"),))


@dataclass(frozen=True, slots=True)
class NamespaceService:
    """Serves the rpcs of `penstock.v1.NamespaceService`; the schema says what each does."""

    database: Database
    lists: Lists

    async def create_namespace(self, request: pb.CreateNamespaceRequest, _call: Call) -> pb.CreateNamespaceResponse:
        """A new namespace with its default experiment."""
        given = request.namespace
        async with self.database.transaction() as connection:
            made = await namespaces.insert(
                connection,
                request.namespace_id,
                display_name=given.display_name or request.namespace_id,
                description=given.description,
                labels=given.labels,
            )
        return pb.CreateNamespaceResponse(namespace=convert.namespace(made))

    async def get_namespace(self, request: pb.GetNamespaceRequest, _call: Call) -> pb.GetNamespaceResponse:
        """One namespace."""
        found = await self._get(names.NAMESPACE.parse(request.name)[0])
        return pb.GetNamespaceResponse(namespace=convert.namespace(found))

    async def list_namespaces(self, request: pb.ListNamespacesRequest, _call: Call) -> pb.ListNamespacesResponse:
        """A page of namespaces."""
        async with self.database.connection() as connection:
            return await self.lists.answer(
                request,
                FIELDS,
                ("ListNamespaces",),
                lambda page: namespaces.list_page(connection, page),
                _page,
            )

    async def update_namespace(self, request: pb.UpdateNamespaceRequest, _call: Call) -> pb.UpdateNamespaceResponse:
        """New values for what can be edited."""
        (name,) = names.NAMESPACE.parse(request.namespace.name, "namespace.name")
        edit = edit_of(request.namespace, request.update_mask, default_display_name=name)
        updated = await edited(lambda: self._get(name), self._write, edit, request.namespace.etag)
        return pb.UpdateNamespaceResponse(namespace=convert.namespace(updated))

    async def delete_namespace(self, request: pb.DeleteNamespaceRequest, _call: Call) -> pb.DeleteNamespaceResponse:
        """Nothing of an empty namespace is left."""
        (name,) = names.NAMESPACE.parse(request.name)
        async with self.database.transaction() as connection:
            guarded_revision(await namespaces.get(connection, name), request.etag)
            await namespaces.delete(connection, name)
        return pb.DeleteNamespaceResponse()

    async def _get(self, name: str) -> Namespace:
        async with self.database.connection() as connection:
            return await namespaces.get(connection, name)

    async def _write(self, record: Namespace, values: NewValues) -> Namespace:
        async with self.database.connection() as connection:
            return await namespaces.update(
                connection,
                record.name,
                record.revision,
                display_name=values.display_name,
                description=values.description,
                labels=values.labels,
            )


async def _page(items: Sequence[Namespace]) -> pb.ListNamespacesResponse:
    return pb.ListNamespacesResponse(namespaces=map(convert.namespace, items))
