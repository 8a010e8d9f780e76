"""Which CiJobs a command means: names, or a label selector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cijob.cli.console import plain
from cijob.cli.errors import CliError, Exit
from cijob.cli.explain import explained
from cijob.cli.lookup import bare, find_jobs, labelled_jobs, missing_namespace, tell
from cijob.cli.options import check_choice
from cijob.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from cijob.cli.api import Api
    from cijob.transport import Body


def wanted(names: Sequence[str], selector: str | None, *, other: bool = False) -> tuple[str, ...]:
    """The names, each once and without its kind.

    Args:
        names: as they were typed.
        selector: of -l.
        other: whether another option chooses CiJobs too.

    Raises:
        CliError: nothing is named, or both names and a selector are; or the selector is empty, which to the API server
            means all that there is.
    """
    if selector is not None and not selector.strip():
        raise CliError("the label selector of -l is empty", "Is a variable of the shell unset?", Exit.USAGE)
    check_choice(names, other=selector is not None or other)
    if not names and selector is None and not other:
        raise CliError(
            "no CiJob is named", "Give names, or choose by labels with -l; `cijob ls` lists what there is.", Exit.USAGE
        )
    return tuple(dict.fromkeys(map(bare, names)))


async def chosen(
    api: Api, names: Sequence[str], selector: str | None, *, ignore_missing: bool = False
) -> tuple[list[Body], int]:
    """The CiJobs, and how many of the names there are none of: each of these is told, unless they are ignored.

    Raises:
        ApiError: the API server refused, or does not answer.
    """
    if not names:
        return await labelled_jobs(api, api.namespace, selector), 0
    return await find_jobs(api, api.namespace, names, ignore_missing=ignore_missing)


async def each(api: Api, jobs: Sequence[Body], act: Callable[[Body], Awaitable[None]]) -> int:
    """Does something to each CiJob, and goes on where one fails; how many failed."""
    failures = 0
    for job in jobs:
        try:
            await act(job)
        except ApiError as error:
            tell(explained(error, api.server, api.namespace))
            failures += 1
    return failures


async def nobody(api: Api, selector: str | None) -> str:
    """A sentence for a selector that chooses nothing."""
    labels = f" with the labels {selector}" if selector else ""
    missing = await missing_namespace(api, api.namespace)  # an empty list of a namespace that is not there is a typo
    return f"there are no CiJobs{labels} in the namespace {api.namespace}" + (f": {missing}" if missing else "")


def note(text: str) -> None:
    """Something to know, to the standard error."""
    click.echo(f"cijob: {' '.join(plain(text).split())}", err=True)
