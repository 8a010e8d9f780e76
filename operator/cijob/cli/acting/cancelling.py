"""`cijob cancel`: sets spec.cancel, which the operator obeys at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cijob.cli import creation
from cijob.cli.acting.selecting import chosen, each, nobody, wanted
from cijob.cli.acting.states import State, state_of
from cijob.cli.errors import Exit
from cijob.cli.printing import resource_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cijob.cli.api import Api
    from cijob.transport import Body

_LATE = "cancelled: its script has been asked to end before, and afterScript may run still"


async def cancel(api: Api, names: Sequence[str], selector: str | None, *, everything: bool, now: bool) -> int:
    """Cancels CiJobs, or everything that has not ended, and says of each what becomes of it; gives the exit code."""
    jobs, missing = await chosen(api, wanted(names, selector, other=everything), selector)
    if not names and not jobs:
        click.echo(await nobody(api, selector), err=True)
        return Exit.OK
    if everything:
        jobs = [job for job in jobs if not state_of(job).finished]
        if not jobs:
            click.echo(f"nothing to cancel: all CiJobs in the namespace {api.namespace} have ended", err=True)

    async def act(job: Body) -> None:
        mode, sentence = decided(state_of(job), job["spec"].get("cancel"), now=now)
        if mode is not None:
            await creation.cancel(api, api.namespace, job["metadata"]["name"], job["metadata"]["uid"], mode)
        click.echo(f"{resource_name(job)} {sentence}")

    failures = missing + await each(api, jobs, act)
    return Exit.FAILED if failures else Exit.OK


def decided(state: State, already: str | None, *, now: bool) -> tuple[str | None, str]:
    """What to set spec.cancel to (None: nothing), and the end of a sentence that starts with the CiJob's name. Pure."""
    if state.finished:
        return None, f"has ended already: {state}"
    mode = "Immediate" if now else "Graceful"
    if already in {mode, "Immediate"}:
        return None, "is being cancelled already"
    if state.phase != "Running":
        return mode, f"cancelled: it was {state}, and does not start any more"
    if now:
        late = already == "Graceful"  # what a Pod is told when it is told to stop, it is told once
        return mode, _LATE if late else "cancelled: its script is asked to end, and afterScript does not run"
    return mode, "cancelled: its script is asked to end, then afterScript runs"
