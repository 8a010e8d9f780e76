"""The faults that a second operator is there for: the leader is lost at a write, and the follower takes over, 10 s later."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from tests.faults.api import JSON_PATCH, Refused
from tests.faults.injections import Company, Injection, nth_write, words
from tests.faults.rules import Call, Drop, Events, Freeze, Kill, Requests, Rule, When

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.case import Case
    from tests.faults.records import Event, Record
    from tests.faults.world import Seat


def takeover(writes: list[Record], _: list[Event]) -> list[Injection]:
    """At each write of the leader's."""
    return [
        Injection(
            kind=kind,
            target=words(number, write),
            arm=_lose(number, when, how),
            company=Company.TEAM,
        )
        for number, write in enumerate(writes, 1)
        for kind, when, how in _LOSSES
    ]


def _lose(number: int, when: When, how: Callable[[Case, Seat, Seat], None]) -> Callable[[Case], Rule]:
    def arm(case: Case) -> Rule:
        leader = case.world.leader
        heir = case.heir = next(seat for seat in case.world.seats if seat is not leader)
        return leader.proxy.arm(nth_write(case, number), Kill(lambda: how(case, leader, heir)), when)

    return arm


def _kill(_: Case, leader: Seat, __: Seat) -> None:
    leader.operator.kill()


def _kill_with_late_write(case: Case, leader: Seat, heir: Seat) -> None:
    """The write arrives all the same, right after the first that the follower makes about this CiJob."""
    write = leader.proxy.records[-1]
    case.excused = write.target == "pods"
    leader.operator.kill()

    async def arrive() -> None:
        content = JSON_PATCH if write.method == "PATCH" else "application/json"
        with contextlib.suppress(Refused):
            await case.world.lab.api.call(write.method, write.path, write.body, content)

    heir.proxy.arm(nth_write(case, 1), Call(arrive), When.AFTER)


def _pause(_: Case, leader: Seat, heir: Seat) -> None:
    """The leader's process stands still, and goes on at the moment at which the follower has taken the Lease."""
    leader.operator.pause()

    async def resume() -> None:
        leader.operator.resume()

    heir.proxy.arm(Requests(method="POST|PUT", path="/leases"), Call(resume), When.AFTER)


def _cut_off(_: Case, leader: Seat, __: Seat) -> None:
    """Nothing passes between the leader and the API server any more: the leader has to end by itself."""
    leader.proxy.arm(Requests(times=None), Drop())
    leader.proxy.arm(Events(times=None), Freeze())


_LOSSES: Final = (
    ("leader killed before write", When.BEFORE, _kill),
    ("leader killed after write", When.AFTER, _kill),
    ("leader killed, write arrives after the follower's", When.BEFORE, _kill_with_late_write),
    ("leader stopped before write, goes on at the takeover", When.BEFORE, _pause),
    ("leader cut off before write", When.BEFORE, _cut_off),
    ("leader cut off after write", When.AFTER, _cut_off),
)
