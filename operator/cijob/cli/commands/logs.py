"""`cijob logs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cijob.cli.options import DURATION, completed, target

if TYPE_CHECKING:
    from cijob.cli.options import Target


@click.command
@click.argument("name", metavar="[NAME]", required=False, shell_complete=completed("jobs"))
@click.option("-f", "--follow", is_flag=True, help="Go on until the job ends, over all its attempts.")
@click.option("--dind", is_flag=True, help="The log of the job's Docker daemon.")
@click.option("-c", "--container", metavar="NAME", help="The log of this container: job, dind, git, or a service.")
@click.option(
    "--attempt", type=click.IntRange(min=1), metavar="N", help="Of this attempt, from 1; the newest when unset."
)
@click.option("-p", "--previous", is_flag=True, help="Of the attempt before the newest.")
@click.option("--since", type=DURATION, metavar="DURATION", help="Only what was printed in this time, such as 5m.")
@click.option("--tail", type=click.IntRange(min=-1), metavar="N", help="Only so many lines of the end; -1 for all.")
@click.option("--timestamps", is_flag=True, help="The time in front of each line.")
@target()
def command(  # noqa: PLR0913  one argument for each option
    *,
    name: str | None,
    follow: bool,
    dind: bool,
    container: str | None,
    attempt: int | None,
    previous: bool,
    since: int | None,
    tail: int | None,
    timestamps: bool,
    target: Target,
) -> int:
    """Print the log of a CiJob, by default of the newest.

    The log is printed as the job wrote it, byte for byte; lines by which `cijob run` brought files in or took artifacts out are shown
    with --timestamps only. It can be read as long as the attempt's Pod is there: until the CiJob is
    deleted, by hand or ttlSecondsAfterFinished after its end.

    With -f a job that waits for its turn is waited for, with a line that says why, and another attempt follows
    the one that failed. A connection that breaks is made again, without losing or repeating a line; after 5 minutes without an
    API server the command gives up. Ctrl-C ends the command and never the job. Neither does the job's exit code
    become the command's: `cijob wait` does that.

    \b
    Examples:
      cijob logs                          # of the newest CiJob in the namespace
      cijob logs build-7xk2p -f
      cijob logs build-7xk2p --attempt 1 --tail 50
      cijob logs build-7xk2p --dind --since 5m
      cijob logs build-7xk2p -c postgres

    \b
    Exit codes:
      0    the log was printed, to its end with -f
      1    there is no such job, or no log of it (yet, or any more)
      130  interrupted
    """
    if dind and container not in {None, "dind"}:
        raise click.UsageError("--dind is the log of the Docker daemon: leave out --container.")
    if previous and attempt is not None:
        raise click.UsageError("--previous and --attempt both say which attempt: leave one out.")
    from cijob.cli.api import with_api
    from cijob.cli.follow.logs import Wanted, logs

    wanted = Wanted(
        name=name,
        follow=follow,
        container="dind" if dind else container or "job",
        attempt=attempt,
        previous=previous,
        seconds=since,
        tail=None if tail == -1 else tail,
        timestamps=timestamps,
    )
    return with_api(target, lambda api: logs(api, wanted))
