"""Pipelines and versions as KFP's messages."""

from dataclasses import dataclass

from penstock.kfp.v2beta1 import pipeline_pb2 as pb
from penstock_server.compat.spaces import Spaces
from penstock_server.compat.spec_messages import SpecMessages
from penstock_server.compat.times import record_time
from penstock_server.store.database import Connection
from penstock_server.store.kfp_views import PipelineView, VersionView


@dataclass(frozen=True, slots=True)
class PipelineMessages:
    """Writes them."""

    spaces: Spaces
    specs: SpecMessages

    def pipeline(self, view: PipelineView) -> pb.Pipeline:
        """A pipeline."""
        record = view.record
        return pb.Pipeline(
            pipeline_id=str(record.uid),
            name=view.name,
            display_name=record.display_name,
            description=record.description,
            created_at=record_time(record.create_time),
            namespace=self.spaces.shown_shared(record.namespace),
            tags=record.labels,
        )

    async def version(self, connection: Connection, view: VersionView) -> pb.PipelineVersion:
        """A version with its spec."""
        record = view.record
        return pb.PipelineVersion(
            pipeline_id=str(record.pipeline_uid),
            pipeline_version_id=str(record.uid),
            name=view.name,
            display_name=record.display_name or view.name,
            description=record.description,
            created_at=record_time(record.create_time),
            pipeline_spec=await self.specs.get(connection, record.spec_digest),
            code_source_url=view.code_source_url,
            tags=record.labels,
        )
