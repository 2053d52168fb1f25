"""`penstock pipelines ...`: keep pipelines on the server."""

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.output import (
    FilterOption,
    LimitOption,
    OrderOption,
    OutputFormat,
    OutputOption,
    brief,
    called,
    json_text,
    note,
    print_fields,
    print_json,
    print_table,
    time_text,
)
from penstock.cli.session import session_of
from penstock.cli.values import type_name

if TYPE_CHECKING:
    from penstock.v1.parameter_pb2 import ParameterDefinition
    from penstock.v1.pipeline_pb2 import Pipeline, PipelineVersion

app = typer.Typer(no_args_is_help=True, help="Keep pipelines on the server, with numbered versions.")

PipelineArgument = Annotated[
    str, typer.Argument(metavar="PIPELINE", help="Id or whole name of the pipeline.", show_default=False)
]
VersionArgument = Annotated[
    str,
    typer.Argument(
        metavar="PIPELINE[@VERSION]",
        help="A pipeline and the number or alias of a version; the latest by default.",
        show_default=False,
    ),
]
FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A pipeline compiled with the kfp SDK.", show_default=False)
]
AliasOption = Annotated[str, typer.Option("--alias", help="Another name for the version.")]
DescriptionOption = Annotated[str, typer.Option("--description", help="What it is for.")]


@app.command("create")
def create_pipeline(
    context: typer.Context,
    pipeline: Annotated[str, typer.Argument(metavar="PIPELINE", help="Id of the new pipeline.", show_default=False)],
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Its first version.", show_default=False)
    ] = None,
    display_name: Annotated[str, typer.Option(help="Name for people.")] = "",
    description: DescriptionOption = "",
    output: OutputOption = OutputFormat.TEXT,
) -> None:
    """Make a pipeline, with a first version where a file is given.

    Example: penstock pipelines create line-fit pipeline.yaml
    """
    from penstock.spec_source import read_file

    text = read_file(file) if file is not None else None
    with session_of(context).connect() as client:
        made = client.pipelines.create(pipeline, display_name=display_name, description=description)
        if text is not None:
            client.pipelines.create_version(made, f"{text}\n")
            made = client.pipelines.get(made)
    _tell_pipeline(made, output)


@app.command("upload")
def upload_version(
    context: typer.Context,
    pipeline: Annotated[
        str,
        typer.Argument(metavar="PIPELINE", help="Id of the pipeline; made if it does not exist.", show_default=False),
    ],
    file: FileArgument,
    alias: AliasOption = "",
    description: DescriptionOption = "",
    output: OutputOption = OutputFormat.TEXT,
) -> None:
    """Add a version to a pipeline, which is made if it does not exist.

    Example: penstock pipelines upload line-fit pipeline.yaml --alias 2026-05
    """
    with session_of(context).connect() as client:
        version = client.upload_pipeline(file, pipeline, alias=alias, description=description)
    _tell_version(version, output)


@app.command("list")
def list_pipelines(
    context: typer.Context,
    filter: FilterOption = "",
    order_by: OrderOption = "",
    limit: LimitOption = 50,
    output: OutputOption = OutputFormat.TEXT,
) -> None:
    """List the pipelines.

    Example: penstock pipelines list --filter 'NOT archive_time:*'
    """
    from penstock.names import last_segment
    from penstock.v1.pipeline_service_pb2 import ListPipelinesResponse

    with session_of(context).connect() as client:
        found = client.pipelines.list(filter=filter, order_by=order_by, page_size=min(limit, 1000))
        pipelines = list(islice(found, limit))
    if output is OutputFormat.JSON:
        print_json(ListPipelinesResponse(pipelines=pipelines))
        return
    print_table(
        ["PIPELINE", "DISPLAY NAME", "LATEST", "VERSIONS", "CREATED", "DESCRIPTION"],
        [
            [
                id := last_segment(pipeline.name),
                called(id, pipeline.display_name),
                last_segment(pipeline.latest_version),
                str(pipeline.version_count),
                time_text(pipeline.create_time),
                brief(pipeline.description),
            ]
            for pipeline in pipelines
        ],
    )


@app.command("get")
def get_pipeline(context: typer.Context, pipeline: VersionArgument, output: OutputOption = OutputFormat.TEXT) -> None:
    """Show a pipeline, or one of its versions.

    Examples:

        penstock pipelines get line-fit

        penstock pipelines get line-fit@2 -o json
    """
    with session_of(context).connect() as client:
        if "@" in pipeline or "/versions/" in pipeline:
            _tell_version(client.pipelines.get_version(pipeline), output)
        else:
            _tell_pipeline(client.pipelines.get(pipeline), output)


