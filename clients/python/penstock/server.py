"""What the server says of itself: a method of the client."""

from penstock.effects import Operation, invoke
from penstock.faces import Face, operation
from penstock.v1 import server_service_pb2
from penstock.v1.server_pb2 import ServerInfo


class ServerMethods(Face):
    """The server that answers."""

    @operation
    def server_info(self) -> Operation[ServerInfo]:
        """Version, launcher, database and load of the server. It answers also while its database is away."""
        request = server_service_pb2.GetServerInfoRequest()
        response = yield from invoke(request, server_service_pb2.GetServerInfoResponse)
        return response.server_info
