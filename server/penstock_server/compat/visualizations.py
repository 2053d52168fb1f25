"""VisualizationService of KFP."""

from penstock.kfp.v2beta1 import visualization_pb2 as pb
from penstock_server.model.errors import Unimplemented
from penstock_server.rpc.call import Call


class Visualizations:
    """Answers KFP's VisualizationService: pages were made by code that callers send, which no server should run."""

    async def create_visualization_v1(self, _request: pb.CreateVisualizationRequest, _call: Call) -> pb.Visualization:
        """Refused."""
        raise Unimplemented(
            "VISUALIZATION_UNAVAILABLE",
            "pages are not made from results here; let a step write them as an HTML artifact",
        )
