"""AuthService of KFP."""

from dataclasses import dataclass

from google.protobuf.empty_pb2 import Empty

from penstock.kfp.v2beta1 import auth_pb2 as pb
from penstock_server.compat.refusals import wrong
from penstock_server.compat.spaces import Spaces
from penstock_server.rpc.call import Call


@dataclass(frozen=True, slots=True)
class Auth:
    """Serves the rpcs of KFP's AuthService; the schema says what each does."""

    spaces: Spaces

    async def authorize(self, request: pb.AuthorizeRequest, call: Call) -> Empty:
        """A single user may do all, and so may each user who is named."""
        if request.resources == pb.AuthorizeRequest.UNASSIGNED_RESOURCES:
            raise wrong("resources", "has to say what is to be used")
        if request.verb == pb.AuthorizeRequest.UNASSIGNED_VERB:
            raise wrong("verb", "has to say what is to be done")
        self.spaces.own(request.namespace, call)
        return Empty()
