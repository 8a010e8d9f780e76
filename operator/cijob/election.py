"""Who leads: the rules of an election on a Lease, without I/O. All deadlines are on the process's own clock.

The arithmetic. A leader writes the Lease every 2 s. It counts from the moment s at which it *sent* its last write that was
answered, and stops at s + 7. That write was stored at or after s, and another process can only have seen it later still;
it takes over no sooner than 10 s after it saw the Lease change last, so not before s + 10. Between the last moment at which
the old leader sends anything and the first at which the new one does lie 3 s: for requests that are under way to
be carried out or dropped, and for clocks that run at different speeds (safe up to a ratio of 10 : 7). What reaches the API
server later than that meets the locks of the objects themselves: names, UIDs, resourceVersions.

After a kill the Lease is seen unchanged from at most 1 s (a look) after its last renewal on, so it is taken within 11 s and
some round trips. After a clean stop its holder is empty, and the next look, within 1 s, takes it.

Nobody's wall clock matters: the times written into the Lease are for people. The rules are those of client-go
(kubernetes/client-go, tools/leaderelection/leaderelection.go), but for two: a deadline counts from the sending of a write,
not from its answer, and a Lease that was deleted while held is not free before its holder's time is over.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import inf
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

#: All in seconds. A leader that could not renew for RENEW_DEADLINE stops; others wait for LEASE since the last change.
LEASE: Final = 10
RENEW_DEADLINE: Final = 7.0
RENEW_EVERY: Final = 2.0
LOOK_EVERY: Final = 1.0
#: One request may take so long.
CALL: Final = 2.0
#: Between two tries of a leader; followers wait longer and longer.
RETRY: Final = 0.5
LAST_RETRY: Final = 5.0
#: Before the look that follows a conflict: somebody else is at it too.
AFTER_CONFLICT: Final = 0.1


@dataclass(frozen=True, slots=True)
class Lease:
    """A Lease as it was read: holder (empty: nobody), how long it is held without a renewal, and its version."""

    holder: str
    seconds: float
    version: str
    transitions: int = 0
    acquired: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What one process knows. Times are of its own clock."""

    identity: str
    lease: Lease | None = None
    #: Whether `lease` is what the API server has, as far as is known.
    known: bool = False
    #: From when on the Lease may be taken from its holder.
    free_at: float = -inf
    #: When the last answered write was sent; None: this process does not lead.
    renewed_at: float | None = None
    next_call: float = -inf
    failures: int = 0

    @property
    def deadline(self) -> float:
        """When this process must have stopped, if it cannot renew; in the past if it does not lead."""
        return -inf if self.renewed_at is None else self.renewed_at + RENEW_DEADLINE

    @property
    def holds(self) -> bool:
        """Whether the Lease names this process."""
        return self.lease is not None and self.lease.holder == self.identity


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before a time."""

    until: float


@dataclass(frozen=True, slots=True)
class Look:
    """GET the Lease."""


@dataclass(frozen=True, slots=True)
class Write:
    """Write the Lease with this process as its holder, over the version that is known (create it if there is none)."""


@dataclass(frozen=True, slots=True)
class Lost:
    """This process led and may do so no longer."""

    why: str


Step = Wait | Look | Write | Lost


def next_step(me: Candidate, now: float) -> Step:
    """What to do at a time."""
    leads = me.renewed_at is not None
    if leads and me.known and not me.holds:
        return Lost("the Lease was deleted" if me.lease is None else f"{me.lease.holder or 'nobody'} holds the Lease")
    if leads and now >= me.deadline:
        return Lost(f"the Lease could not be renewed for {RENEW_DEADLINE:.0f} s")
    if now < me.next_call:
        return Wait(min(me.next_call, me.deadline) if leads else me.next_call)
    return Write() if me.known and (leads or _free(me, now)) else Look()


def looked(me: Candidate, lease: Lease | None, now: float) -> Candidate:
    """The API server showed the Lease, or that there is none; `now` is when its answer came."""
    free_at = me.free_at
    if lease is not None and lease.holder in {"", me.identity}:
        free_at = -inf
    elif lease is not None and (me.lease is None or lease.version != me.lease.version):
        free_at = now + max(lease.seconds, LEASE)
    me = replace(me, lease=lease, known=True, free_at=free_at)
    if me.renewed_at is not None or _free(me, now):
        return replace(me, next_call=now)
    return replace(me, next_call=min(now + LOOK_EVERY, free_at), failures=0)


def wrote(me: Candidate, lease: Lease, sent: float) -> Candidate:
    """A write was answered; `sent` is when it was sent."""
    return replace(me, lease=lease, known=True, free_at=-inf, renewed_at=sent, next_call=sent + RENEW_EVERY, failures=0)


def conflicted(me: Candidate, now: float) -> Candidate:
    """A write was refused: the Lease is not what it was taken for. It may be an own write whose answer was lost."""
    return replace(me, known=False, next_call=now + AFTER_CONFLICT)


def failed(me: Candidate, now: float) -> Candidate:
    """No usable answer. The request may have been carried out, or still be."""
    if me.renewed_at is not None:
        return replace(me, next_call=now + RETRY)
    pause = min(LAST_RETRY, LOOK_EVERY * 2.0 ** min(me.failures, 16))
    return replace(me, known=False, next_call=now + pause, failures=me.failures + 1)


def may_write(me: Candidate, now: float) -> bool:
    """Whether this process may change anything in the cluster."""
    return now < me.deadline


def claim(me: Candidate, wall: datetime) -> dict[str, Any]:
    """The spec to write: this process holds the Lease."""
    lease, stamp = me.lease, wall.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "holderIdentity": me.identity,
        "leaseDurationSeconds": LEASE,
        "acquireTime": lease.acquired if lease is not None and me.holds else stamp,
        "renewTime": stamp,
        "leaseTransitions": 0 if lease is None else lease.transitions + (0 if me.holds else 1),
    }


def release(me: Candidate, wall: datetime) -> dict[str, Any]:
    """The spec to write at a clean stop: nobody holds the Lease."""
    return claim(me, wall) | {"holderIdentity": ""}


def released(me: Candidate) -> Candidate:
    """This process has stopped leading, of its own will."""
    return replace(me, known=False, renewed_at=None)


def read(body: Mapping[str, Any]) -> Lease:
    """A raw Lease."""
    spec = body.get("spec") or {}
    return Lease(
        holder=spec.get("holderIdentity") or "",
        seconds=float(spec.get("leaseDurationSeconds") or LEASE),
        version=body["metadata"]["resourceVersion"],
        transitions=int(spec.get("leaseTransitions") or 0),
        acquired=spec.get("acquireTime"),
        metadata=body["metadata"],
    )


def _free(me: Candidate, now: float) -> bool:
    return now >= me.free_at
