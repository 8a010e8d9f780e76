"""What keeps an attempt from starting: the user (`suspend`), the pool's rules, its doors, and whose turn it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cijob.policies.pool_rules import not_allowed
from cijob.quantities import parse_duration
from cijob.reasons import MESSAGES, Reason
from cijob.verdict import Verdict, verdict

if TYPE_CHECKING:
    from datetime import datetime

    from cijob.models import CiJob
    from cijob.pool import PoolView

#: Who moves about in a queue is not told of each move.
_CAPACITY: Final = frozenset({Reason.POOL_AT_CAPACITY, Reason.NAMESPACE_AT_CAPACITY})
_NAMESPACE: Final = "namespace: {}; the pool's namespaceSelector does not select it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """An attempt that does not start: it never will (`verdict`), or waits."""

    reason: Reason
    message: str = ""
    verdict: Verdict | None = None
    #: When it has waited for too long; None for never.
    until: datetime | None = None
    #: Whether it waits for its turn only.
    wants: bool = False
    #: Since when.
    since: datetime


def held(job: CiJob, pool: PoolView | None, now: datetime) -> Hold | None:
    """What keeps the attempt from starting now; None if nothing does. The spec is the job's, in its pool."""
    problems = _refusals(job, pool)
    since = _since(job, now)
    if problems:
        end = verdict(Reason.NOT_ALLOWED, "; ".join(problems))
        return Hold(reason=end.reason, verdict=end, since=since)
    reason = _reason(job, pool)
    if reason is None:
        return None
    until = since + timedelta(seconds=parse_duration(job.spec.queue_timeout)) if job.spec.queue_timeout else None
    if until is not None and now >= until:
        end = verdict(Reason.QUEUE_TIMEOUT, f"It was {job.spec.queue_timeout}. {MESSAGES[reason]}")
        return Hold(reason=end.reason, verdict=end, since=since)
    # Without a pool too: it may come.
    return Hold(reason=reason, message=MESSAGES[reason], until=until, wants=not job.spec.suspend, since=since)


def told(job: CiJob, hold: Hold) -> bool:
    """Whether the status says already what holds the attempt back."""
    return job.status.reason == hold.reason or (hold.reason in _CAPACITY and job.status.reason in _CAPACITY)


def _refusals(job: CiJob, pool: PoolView | None) -> list[str]:
    if pool is None:
        return []
    return [*([] if pool.selected else [_NAMESPACE.format(job.namespace)]), *not_allowed(job.spec, pool.spec)]


def _reason(job: CiJob, pool: PoolView | None) -> Reason | None:
    if job.spec.suspend:
        return Reason.SUSPENDED
    if pool is None:
        return Reason.POOL_NOT_FOUND
    return None if pool.admitted else pool.reason


def _since(job: CiJob, now: datetime) -> datetime:
    last = job.status.attempts[-1].completion_time if job.status.attempts else None
    return last or job.creation_timestamp or now
