"""Making pipelines and versions, however their specs come: in a request, from an address, or as a file."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from penstock_server.compat import naming
from penstock_server.compat.refusals import wrong
from penstock_server.engine.new_ids import NewIds, with_id
from penstock_server.engine.specs import CheckedSpec
from penstock_server.model.errors import AlreadyExists
from penstock_server.store import kfp_views, namespaces, pipeline_versions, pipelines
from penstock_server.store.database import Connection, Database
from penstock_server.store.kfp_views import PipelineView, VersionView
from penstock_server.store.pipeline_versions import NewPipelineVersion


@dataclass(frozen=True, slots=True)
class Described:
    """What a caller says of a pipeline, or of a version."""

    name: str = ""
    """Empty: the display name."""
    display_name: str = ""
    """Empty: the name."""
    description: str = ""
    tags: Mapping[str, str] | None = None
    code_source_url: str = ""
    """Of a version."""

    def checked(self, field: str, name_chars_max: int, *names: str) -> "Described":
        """With a name, the first of its own and of `names` that says something, and within KFP's bounds.

        Raises InvalidArgument naming what is below `field`.
        """
        if any("\0" in text for text in (*self._texts(), *names)):
            raise wrong(field, "must not hold a NUL character")
        name = next(filter(str.strip, (self.name, self.display_name, *names)), "")
        name = naming.check_name(name, f"{field}.name", name_chars_max)
        return replace(
            self,
            name=name,
            display_name=naming.check_display_name(self.display_name or name, f"{field}.display_name"),
            tags=naming.check_tags(self.tags or {}, f"{field}.tags"),
        )

    def named(self, file_name: str) -> "Described":
        """With the name of the file that it came in, unless it has one."""
        return self if self.name.strip() or self.display_name.strip() else replace(self, name=file_name)

    def of_version(self) -> "Described":
        """What is said of a pipeline, as said of its first version, which has no tags."""
        return replace(self, name=self.name[: naming.VERSION_CHARS_MAX], tags=None)

    def _texts(self) -> tuple[str, ...]:
        tags = self.tags or {}
        return (self.name, self.display_name, self.description, self.code_source_url, *tags, *tags.values())


class NewPipelines:
    """Makes pipelines and versions."""

    def __init__(self, database: Database, ids: NewIds) -> None:
        self._database = database
        self._ids = ids

    async def pipeline(self, namespace: str, pipeline: Described) -> PipelineView:
        """A new pipeline without versions. Raises InvalidArgument, NotFound, AlreadyExists(PIPELINE_EXISTS)."""
        pipeline = pipeline.checked("pipeline", naming.PIPELINE_CHARS_MAX)
        async with self._database.transaction() as connection:
            return await self.insert(connection, namespace, pipeline)

    async def with_version(
        self, namespace: str, pipeline: Described, version: Described, spec: CheckedSpec
    ) -> tuple[PipelineView, VersionView]:
        """A new pipeline and its first version, which is called like it unless it has a name. Raises as above."""
        pipeline = pipeline.checked("pipeline", naming.PIPELINE_CHARS_MAX, spec.graph.name)
        named = version.checked("pipeline_version", naming.VERSION_CHARS_MAX, pipeline.name[: naming.VERSION_CHARS_MAX])
        async with self._database.transaction() as connection:
            made = await self.insert(connection, namespace, pipeline)
            return made, await self.add(connection, made, named, spec)

    async def version(self, pipeline: PipelineView, version: Described, spec: CheckedSpec) -> VersionView:
        """A further version. Raises InvalidArgument, NotFound, AlreadyExists(ALIAS_EXISTS), FailedPrecondition."""
        version = version.checked("pipeline_version", naming.VERSION_CHARS_MAX, spec.graph.name)
        async with self._database.transaction() as connection:
            return await self.add(connection, pipeline, version, spec)

    async def insert(self, connection: Connection, namespace: str, pipeline: Described) -> PipelineView:
        """A new pipeline, in a transaction of the caller's, as checked as it is described. Raises as `pipeline`."""
        await namespaces.get(connection, namespace)
        own = naming.pipeline_id(pipeline.name)

        async def insert(id: str) -> PipelineView:
            made, _new = await pipelines.insert(
                connection,
                namespace,
                id,
                display_name=pipeline.display_name,
                description=pipeline.description,
                labels=pipeline.tags or {},
                kfp_name=None if own else pipeline.name,
            )
            return PipelineView(made, pipeline.name)

        try:
            return await with_id(
                own, lambda: self._ids.resource_id(pipeline.name, default="pipeline"), "PIPELINE_EXISTS", insert
            )
        except AlreadyExists as error:
            message = f"there is a pipeline named {pipeline.name}; choose another name"
            raise AlreadyExists(error.reason, message, metadata=error.metadata) from None

    async def add(
        self, connection: Connection, pipeline: PipelineView, version: Described, spec: CheckedSpec
    ) -> VersionView:
        """A further version, in a transaction of the caller's, as checked as it is described. Raises as `version`."""
        own = naming.alias(version.name)
        new = NewPipelineVersion(
            alias=own or None,
            display_name=version.display_name,
            description=version.description,
            labels=version.tags or {},
            spec_digest=spec.digest,
            document=spec.canonical,
            sdk_version=spec.graph.sdk_version,
            interface=spec.interface,
            kfp_name=None if own else version.name,
            code_source_url=version.code_source_url,
        )
        record = pipeline.record
        made, _new = await pipeline_versions.insert(connection, record.namespace, record.id, new)
        return await kfp_views.get_version(connection, None, str(made.uid))
