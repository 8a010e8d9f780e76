"""`cijob wait`: until CiJobs have come as far as somebody wants."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import click

from cijob import names as api_names
from cijob.cli.acting.selecting import chosen, nobody, note, wanted
from cijob.cli.acting.states import Goal, State, over, overall, settled, state_of
from cijob.cli.errors import CliError, Exit
from cijob.cli.watching import observed
from cijob.quantities import format_duration
from cijob.transport import CIJOBS, path_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from cijob.cli.api import Api
    from cijob.transport import Body


async def wait(api: Api, names: Sequence[str], selector: str | None, *, goal: Goal, seconds: int | None) -> int:
    """Waits for CiJobs; gives the exit code.

    Args:
        api: the cluster.
        names: of the CiJobs, or none with a selector.
        selector: labels of the CiJobs. Those that come later are not waited for.
        goal: how far they have to come.
        seconds: how long, or None for as long as it takes.

    Raises:
        CliError: there are none with these labels, one was deleted, or the time is over.
        ApiError: the API server refuses, or has not answered for long.
    """
    jobs, missing = await chosen(api, wanted(names, selector), selector)
    if missing:
        return Exit.FAILED
    if not jobs:
        raise CliError(await nobody(api, selector))
    report, states = Report(goal), [state_of(job) for job in jobs]
    report.tell(states)
    if over(states, goal):
        return overall(states)
    try:
        async with asyncio.timeout(seconds):
            async for states in _states(api, jobs):
                report.tell(states)
                if over(states, goal):
                    return overall(states)
    except TimeoutError:
        late = ", ".join(f"{one.name} is {one}" for one in report.unsettled())
        limit = format_duration(seconds or 0)
        raise CliError(
            f"after {limit}: {late}", f"`cijob describe NAME{api.flag}` says why; nothing was cancelled."
        ) from None
    raise AssertionError("a watch never ends")


class Report:
    """Says each change once: what is waited for still to the standard error, what has come to the standard output."""

    def __init__(self, goal: Goal) -> None:
        self._goal = goal
        self._told: dict[str, State] = {}

    def tell(self, states: Sequence[State]) -> None:
        """Say what is new in these."""
        for state in states:
            before = self._told.get(state.name)
            self._told[state.name] = state
            if before is None or (before.phase, before.reason) != (state.phase, state.reason):
                done = settled(state, self._goal)
                message = f": {state.message}" if state.message and state.phase != "Succeeded" else ""
                click.echo(f"cijob.cijob.dev/{state.name} {state}{message}", err=not done)

    def unsettled(self) -> list[State]:
        """The states of those that are waited for still."""
        return [state for state in self._told.values() if not settled(state, self._goal)]


async def _states(api: Api, jobs: Sequence[Body]) -> AsyncGenerator[list[State]]:
    """The states of these very CiJobs, in their order, again after each change."""
    uids = [job["metadata"]["uid"] for job in jobs]
    names = {job["metadata"]["uid"]: job["metadata"]["name"] for job in jobs}
    one = {"fieldSelector": f"metadata.name={names[uids[0]]}"} if len(uids) == 1 else {}
    async with aclosing(
        observed(api, path_of(CIJOBS, api.namespace, api_names.PLURAL), one, trouble=note)
    ) as observations:
        async for bodies in observations:
            found = {body["metadata"]["uid"]: body for body in bodies}
            gone = [names[uid] for uid in uids if uid not in found]
            if gone:
                raise CliError(f"{gone[0]} was deleted while it was waited for")
            yield [state_of(found[uid]) for uid in uids]
