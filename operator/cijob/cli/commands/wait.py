"""`cijob wait`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cijob.cli.options import DURATION, completed, target

if TYPE_CHECKING:
    from cijob.cli.options import Target


@click.command
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=completed("jobs"))
@click.option("-l", "--selector", metavar="LABELS", help="Wait for those with these labels, such as team=web.")
@click.option(
    "--for",
    "goal",
    type=click.Choice(["finished", "succeeded", "running"]),
    default="finished",
    show_default=True,
    help="How far they have to come.",
)
@click.option("--timeout", type=DURATION, metavar="DURATION", help="Give up after so long, such as 10m; else never.")
@target()
def command(*, names: tuple[str, ...], selector: str | None, goal: str, timeout: int | None, target: Target) -> int:
    """Wait until CiJobs have ended, and end as they did.

    With --for=finished, which need not be said, all of them have to end, however they do. With --for=succeeded the wait is
    over as soon as one of them fails. With --for=running their scripts have to run, or to have ended.

    Each state is told once, with its reason: on the standard error while it is waited for more, on the standard output when a
    CiJob has come as far as it has to. Only CiJobs that are there already are waited for. A connection that breaks is
    made again; after 5 minutes without an answer of the API server the command gives up.

    \b
    Examples:
      cijob wait build-7xk2p
      cijob wait build-7xk2p --for=running --timeout=5m && cijob shell build-7xk2p
      cijob wait $(cijob run --detach job.yaml -o name)

    \b
    Exit codes:
      0     all have come as far as they have to
      CODE  the exit code of the first named that failed, 1 if it has none
      130   the first that ended badly was cancelled
      1     the time is over, a CiJob is not there, or it was deleted meanwhile
    """
    from cijob.cli.acting.states import Goal
    from cijob.cli.acting.waiting import wait
    from cijob.cli.api import with_api

    return with_api(target, lambda api: wait(api, names, selector, goal=Goal(goal), seconds=timeout))
