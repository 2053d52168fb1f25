"""ReportService of KFP, through which its controllers tell its API server what became of Kubernetes objects.

Here the engine knows what becomes of runs, and nobody else may say: reports are refused, whoever brings them.
"""

from typing import NoReturn

from penstock.kfp.v2beta1 import report_pb2 as pb
from penstock_server.model.errors import Unimplemented
from penstock_server.rpc.call import Call


class Reports:
    """Serves the rpcs of KFP's ReportService."""

    async def report_workflow(self, _request: pb.ReportWorkflowRequest, _call: Call) -> NoReturn:
        """Raises Unimplemented(REPORTS_UNAVAILABLE)."""
        raise _refused()

    async def report_scheduled_workflow(self, _request: pb.ReportScheduledWorkflowRequest, _call: Call) -> NoReturn:
        """Raises Unimplemented(REPORTS_UNAVAILABLE)."""
        raise _refused()


def _refused() -> Unimplemented:
    return Unimplemented(
        "REPORTS_UNAVAILABLE", "this server runs pipelines itself and takes no reports of workflows; stop KFP's agents"
    )