@app.command("versions")
def list_versions(
    context: typer.Context,
    pipeline: PipelineArgument,
    limit: LimitOption = 50,
    output: OutputOption = OutputFormat.TEXT,
) -> None:
    """List the versions of a pipeline.

    Example: penstock pipelines versions line-fit
    """
    from penstock.v1.pipeline_service_pb2 import ListPipelineVersionsResponse

    with session_of(context).connect() as client:
        found = client.pipelines.list_versions(pipeline, page_size=min(limit, 1000))
        versions = list(islice(found, limit))
    if output is OutputFormat.JSON:
        print_json(ListPipelineVersionsResponse(pipeline_versions=versions))
        return
    print_table(
        ["VERSION", "ALIAS", "DISPLAY NAME", "CREATED", "SDK", "DIGEST"],
        [
            [
                str(version.number),
                version.alias,
                called(version.alias, version.display_name),
                time_text(version.create_time),
                version.sdk_version,
                version.spec_digest[:19],
            ]
            for version in versions
        ],
    )


@app.command("parameters")
def list_parameters(
    context: typer.Context, pipeline: VersionArgument, output: OutputOption = OutputFormat.TEXT
) -> None:
    """List the parameters that a version takes, with their types and defaults.

    Example: penstock pipelines parameters line-fit@2
    """
    from penstock.v1.pipeline_service_pb2 import GetPipelineVersionInterfaceResponse

    with session_of(context).connect() as client:
        parameters = client.pipelines.parameters(pipeline)
    if output is OutputFormat.JSON:
        print_json(GetPipelineVersionInterfaceResponse(parameters=parameters))
        return
    print_table(
        ["PARAMETER", "TYPE", "DEFAULT", "DESCRIPTION"],
        [
            [parameter.name, type_name(parameter), _default(parameter), brief(parameter.description)]
            for parameter in parameters
        ],
    )


@app.command("delete")
def delete_pipeline(
    context: typer.Context,
    pipeline: VersionArgument,
    force: Annotated[bool, typer.Option("--force", help="Delete its versions too.")] = False,
) -> None:
    """Delete a pipeline, or the one version that is named. Runs keep their specs.

    Examples:

        penstock pipelines delete line-fit@2

        penstock pipelines delete line-fit --force
    """
    with session_of(context).connect() as client:
        if "@" in pipeline or "/versions/" in pipeline:
            client.pipelines.delete_version(pipeline)
        else:
            client.pipelines.delete(pipeline, force=force)
    note(f"deleted {pipeline}")


@app.command("archive")
def archive_pipeline(
    context: typer.Context, pipeline: PipelineArgument, output: OutputOption = OutputFormat.TEXT
) -> None:
    """Archive a pipeline: it takes no new versions.

    Example: penstock pipelines archive line-fit
    """
    with session_of(context).connect() as client:
        _tell_pipeline(client.pipelines.archive(pipeline), output)


@app.command("unarchive")
def unarchive_pipeline(
    context: typer.Context, pipeline: PipelineArgument, output: OutputOption = OutputFormat.TEXT
) -> None:
    """Take a pipeline back from the archive.

    Example: penstock pipelines unarchive line-fit
    """
    with session_of(context).connect() as client:
        _tell_pipeline(client.pipelines.unarchive(pipeline), output)


def _tell_pipeline(pipeline: "Pipeline", output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_json(pipeline)
        return
    print_fields(
        [
            ("name", pipeline.name),
            ("display name", pipeline.display_name),
            ("description", pipeline.description),
            ("latest version", pipeline.latest_version),
            ("versions", str(pipeline.version_count)),
            ("created", time_text(pipeline.create_time)),
            ("archived", time_text(pipeline.archive_time)),
        ]
    )


def _tell_version(version: "PipelineVersion", output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_json(version)
        return
    print_fields(
        [
            ("name", version.name),
            ("alias", version.alias),
            ("display name", version.display_name),
            ("description", version.description),
            ("parameters", ", ".join(f"{p.name} ({type_name(p)})" for p in version.parameters)),
            ("sdk", version.sdk_version),
            ("digest", version.spec_digest),
            ("created", time_text(version.create_time)),
        ]
    )


def _default(parameter: "ParameterDefinition") -> str:
    from penstock.values import from_value

    if parameter.HasField("default_value"):
        return json_text(from_value(parameter.default_value))
    return "none, may be left out" if parameter.optional else "required"
