"""What keeps an attempt from starting: the user (`suspend`), the pool's rules, its doors, and whose turn it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cijob.policies.pool_rules import not_allowed
from cijob.policies.retry import not_before
from cijob.quantities import parse_duration
from cijob.reasons import MESSAGES, Reason
from cijob.verdict import Verdict, verdict

if TYPE_CHECKING:
    from datetime import datetime

    from cijob.models import CiJob
    from cijob.pool import PoolView

#: One that waits for so long gets a status that says why, and is not turned away while it may have its turn any moment.
PATIENCE: Final = timedelta(seconds=5)
#: Who moves about in a queue is not told of each move, nor who tries in vain to fit into a quota.
_CROWDED: Final = frozenset({Reason.POOL_AT_CAPACITY, Reason.NAMESPACE_AT_CAPACITY, Reason.QUOTA_EXCEEDED})
_NAMESPACE: Final = "namespace: {}; the pool's namespaceSelector does not select it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """An attempt that does not start: it never will (`verdict`), or waits."""

    verdict: Verdict | None = None
    #: What it waits for; None if it has only to be its turn.
    reason: Reason | None = None
    #: Whether it wants a turn.
    wants: bool = False
    #: Whether its status is to say so now.
    tell: bool = False
    #: When this is different: it is to be told, or has waited for too long.
    until: datetime | None = None

    @property
    def message(self) -> str:
        """What the status says."""
        return "" if self.reason is None else MESSAGES[self.reason]


def held(job: CiJob, pool: PoolView | None, now: datetime) -> Hold | None:
    """What keeps the attempt from starting now; None if nothing does. The spec is the job's, in its pool."""
    problems = _refusals(job, pool)
    if problems:
        return Hold(verdict=verdict(Reason.NOT_ALLOWED, "; ".join(problems)))
    if pool is not None and pool.admitted and not job.spec.suspend:
        return None
    reason, since = _reason(job, pool), _since(job, now)
    late_at = since + timedelta(seconds=parse_duration(job.spec.queue_timeout)) if job.spec.queue_timeout else None
    if late_at is not None and now >= late_at:
        if reason is not None:
            return Hold(verdict=verdict(Reason.QUEUE_TIMEOUT, f"It was {job.spec.queue_timeout}. {MESSAGES[reason]}"))
        late_at = now + PATIENCE
    told_at = None if _told(job, reason) else since + PATIENCE
    if told_at is not None and now >= told_at and reason is None:
        told_at = now + PATIENCE
    tell = told_at is not None and now >= told_at
    moments = [moment for moment in (None if tell else told_at, late_at) if moment is not None]
    # Without a pool, too: it may come.
    return Hold(reason=reason, wants=not job.spec.suspend, tell=tell, until=min(moments, default=None))


def _told(job: CiJob, reason: Reason | None) -> bool:
    """Whether the status says already what holds the attempt back."""
    if reason is None or (reason in _CROWDED and reason is not Reason.QUOTA_EXCEEDED):
        return job.status.reason in _CROWDED
    return job.status.reason == reason


def _refusals(job: CiJob, pool: PoolView | None) -> list[str]:
    if pool is None:
        return []
    return [*([] if pool.selected else [_NAMESPACE.format(job.namespace)]), *not_allowed(job.spec, pool.spec)]


def _reason(job: CiJob, pool: PoolView | None) -> Reason | None:
    if job.spec.suspend:
        return Reason.SUSPENDED
    return Reason.POOL_NOT_FOUND if pool is None else pool.reason


def _since(job: CiJob, now: datetime) -> datetime:
    """Since when the attempt waits: one that is not suspended first waits out the time after a failure."""
    last = job.status.attempts[-1].completion_time if job.status.attempts else None
    return (None if job.spec.suspend else not_before(job.status)) or last or job.creation_timestamp or now
