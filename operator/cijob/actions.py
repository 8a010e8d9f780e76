"""What is seen of a CiJob's Pods, and what is decided about it: the words between the core and the shell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cijob.pool import OPEN, PoolView

if TYPE_CHECKING:
    from datetime import datetime

    from cijob.containers import Manifest
    from cijob.models import CiJobStatus
    from cijob.observation import ObservedPod
    from cijob.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePod:
    """POST the Pod of an attempt."""

    manifest: Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPod:
    """Let the kubelet end a Pod with grace; Pod, log and evidence stay."""

    pod: ObservedPod
    why: str
    active_deadline_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletePod:
    """Delete a Pod that no kubelet has started, or that should never have been."""

    pod: ObservedPod


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteJob:
    """Delete the CiJob; its Pods follow it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmPod:
    """GET a Pod that was recorded and that the cache lacks: only the API server knows that it is gone."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLog:
    """GET the last lines of a service that was not ready: they belong to the verdict."""

    pod: ObservedPod
    container: str
    #: Those of its run before this one: the kubelet has started it again.
    previous: bool


Action = CreatePod | StopPod | DeletePod | DeleteJob | ConfirmPod | ReadLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """At most one action, then at most one status; or a look at a later time."""

    action: Action | None = None
    status: CiJobStatus | None = None
    #: Set together with the final status.
    verdict: Verdict | None = None
    look_again_at: datetime | None = None
    #: The attempt may start once the pool gives it a turn.
    wants: bool = False
    #: The action was refused for now: come back later and later.
    try_again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The Pods of the CiJob's attempts, as the cache has them, and its pool."""

    #: None if there is none of the name.
    pool: PoolView | None = OPEN

    #: That of the current attempt.
    pod: ObservedPod | None = None
    #: It was there and is gone for certain; this is the last that was seen of it.
    gone: ObservedPod | None = None
    #: Those of the attempts before it.
    others: tuple[ObservedPod, ...] = ()
    #: UIDs of recorded Pods that are gone for certain: the API server said so.
    absent: frozenset[str] = frozenset()
    #: What `ReadLog` brought, empty if nothing; None while nobody asked.
    log: str | None = None


NOTHING: Final = Decision()
