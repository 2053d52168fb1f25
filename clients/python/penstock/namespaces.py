"""The namespace methods of the client: `client.namespaces`."""

from collections.abc import Mapping

from penstock.changes import changed_fields
from penstock.effects import Items, Operation, invoke
from penstock.faces import Asynchronous, Blocking, Face, items, operation
from penstock.names import Ref, namespace_name
from penstock.paging import pages
from penstock.v1 import namespace_pb2, namespace_service_pb2
from penstock.v1.namespace_pb2 import Namespace


class NamespaceMethods(Face):
    """Namespaces: the tenants that everything else lives in."""

    @operation
    def create(
        self,
        namespace_id: str,
        *,
        display_name: str = "",
        description: str = "",
        labels: Mapping[str, str] | None = None,
    ) -> Operation[Namespace]:
        """Make a namespace. Raises AlreadyExistsError."""
        namespace = Namespace(display_name=display_name, description=description, labels=labels)
        request = namespace_service_pb2.CreateNamespaceRequest(namespace_id=namespace_id, namespace=namespace)
        response = yield from invoke(request, namespace_service_pb2.CreateNamespaceResponse)
        return response.namespace

    @operation
    def get(self, namespace: Ref) -> Operation[Namespace]:
        """A namespace. Raises NotFoundError."""
        request = namespace_service_pb2.GetNamespaceRequest(name=namespace_name(namespace))
        response = yield from invoke(request, namespace_service_pb2.GetNamespaceResponse)
        return response.namespace

    @items
    def list(self, *, filter: str = "", order_by: str = "", page_size: int = 0) -> Items[Namespace]:
        """The namespaces that match `filter` (AIP-160), fetched page by page."""
        request = namespace_service_pb2.ListNamespacesRequest(filter=filter, order_by=order_by, page_size=page_size)
        response_type = namespace_service_pb2.ListNamespacesResponse
        return pages(request, response_type, lambda response: response.namespaces)

    @operation
    def update(
        self,
        namespace: Ref,
        *,
        display_name: str | None = None,
        description: str | None = None,
        labels: Mapping[str, str] | None = None,
        etag: str = "",
    ) -> Operation[Namespace]:
        """Change what is given. Raises ConflictError when `etag` is not the namespace's any more."""
        fields, mask = changed_fields(display_name, description, labels)
        changed = namespace_pb2.Namespace(name=namespace_name(namespace), etag=etag, **fields)
        request = namespace_service_pb2.UpdateNamespaceRequest(namespace=changed, update_mask=mask)
        response = yield from invoke(request, namespace_service_pb2.UpdateNamespaceResponse)
        return response.namespace

    @operation
    def delete(self, namespace: Ref, *, etag: str = "") -> Operation[None]:
        """Delete an empty namespace. Raises FailedPreconditionError while it holds resources."""
        request = namespace_service_pb2.DeleteNamespaceRequest(name=namespace_name(namespace), etag=etag)
        yield from invoke(request, namespace_service_pb2.DeleteNamespaceResponse)


class BlockingNamespaces(NamespaceMethods, Blocking):
    """`client.namespaces`."""


class AsynchronousNamespaces(NamespaceMethods, Asynchronous):
    """`client.namespaces` for asyncio."""
