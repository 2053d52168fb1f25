"""HealthzService."""

from dataclasses import dataclass

from google.protobuf.empty_pb2 import Empty

from penstock.kfp.v2beta1 import healthz_pb2 as pb
from penstock_server.compat.spaces import Spaces
from penstock_server.rpc.call import Call


@dataclass(frozen=True, slots=True)
class Healthz:
    """Serves the rpcs of KFP's HealthzService; the schema says what each does."""

    spaces: Spaces

    async def get_healthz(self, _request: Empty, _call: Call) -> pb.GetHealthzResponse:
        """How the server is set up."""
        return pb.GetHealthzResponse(multi_user=self.spaces.multi_user, pipeline_store="database")
