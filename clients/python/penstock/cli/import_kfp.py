"""`penstock import-kfp`: takes over what another KFP installation holds."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from penstock.cli.failures import EXIT_INTERRUPTED, EXIT_NOT_REACHED, EXIT_WRONG_USE, UsageError
from penstock.cli.output import OutputFormat, OutputOption, clean, complain, note, say
from penstock.cli.session import session_of
from penstock.errors import PenstockError
from penstock.kfp_results import CHOICES, Choice, Kind

if TYPE_CHECKING:
    from penstock.cli.import_summary import Summary
    from penstock.kfp_host import KfpAccess, KfpHostError

EXIT_LEFT_OUT = 1
_REFUSED = frozenset({400, 401, 403, 404})


def import_kfp(
    context: typer.Context,
    host: Annotated[
        str,
        typer.Argument(
            metavar="HOST",
            help="Where KFP is, such as https://kfp.example/pipeline or localhost:8080.",
            show_default=False,
        ),
    ],
    only: Annotated[
        str,
        typer.Option(
            metavar="KINDS",
            help="Take over only these: experiments, pipelines, schedules, runs; more than one with commas between.",
        ),
    ] = "",
    kfp_namespace: Annotated[
        str, typer.Option(help="The namespace in KFP, where that has several users. Needs not be called as ours.")
    ] = "",
    kfp_token: Annotated[
        str, typer.Option(envvar="PENSTOCK_KFP_TOKEN", help="Sent to KFP as a bearer token.", show_default=False)
    ] = "",
    kfp_header: Annotated[
        list[str] | None,
        typer.Option(metavar="'NAME: VALUE'", help="Sent to KFP with every request, such as a cookie; repeatable."),
    ] = None,
    kfp_ca: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, dir_okay=False, help="Certificates that vouch for KFP's."),
    ] = None,
    kfp_timeout: Annotated[float, typer.Option(min=1, help="Seconds that KFP may take for one answer.")] = 60.0,
    enable_schedules: Annotated[
        bool,
        typer.Option(
            "--enable-schedules",
            help="Let schedules fire that fired in KFP when they were taken over. Disable them in KFP in between.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, and make nothing.")] = False,
    output: OutputOption = OutputFormat.TEXT,
) -> None:
    """Take over pipelines, experiments, schedules and runs of a KFP installation.

    Ids, names and times stay as they are. Runs become history; those under way are left out, for a later call.
    Schedules come disabled. Call it as often as you like: what is there already is not made again, and one that was
    cut off goes on where it was. An installation goes into one namespace of a server.

    Exit status: 0 all is here, 1 something was left out, which the summary tells, 2 wrong use, also what KFP refuses,
    3 KFP or the server was not reached, 130 interrupted.

    Examples:

        penstock import-kfp localhost:8080 --dry-run

        penstock -n vision import-kfp https://kfp.example/pipeline --kfp-namespace vision --only pipelines,runs
    """
    from penstock.cli.import_summary import Summary
    from penstock.kfp_host import KfpAccess, KfpHostError

    access = KfpAccess.at(
        host, token=kfp_token, headers=_headers(kfp_header or ()), ca_file=kfp_ca, timeout_s=kfp_timeout
    )
    choice = Choice(_kinds(only), kfp_namespace, enable_schedules, dry_run)
    summary = Summary()
    try:
        _walk(context, access, choice, summary)
    except KfpHostError as error:
        status = _report(error, begun=bool(summary.counts))
    except PenstockError:
        if summary.counts:
            _tell(summary, choice, output)
        raise
    except KeyboardInterrupt:
        note("interrupted; the same command goes on where this one was")
        status = EXIT_INTERRUPTED
    else:
        status = EXIT_LEFT_OUT if summary.left_out else 0
    _tell(summary, choice, output)
    raise typer.Exit(status)


def _walk(context: typer.Context, access: "KfpAccess", choice: Choice, summary: "Summary") -> None:
    from penstock.cli.import_summary import progress
    from penstock.kfp_host import KfpHost
    from penstock.kfp_walk import KfpWalk

    with session_of(context).connect() as client, KfpHost(access) as kfp, progress(summary) as watcher:
        # The calls of an import outlast an outage of a minute: where nobody has ever answered, that is told at once.
        client.server_info()
        for result in KfpWalk(kfp, client.kfp_imports, choice).results():
            watcher.hear(result)


def _kinds(only: str) -> frozenset[Kind]:
    names = [name.strip() for name in only.split(",") if name.strip()]
    known = {str(kind): kind for kind in CHOICES}
    if unknown := [name for name in names if name not in known]:
        raise UsageError(f"--only: there is no kind {unknown[0]!r}; choose among {', '.join(known)}")
    return frozenset(known[name] for name in names) or frozenset(CHOICES)


def _headers(given: Sequence[str]) -> dict[str, str]:
    headers = {}
    for text in given:
        name, colon, value = text.partition(":")
        if not colon or not name.strip() or not text.isprintable():
            raise UsageError(f"--kfp-header: expected 'NAME: VALUE', not {text!r}")
        headers[name.strip().lower()] = value.strip()
    return headers


def _report(error: "KfpHostError", *, begun: bool) -> int:
    complain(clean(str(error)))
    if error.status in _REFUSED:
        complain("check the address, --kfp-namespace, and what lets you in: --kfp-token, --kfp-header", label="")
        return EXIT_WRONG_USE
    if begun:
        complain("nothing is lost: the same command goes on where this one was", label="")
    else:
        complain("nothing was imported yet: check the address, its port, whether it is http or https,", label="")
        complain("and where KFP has certificates of its own --kfp-ca", label="")
    return EXIT_NOT_REACHED


def _tell(summary: "Summary", choice: Choice, output: OutputFormat) -> None:
    if output is OutputFormat.JSON:
        import json

        say(json.dumps(summary.to_json(), indent=2, ensure_ascii=False))
    else:
        summary.tell(choice)
