"""What runs and recurring runs execute: as requests ask for it, and as answers tell it."""

import uuid
from dataclasses import dataclass

from google.protobuf.struct_pb2 import Struct

from penstock.kfp.v2beta1 import recurring_run_pb2, run_pb2
from penstock_server.compat.refusals import wrong
from penstock_server.compat.spaces import SHARED
from penstock_server.compat.spec_messages import check_spec
from penstock_server.engine.run_requests import InlineSpec, VersionSource
from penstock_server.engine.specs import Specs
from penstock_server.store import kfp_views
from penstock_server.store.database import Connection

Asking = run_pb2.Run | recurring_run_pb2.RecurringRun


@dataclass(frozen=True, slots=True)
class Sources:
    """Reads what a message asks to be executed."""

    specs: Specs

    async def read(
        self, connection: Connection, message: Asking, namespace: str, field: str
    ) -> VersionSource | InlineSpec:
        """The source, of that namespace or of what all share; `field` is the path of the message.

        Raises InvalidArgument, NotFound (PIPELINE_NOT_FOUND, PIPELINE_VERSION_NOT_FOUND), and what specs are refused
        with.
        """
        match message.WhichOneof("pipeline_source"):
            case "pipeline_spec":
                return await self._inline(message.pipeline_spec, f"{field}.pipeline_spec")
            case "pipeline_version_id":
                return await _version(connection, "", message.pipeline_version_id, namespace, field)
            case "pipeline_version_reference":
                named = message.pipeline_version_reference
                return await _version(connection, named.pipeline_id, named.pipeline_version_id, namespace, field)
            case _:
                raise wrong(field, "needs pipeline_spec or pipeline_version_reference")

    async def _inline(self, spec: Struct, field: str) -> InlineSpec:
        checked = await check_spec(self.specs, spec, field)
        return InlineSpec(checked.digest, checked.canonical, checked.graph)


async def _version(
    connection: Connection, pipeline_uid: str, version_uid: str, namespace: str, field: str
) -> VersionSource:
    field = f"{field}.pipeline_version_reference"
    if not version_uid:
        if not pipeline_uid:
            raise wrong(field, "needs pipeline_id, and pipeline_version_id where it is not to be the newest version")
        pipeline = (await kfp_views.get_pipeline(connection, None, pipeline_uid)).record
        return VersionSource(pipeline.id, namespace=_place(pipeline.namespace, namespace, field))
    version = (await kfp_views.get_version(connection, None, version_uid)).record
    place = _place(version.namespace, namespace, field)
    if pipeline_uid and uuid_of(pipeline_uid) != version.pipeline_uid:
        raise wrong(f"{field}.pipeline_version_id", f"is no version of pipeline {pipeline_uid[:200]}")
    return VersionSource(version.pipeline_id, number=version.number, namespace=place)


def _place(where: str, namespace: str, field: str) -> str | None:
    """Where a pipeline is, seen from a namespace that runs it: None for there, else among those that all share."""
    if where == namespace:
        return None
    if where != SHARED:
        raise wrong(field, "names a pipeline of another namespace; runs take those of their own, and shared ones")
    return where


def uuid_of(text: str) -> uuid.UUID | None:
    """The uid in `text`; None for other text."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def set_source(
    message: Asking, pipeline_uid: uuid.UUID | None, version_uid: uuid.UUID | None, spec: Struct | None
) -> None:
    """Tell what is executed as it was asked for: the version of a pipeline, or a spec.

    A version that is gone is told as the spec it had, so that what ran can still be seen.
    """
    if pipeline_uid is not None:
        message.pipeline_version_reference.pipeline_id = str(pipeline_uid)
        message.pipeline_version_reference.pipeline_version_id = "" if version_uid is None else str(version_uid)
    elif spec is not None:
        message.pipeline_spec.CopyFrom(spec)
