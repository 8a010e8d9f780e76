"""`cijob ls`."""

from __future__ import annotations

import click

from cijob.cli.options import Target, check_choice, completed, output, target

PHASES = ("Pending", "Queued", "Starting", "Running", "Succeeded", "Failed", "Cancelled")


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=completed("jobs"))
@target(lists=True)
@click.option("-w", "--watch", is_flag=True, help="Go on and show each change, until interrupted.")
@click.option("-l", "--selector", metavar="LABELS", help="Only those with these labels, such as team=web,stage!=lint.")
@click.option(
    "--field-selector",
    "fields",
    metavar="FIELDS",
    help="Only those with these values of status.phase, spec.poolName or metadata.name, such as spec.poolName!=default.",
)
@click.option(
    "--phase",
    "phases",
    multiple=True,
    type=click.Choice(PHASES, case_sensitive=False),
    metavar="PHASE",
    help="Only those in this phase, such as Failed; may be given several times.",
)
@output("json", "yaml", "wide", "name")
@click.option("--no-headers", is_flag=True, help="Leave the line with the columns' names out.")
def command(  # noqa: PLR0913  one argument for each option
    *,
    names: tuple[str, ...],
    target: Target,
    watch: bool,
    selector: str | None,
    fields: str | None,
    phases: tuple[str, ...],
    output: str | None,
    no_headers: bool,
) -> int:
    """List CiJobs, all or those that are named, the newest last.

    The columns are those of `kubectl get cijobs`, and DURATION: how long the last attempt took, or has run so far. EXIT is the
    exit code of the job's container, REASON one word for why the phase is what it is: `cijob describe NAME` tells the rest.
    Phases are Pending, Queued, Starting, Running, Succeeded, Failed and Cancelled; the last three are final.

    With --watch a table on a terminal changes in place, and shows the newest where not all fit. In a pipe each change is a
    line. A lost connection is made again; after five minutes without the API server it gives up.

    \b
    Examples:
        cijob ls
        cijob ls build-7xk2p -o yaml
        cijob ls -A --phase Running --phase Starting
        cijob ls --watch -l cijob.dev/pipeline=1769860800000
        cijob ls --phase Failed -o name | xargs -n1 kubectl describe

    Exit code: 0, also where there are none; 1 where there is no such namespace or name; 130 where a watch was interrupted.
    """
    check_choice(names, other=target.all_namespaces or selector is not None or fields is not None)

    from cijob.cli.api import Api, with_api
    from cijob.cli.looking import listing
    from cijob.cli.lookup import bare

    async def work(api: Api) -> int:
        wanted = listing.Wanted(
            namespace=None if target.all_namespaces else api.namespace,
            names=tuple(map(bare, names)),
            selector=selector,
            fields=fields,
            phases=phases,
            output=output,
            with_headers=not no_headers,
        )
        return await (listing.watch if watch else listing.list_once)(api, wanted)

    return with_api(target, work)
