"""`cijob cancel`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cijob.cli.options import completed, target

if TYPE_CHECKING:
    from cijob.cli.options import Target


@click.command
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=completed("jobs"))
@click.option("-l", "--selector", metavar="LABELS", help="Cancel those with these labels, such as team=web.")
@click.option("--all", "everything", is_flag=True, help="Cancel all in the namespace that have not ended.")
@click.option("--now", is_flag=True, help="Without afterScript.")
@target()
def command(*, names: tuple[str, ...], selector: str | None, everything: bool, now: bool, target: Target) -> int:
    """End CiJobs before they have ended by themselves.

    A script that runs gets SIGTERM, and SIGKILL if it has not ended when half of the Pod's grace period is over (30 s, where
    the operator's settings say nothing else); then afterScript runs, with CIJOB_STATUS=canceled. With --now the script is
    asked to end in the same way, but afterScript does not run. --now may be said after a cancel without it, too, but comes too
    late for a Pod that is being stopped already: afterScript runs then, within the grace period. A CiJob that waits for its
    turn does not start any more. The CiJob stays, as Cancelled, with its log.

    Cancelling what is being cancelled or has ended changes nothing and is no error. The command does not wait for the end:
    `cijob wait` does.

    \b
    Examples:
      cijob cancel build-7xk2p
      cijob cancel build-7xk2p --now
      cijob cancel -l cijob.dev/pipeline=1769860800000

    \b
    Exit codes:
      0   all are cancelled, are being cancelled or have ended
      1   one is not there, or could not be changed; the others are cancelled nevertheless
    """
    from cijob.cli.acting.cancelling import cancel
    from cijob.cli.api import with_api

    return with_api(target, lambda api: cancel(api, names, selector, everything=everything, now=now))
