"""What users do to a CiJob, and what befalls it: each is run without faults first, then with one fault at a time."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.faults.api import FINISHED
from tests.faults.kubelet import Play
from tests.faults.rules import Requests, When

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.faults.case import Case

#: Seconds that any step may take; without faults they take a fraction.
STEP_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """A user's side of a story. `end` is how it must end without faults."""

    name: str
    end: str
    drive: Callable[[Case], Awaitable[None]]
    #: How many CiJobs it has at once.
    jobs: int = 1


async def _success(case: Case) -> None:
    await case.create(Play())


async def _failure(case: Case) -> None:
    await case.create(Play(exit_code=7))


async def _retry(case: Case) -> None:
    await case.create(Play(evicted=frozenset({1})))


async def _cancel(case: Case) -> None:
    await case.create(Play(seconds=None))
    await case.until("Running", STEP_SECONDS)
    await case.change(cancel="Graceful")


async def _timeout(case: Case) -> None:
    await case.create(Play(seconds=None), timeout="4s")


async def _ttl(case: Case) -> None:
    await case.create(Play(), ttlSecondsAfterFinished=0)
    await case.world.lab.jobs.until(lambda: case.job is None, STEP_SECONDS)


async def _delete(case: Case) -> None:
    await case.create(Play(seconds=None))
    await case.until("Running", STEP_SECONDS)
    await case.delete()
    await case.world.lab.jobs.until(lambda: case.job is None, STEP_SECONDS)


async def _recreate(case: Case) -> None:
    await _delete(case)
    await case.create(Play(exit_code=3))


async def _cancel_at_verdict(case: Case) -> None:
    await _cancel_in_flight(case, When.BEFORE, Play(exit_code=7, lingers=None))


async def _cancel_after_verdict(case: Case) -> None:
    await _cancel_in_flight(case, When.AFTER, Play(exit_code=7))


async def _cancel_in_flight(case: Case, when: When, play: Play) -> None:
    """The user cancels while the verdict is under way: it has left the operator, or has been stored and not answered yet."""
    cancelled = asyncio.Event()

    async def cancel() -> None:
        if when is When.AFTER and not case.verdicts():  # refused: there is no verdict yet
            return
        if not cancelled.is_set():
            cancelled.set()
            await case.change(cancel="Graceful")

    case.world.proxy.trigger(_verdict_of(case), cancel, when)
    await case.create(play)
    with contextlib.suppress(TimeoutError):  # the oracle tells what became of it
        async with asyncio.timeout(STEP_SECONDS):
            await cancelled.wait()


async def _queue(case: Case) -> None:
    await case.compete(Play(), running=1)


def _verdict_of(case: Case) -> Requests:
    ended = rf'"phase": "({"|".join(FINISHED)})"'
    return Requests(method="PATCH", path="/cijobs/[^/]+/status$", name=case.pattern, body=ended, times=None)


SCENARIOS: Final = {
    one.name: one
    for one in (
        Scenario("success", "Succeeded", _success),
        Scenario("script-failure", "Failed", _failure),
        Scenario("retry", "Succeeded", _retry),
        Scenario("cancel", "Cancelled", _cancel),
        Scenario("cancel-at-verdict", "Cancelled", _cancel_at_verdict),
        Scenario("cancel-after-verdict", "Failed", _cancel_after_verdict),
        Scenario("timeout", "Failed", _timeout),
        Scenario("ttl", "gone", _ttl),
        Scenario("delete", "gone", _delete),
        Scenario("recreate", "Failed", _recreate),
        Scenario("queue", "Succeeded", _queue, jobs=3),
    )
}
