"""Every fault of the sweep: made from what a run without faults wrote and was told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from tests.faults.rules import (
    Answer,
    Call,
    Close,
    Delay,
    Drop,
    Events,
    Expire,
    Freeze,
    Kill,
    Repeat,
    Requests,
    Rule,
    Stale,
    When,
)
from tests.faults.world import NAMESPACES

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.case import Case
    from tests.faults.proxy import Proxy
    from tests.faults.records import Event, Record
    from tests.faults.rules import EventFault, RequestFault


class Company(Enum):
    """Who shares an operator with the CiJob: a start costs a second of a processor."""

    #: Many others at the same time: the fault strikes nothing of theirs.
    MANY = auto()
    #: Others one after the other: the fault strikes a watch of all, or the process.
    TURNS = auto()
    #: Nobody: the fault lasts.
    NONE = auto()
    #: Others one after the other, and a second operator, which takes over.
    TEAM = auto()


#: Longer than a relist takes to come, so that it overtakes the event.
_LATE_SECONDS: Final = 2.5
_POD_LISTS: Final = r"/pods\?.*labelSelector"
_WRITES: Final = "^(POST|PUT|PATCH|DELETE)$"
_ANSWERS: Final = (
    (When.BEFORE, Answer(409)),
    (When.BEFORE, Answer(429, retry_after=1)),
    (When.BEFORE, Answer(500)),
    (When.BEFORE, Answer(503)),
    (When.AFTER, Answer(504)),
)
_EVENTS: Final[tuple[tuple[str, EventFault, Company], ...]] = (
    ("event dropped", Drop(), Company.MANY),
    ("event sent twice", Repeat(), Company.MANY),
    ("event delayed", Delay(_LATE_SECONDS), Company.TURNS),
    ("watch closed before event", Close(), Company.TURNS),
    ("watch expired (410) before event", Expire(), Company.TURNS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """One fault of one run."""

    kind: str
    #: What it strikes, in words.
    target: str
    #: Gives the rule that must strike for the fault to count as tried.
    arm: Callable[[Case], Rule]
    company: Company = Company.MANY


def kills(writes: list[Record], _: list[Event]) -> list[Injection]:
    """The operator's process ends by SIGKILL, before or after each write."""
    return [
        Injection(
            kind=f"killed {when.name.lower()} write",
            target=words(number, write),
            arm=_kill(number, when),
            company=Company.TURNS,
        )
        for number, write in enumerate(writes, 1)
        for when in When
    ]


def stale(writes: list[Record], _: list[Event]) -> list[Injection]:
    """Killed after each write, and the first lists after the restart are older: as before that write, or as at the very start.

    Either all of them, or those of Pods only, for longer than the operator needs to decide.
    """
    numbered = list(enumerate(writes, 1))
    middle = (len(writes) + 1) // 2
    return [
        Injection(
            kind=f"killed, then {'' if arm is _serve_all else 'Pod '}lists from {'the start' if oldest else 'before write'}",
            target=words(number, write),
            arm=_kill_and_serve(number, arm, oldest=oldest),
            company=Company.TURNS,
        )
        for arm, oldest, at in (
            (_serve_all, False, numbered),
            (_serve_all, True, [numbered[middle - 1]]),
            (_serve_pods, False, numbered),
            (_serve_pods, True, numbered),
        )
        for number, write in at
    ]


def frozen(_: list[Record], events: list[Event]) -> list[Injection]:
    """The watch of a kind falls silent: nobody ends it, and nothing comes."""
    return [
        Injection(
            kind="watch silent from event",
            target=f"2. {kind}",
            arm=_strike_event(kind, 2, Freeze()),
            company=Company.NONE,
        )
        for kind in ("CiJob", "Pod")
        if sum(event.kind == kind for event in events) > 1
    ]


def answers(writes: list[Record], _: list[Event]) -> list[Injection]:
    """The answer to each write is lost, or is an error."""
    made = [
        Injection(
            kind=f"connection cut {when.name.lower()} write",
            target=words(number, write),
            arm=_strike(number, Drop(), when),
        )
        for number, write in enumerate(writes, 1)
        for when in When
    ]
    return made + [
        Injection(
            kind=f"{answer.status} {when.name.lower()} write",
            target=words(number, write),
            arm=_strike(number, answer, when),
        )
        for number, write in enumerate(writes, 1)
        for when, answer in _ANSWERS
    ]


def events(_: list[Record], seen: list[Event]) -> list[Injection]:
    """Each event is dropped, sent twice or late, or the watch ends before it."""
    numbers = {kind: [event for event in seen if event.kind == kind] for kind in ("CiJob", "Pod")}
    return [
        Injection(
            kind=name, target=f"{number}. {event.type} {kind}", arm=_strike_event(kind, number, fault), company=company
        )
        for kind, of_kind in numbers.items()
        for number, event in enumerate(of_kind, 1)
        for name, fault, company in _EVENTS
    ]


def words(number: int, write: Record) -> str:
    """A write, for people."""
    return f"{number}. {write.method} {write.target}"


def nth_write(case: Case, number: int) -> Requests:
    """A write about a CiJob."""
    return Requests(method=_WRITES, name=case.pattern, first=number)


def _strike(number: int, fault: RequestFault, when: When) -> Callable[[Case], Rule]:
    return lambda case: case.world.proxy.arm(nth_write(case, number), fault, when)


def _strike_event(kind: str, number: int, fault: EventFault) -> Callable[[Case], Rule]:
    return lambda case: case.world.proxy.arm(Events(kind=f"^{kind}$", name=case.pattern, first=number), fault)


def _kill(number: int, when: When) -> Callable[[Case], Rule]:
    return lambda case: case.world.proxy.arm(nth_write(case, number), Kill(case.world.operator.kill), when)


def _kill_and_serve(number: int, serve: Callable[[Proxy, Stale], None], *, oldest: bool) -> Callable[[Case], Rule]:
    def arm(case: Case) -> Rule:
        proxy, kept = case.world.proxy, []

        async def remember() -> None:
            kept.append(proxy.first_lists() if oldest else await proxy.snapshot())

        def kill() -> None:
            case.world.operator.kill()
            serve(proxy, kept[0])

        proxy.arm(nth_write(case, number), Call(remember))
        return proxy.arm(nth_write(case, number), Kill(kill), When.AFTER)

    return arm


def _serve_all(proxy: Proxy, old: Stale) -> None:
    for path in old.answers:
        proxy.arm(Requests(method="GET", path=f"^{re.escape(path)}$", watch=False), old)


def _serve_pods(proxy: Proxy, old: Stale) -> None:
    """As from an API server whose Pods are late: the lists of the start and of the new leader, and the watch from there on."""
    proxy.arm(Requests(method="GET", path=_POD_LISTS, watch=False, times=2 * NAMESPACES), old)
    proxy.arm(Requests(method="GET", path=_POD_LISTS, watch=True, times=NAMESPACES), Delay(_LATE_SECONDS))
