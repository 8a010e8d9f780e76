"""`cijob delete`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cijob.cli.errors import CliError, Exit
from cijob.cli.options import DURATION, completed, target

if TYPE_CHECKING:
    from cijob.cli.options import Target


@click.command
@click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=completed("jobs"))
@click.option("-l", "--selector", metavar="LABELS", help="Delete those with these labels, such as team=web.")
@click.option("--all", "everything", is_flag=True, help="Delete all in the namespace.")
@click.option("--finished", is_flag=True, help="Delete only those that have ended.")
@click.option(
    "--older-than", "older", type=DURATION, metavar="DURATION", help="With --finished: only if so long ago, such as 7d."
)
@click.option("--ignore-not-found", "ignore_missing", is_flag=True, help="A name that is not there is no error.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before running ones are ended by it.")
@target()
def command(  # noqa: PLR0913  one argument for each option
    *,
    names: tuple[str, ...],
    selector: str | None,
    everything: bool,
    finished: bool,
    older: int | None,
    ignore_missing: bool,
    yes: bool,
    target: Target,
) -> int:
    """Delete CiJobs, with their Pods and logs.

    CiJobs are chosen by their names, or by labels, --finished, or both, or --all. One that has not ended
    is ended by it, at once and without afterScript; so the command asks first on a terminal, and refuses elsewhere unless
    --yes is given. CiJobs are also deleted by themselves some time after their end (spec.ttlSecondsAfterFinished).

    \b
    Examples:
      cijob delete build-7xk2p
      cijob delete --finished --older-than 2h
      cijob delete -l team=web --yes

    \b
    Exit codes:
      0    all are deleted, or were gone already
      1    one is not there (unless --ignore-not-found is given) or could not be deleted, or the question was not answered with yes
      130  interrupted
    """
    if older is not None and not finished:
        raise CliError("--older-than is for CiJobs that have ended", "Add --finished.", Exit.USAGE)

    from datetime import timedelta

    from cijob.cli.acting.deleting import Choice, delete
    from cijob.cli.api import with_api

    choice = Choice(
        names=names,
        selector=selector,
        everything=everything,
        finished=finished,
        older=None if older is None else timedelta(seconds=older),
        ignore_missing=ignore_missing,
    )
    return with_api(target, lambda api: delete(api, choice, yes=yes))
