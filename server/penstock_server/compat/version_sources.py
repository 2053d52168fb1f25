"""Where the spec of a version comes from: the request itself, or an address."""

import asyncio
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from penstock.kfp.v2beta1 import pipeline_pb2 as pb
from penstock_server.compat.downloads import Downloads
from penstock_server.compat.new_pipelines import Described
from penstock_server.compat.packages import package_text
from penstock_server.compat.refusals import wrong
from penstock_server.compat.spec_messages import check_spec
from penstock_server.engine.specs import CheckedSpec, Specs
from penstock_server.spec import document


@dataclass(frozen=True, slots=True)
class GivenVersion:
    """A version to be made."""

    described: Described
    spec: CheckedSpec


@dataclass(frozen=True, slots=True)
class VersionSources:
    """Reads versions from messages and from packages."""

    specs: Specs
    downloads: Downloads

    async def read(self, message: pb.PipelineVersion, field: str) -> GivenVersion:
        """What `message` asks for; its address counts before its spec.

        Raises InvalidArgument, also for an address that is refused or gives nothing, and what specs are refused with.
        """
        described = Described(
            message.name, message.display_name, message.description, message.tags, message.code_source_url
        )
        url = message.package_url.pipeline_url
        if url:
            content = await self.downloads.fetch(url, f"{field}.package_url.pipeline_url")
            spec = await self.package(PurePosixPath(urlsplit(url).path).name, content)
        elif message.HasField("pipeline_spec"):
            spec = await check_spec(self.specs, message.pipeline_spec, f"{field}.pipeline_spec")
        else:
            raise wrong(field, "needs package_url or pipeline_spec")
        return GivenVersion(described, spec)

    async def package(self, file_name: str, content: bytes) -> CheckedSpec:
        """The spec in a file. Raises InvalidArgument, and what specs are refused with."""
        text = await asyncio.to_thread(package_text, file_name, content)
        return await self.specs.check(text, lambda: document.load(text))
