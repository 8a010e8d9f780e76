"""Who uses a pool, and who waits for it in which order, as far as its CiJobs tell. Pure.

The order is that of the operator's own code (`policies.admission`), asked as if places came free one by one and nothing of
what runs ended: the namespace with the fewest running first, then priority, then age. So a namespace at its own limit
comes after all that are not, without a word about limits.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cijob.cli.looking.jobs import FINISHED, key_of, phase_of, pool_of, status_of
from cijob.cli.printing import moment
from cijob.policies.admission import Admission
from cijob.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from cijob.cli.looking.jobs import Key
    from cijob.transport import Body

#: Phases in which a CiJob has its place in the pool.
_PLACED: Final = frozenset({"Starting", "Running"})
#: Reasons for which a job waits in line, and those for which it stands beside it.
_IN_LINE: Final = frozenset({Reason.POOL_AT_CAPACITY, Reason.NAMESPACE_AT_CAPACITY, Reason.POOL_HELD})


@dataclass(frozen=True, slots=True)
class Share:
    """What a namespace has of a pool."""

    namespace: str
    running: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Waiter:
    """A CiJob that has not its place in the pool.

    Attributes:
        job: the CiJob.
        place: its place in the line, from 1; None if it is not its turn whatever ends, such as a suspended one.
        why: the reason that its status names; empty for a new one.
    """

    job: Body
    place: int | None
    why: str


def of_pool(jobs: Iterable[Body], pool: str) -> list[Body]:
    """The CiJobs that name a pool and have not ended."""
    return [job for job in jobs if pool_of(job) == pool and phase_of(job) not in FINISHED]


def shares(jobs: Iterable[Body]) -> list[Share]:
    """What each namespace has, who has most first. The jobs are those of one pool that have not ended."""
    running, waiting = Counter[str](), Counter[str]()
    for job in jobs:
        (running if phase_of(job) in _PLACED else waiting)[job["metadata"]["namespace"]] += 1
    found = [Share(name, running[name], waiting[name]) for name in running | waiting]
    return sorted(found, key=lambda share: (-share.running, -share.waiting, share.namespace))


def line(jobs: Iterable[Body]) -> list[Waiter]:
    """Who waits, those whose turn comes first at the head, those without a turn at the end.

    The jobs are those of one pool that have not ended.
    """
    waiting: dict[Key, Body] = {}
    admission = Admission()
    for job in jobs:
        if phase_of(job) in _PLACED:
            admission.occupy(key_of(job))
        else:
            waiting[key_of(job)] = job
    in_line = {key: job for key, job in waiting.items() if status_of(job).get("reason") in _IN_LINE}
    for key, job in in_line.items():
        created = moment(_created(job))
        assert created is not None  # noqa: S101  every object has it
        admission.wait(key, int(job["spec"].get("priority") or 0), created)
    order = _turns(admission)
    turns = [Waiter(in_line[key], place, _why(in_line[key])) for place, key in enumerate(order, start=1)]
    others = [Waiter(job, None, _why(job)) for key, job in waiting.items() if key not in in_line]
    return turns + sorted(others, key=lambda one: (_created(one.job), key_of(one.job)))


def _turns(admission: Admission) -> list[Key]:
    """Who comes after whom, as one place after the other comes free."""
    order: list[Key] = []
    while (key := admission.admit()) is not None:
        admission.occupy(key)
        order.append(key)
    return order


def waited(waiter: Waiter, now: datetime) -> float:
    """Seconds since its creation, or since the end of the attempt before."""
    attempts = status_of(waiter.job).get("attempts") or ()
    since = moment(attempts[-1].get("completionTime") if attempts else None) or moment(_created(waiter.job))
    return 0.0 if since is None else (now - since).total_seconds()


def _created(job: Body) -> str:
    return str(job["metadata"]["creationTimestamp"])


def _why(job: Body) -> str:
    return str(status_of(job).get("reason") or "")
