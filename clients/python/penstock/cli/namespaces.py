"""`penstock namespaces ...`: the tenants that everything else lives in."""

from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.output import (
    LimitOption,
    OutputFormat,
    OutputOption,
    brief,
    note,
    print_fields,
    print_json,
    print_table,
    time_text,
)
from penstock.cli.session import session_of

if TYPE_CHECKING:
    from penstock.v1.namespace_pb2 import Namespace

app = typer.Typer(no_args_is_help=True, help="Make and look at namespaces.")

NamespaceArgument = Annotated[str, typer.Argument(metavar="NAMESPACE", help="Id of the namespace.", show_default=False)]


@app.command("create")
def create_namespace(
    context: typer.Context,
    namespace: NamespaceArgument,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    output: OutputOption = OutputFormat.TEXT,
) -> None:
    """Make a namespace, with a `default` experiment in it.

    Example: penstock namespaces create vision
    """
    with session_of(context).connect() as client:
        _tell(client.namespaces.create(namespace, description=description), output)


@app.command("list")
def list_namespaces(context: typer.Context, limit: LimitOption = 50, output: OutputOption = OutputFormat.TEXT) -> None:
    """List the namespaces.

    Example: penstock namespaces list
    """
    from penstock.names import last_segment
    from penstock.v1.namespace_service_pb2 import ListNamespacesResponse

    with session_of(context).connect() as client:
        namespaces = list(islice(client.namespaces.list(page_size=min(limit, 1000)), limit))
    if output is OutputFormat.JSON:
        print_json(ListNamespacesResponse(namespaces=namespaces))
        return
    print_table(
        ["NAMESPACE", "CREATED", "DESCRIPTION"],
        [
            [
                last_segment(namespace.name),
                time_text(namespace.create_time),
                brief(namespace.description),
            ]
            for namespace in namespaces
        ],
    )


@app.command("get")
def get_namespace(
    context: typer.Context, namespace: NamespaceArgument, output: OutputOption = OutputFormat.TEXT
) -> None:
    """Show a namespace.

    Example: penstock namespaces get vision
    """
    with session_of(context).connect() as client:
        _tell(client.namespaces.get(namespace), output)


@app.command("delete")
def delete_namespace(context: typer.Context, namespace: NamespaceArgument) -> None:
    """Delete an empty namespace.

    Example: penstock namespaces delete vision
    """
    with session_of(context).connect() as client:
        client.namespaces.delete(namespace)
    note(f"deleted {namespace}")


def _tell(namespace: "Namespace", output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        print_json(namespace)
        return
    print_fields(
        [
            ("name", namespace.name),
            ("display name", namespace.display_name),
            ("description", namespace.description),
            ("created", time_text(namespace.create_time)),
        ]
    )
