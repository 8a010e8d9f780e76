"""`cijob delete`: CiJobs, their Pods and their logs go; those that run are asked about first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from cijob.cli.acting.selecting import chosen, each, nobody, wanted
from cijob.cli.acting.states import state_of
from cijob.cli.console import is_interactive
from cijob.cli.errors import CliError, Exit
from cijob.cli.keys import confirmed
from cijob.cli.printing import moment, resource_name
from cijob.errors import ApiConflict, ApiNotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cijob.cli.api import Api
    from cijob.transport import Body

#: So many names are shown in a question.
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which CiJobs are deleted.

    Attributes:
        names: of the CiJobs, or none with one of the next three.
        selector: labels of the CiJobs.
        everything: all in the namespace.
        finished: only those that have ended.
        older: only those that ended so long ago.
        ignore_missing: whether a name that is not there is no error.
    """

    names: Sequence[str] = ()
    selector: str | None = None
    everything: bool = False
    finished: bool = False
    older: timedelta | None = None
    ignore_missing: bool = False


async def delete(api: Api, choice: Choice, *, yes: bool) -> int:
    """Deletes CiJobs; gives the exit code.

    Args:
        api: the cluster.
        choice: which.
        yes: whether running ones go without a question.

    Raises:
        CliError: some would be ended by it, and nobody said yes to that.
        click.Abort: the question was not answered.
        ApiError: the API server refuses, or does not answer.
    """
    names = wanted(choice.names, choice.selector, other=choice.finished or choice.everything)
    jobs, missing = await chosen(api, names, choice.selector, ignore_missing=choice.ignore_missing)
    if choice.finished:
        jobs = ended(jobs, datetime.now(UTC) - (choice.older or timedelta()))
    if not names and not jobs:
        click.echo(f"nothing to delete: {await _none(api, choice)}", err=True)
        return Exit.OK
    live = [job["metadata"]["name"] for job in jobs if not state_of(job).finished]
    if live and not yes:
        await _ask(live)

    async def act(job: Body) -> None:
        name, uid = job["metadata"]["name"], job["metadata"]["uid"]
        try:
            await api.delete_job(api.namespace, name, uid)
        except (ApiNotFound, ApiConflict):  # it is gone, and another may have its name
            click.echo(f"{resource_name(job)} was gone already")
        else:
            click.echo(f"{resource_name(job)} deleted")

    failures = missing + await each(api, jobs, act)
    return Exit.FAILED if failures else Exit.OK


def ended(jobs: Sequence[Body], before: datetime) -> list[Body]:
    """Those that had ended by a time. Pure."""
    return [job for job in jobs if state_of(job).finished and _end_of(job) <= before]


def _end_of(job: Body) -> datetime:
    end = moment(job["status"].get("completionTime")) or moment(job["metadata"]["creationTimestamp"])
    return end or datetime.min.replace(tzinfo=UTC)


async def _none(api: Api, choice: Choice) -> str:
    if not choice.finished:
        return await nobody(api, choice.selector)
    return "no CiJob has ended" + (" so long ago" if choice.older is not None else "")


async def _ask(live: Sequence[str]) -> None:
    shown = ", ".join(live[:_SHOWN]) + (f" and {len(live) - _SHOWN} more" if len(live) > _SHOWN else "")
    has = "has not ended" if len(live) == 1 else "have not ended"
    if not is_interactive():
        raise CliError(f"{shown} {has}: deleting ends the job and takes its log along", "Add --yes if that is meant.")
    if not await confirmed(f"{shown} {has}. Delete, and so end what runs?"):
        raise CliError("nothing was deleted")
