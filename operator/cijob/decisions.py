"""What to do about one CiJob: a pure function of what is observed and of the time.

Level-triggered: the decision reads the state, never the event that led to it, so that a missed or repeated event and a
restarted operator come to the same end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from cijob import names, status
from cijob.errors import InvalidSpec
from cijob.manifests import Manifest, build_pod, timeout_seconds
from cijob.models import Cancel, CiJob, CiJobHead, CiJobStatus, Phase
from cijob.policies.creation import CreationFailure, Refusal
from cijob.policies.lifetime import expires_at
from cijob.policies.outcome import daemon_verdict, outcome, vanished
from cijob.policies.waiting import Wait, waiting
from cijob.reasons import Reason
from cijob.validation import validate_name, validate_spec
from cijob.verdict import Verdict, verdict

if TYPE_CHECKING:
    from cijob.observation import ObservedPod
    from cijob.settings import Settings

#: A Pod that does not run its job after this long gets a status that says why.
SLOW_START: Final = timedelta(seconds=5)
#: The kubelet needs this long to bring the word `Immediate` into the container before it may stop it.
_IMMEDIATE_SECONDS: Final = 2
#: Mutating webhooks that do not know the field drop it: the Pod would wait for its daemon's end for ever.
_STRIPPED: Final = (
    "A webhook removed restartPolicy from the init container dind: exempt Pods labelled "
    f"{names.LABEL_MANAGED_BY}={names.COMPONENT}."
)


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
    """Delete a Pod that no kubelet has started."""

    pod: ObservedPod


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteJob:
    """Delete the CiJob; its Pods follow it."""


Action = CreatePod | StopPod | DeletePod | DeleteJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """At most one action, then at most one status; or a look at a later time."""

    action: Action | None = None
    status: CiJobStatus | None = None
    #: Set together with the final status.
    verdict: Verdict | None = None
    look_again_at: datetime | None = None
    #: The action was refused for now: come back later and later.
    try_again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The Pod of the CiJob's current attempt, as the cache has it."""

    pod: ObservedPod | None = None
    #: The Pod was there and is gone for certain; this is the last that was seen of it.
    gone: ObservedPod | None = None


NOTHING: Final = Decision()


def decide(job: CiJob, observed: Observed, settings: Settings, now: datetime) -> Decision:
    """The next step for a CiJob."""
    if job.deletion_timestamp is not None:
        return NOTHING
    if job.status.phase.finished:
        return _finished(job, observed.pod, settings, now)
    if observed.pod is None:
        return _without_pod(job, observed.gone, settings, now)
    return _with_pod(job, observed.pod, settings, now)


def finish(
    job: CiJobHead, pod: ObservedPod | None, end: Verdict, now: datetime, action: Action | None = None
) -> Decision:
    """The decision that ends a CiJob."""
    return Decision(action=action, status=status.finished(job, pod, end, now), verdict=end)


def refused(job: CiJob, failure: CreationFailure, now: datetime) -> Decision:
    """The decision after the API server refused the Pod of `decide`."""
    if failure.verdict is not None:
        return finish(job, None, failure.verdict, now)
    told = job.status.reason == Reason.QUOTA_EXCEEDED
    if failure.refusal is not Refusal.QUOTA or told:
        return Decision(try_again=True)
    return Decision(status=status.waiting(job, None, Reason.QUOTA_EXCEEDED, failure.message), try_again=True)


def _finished(job: CiJob, pod: ObservedPod | None, settings: Settings, now: datetime) -> Decision:
    expiry = expires_at(job, timedelta(seconds=settings.default_ttl_seconds))
    if expiry is not None and now >= expiry:
        return Decision(action=DeleteJob())
    # A verdict on a Pod that never got to its job (no image, no Secret) leaves that Pod behind: it must not start later.
    # Nor must one whose creation was never answered, and which the job's cancellation overtook.
    left = pod is not None and _ours(job, pod) and pod.job.terminated is None
    return Decision(
        action=_end(pod, job.status.reason or "", now) if pod is not None and left else None, look_again_at=expiry
    )


def _without_pod(job: CiJob, gone: ObservedPod | None, settings: Settings, now: datetime) -> Decision:
    if gone is not None or job.status.pod_uid is not None:
        return finish(job, gone, vanished(job.spec, gone, _timeout(job, gone, settings)), now)
    if job.spec.cancel is not None:
        return finish(job, None, verdict(Reason.CANCELLED, "It had not started."), now)
    problems = [*validate_name(job.name), *validate_spec(job.spec)]
    if problems:
        return finish(job, None, verdict(Reason.INVALID_SPEC, "; ".join(problems)), now)
    try:
        manifest = build_pod(job, status.FIRST_ATTEMPT, settings)
    except InvalidSpec as error:
        return finish(job, None, verdict(Reason.INVALID_SPEC, str(error)), now)
    return Decision(action=CreatePod(manifest=manifest))


def _with_pod(job: CiJob, pod: ObservedPod, settings: Settings, now: datetime) -> Decision:
    if not _ours(job, pod):
        return finish(job, None, verdict(Reason.POD_NAME_CONFLICT, f"The Pod is {pod.name}."), now)
    if job.spec.docker.enabled and not pod.sidecar:
        return finish(job, pod, verdict(Reason.POD_REJECTED, _STRIPPED), now)
    end = outcome(job.spec, pod, _timeout(job, pod, settings))
    if end is not None:
        return finish(job, pod, end, now)
    if job.spec.cancel is not None:
        return _cancel(job, job.spec.cancel, pod, now)
    wait = waiting(job.spec, pod, timedelta(seconds=settings.waiting_grace_seconds), now)
    if wait is not None:
        return _waiting(job, pod, wait, now)
    return _running(job, pod, now)


def _cancel(job: CiJob, mode: Cancel, pod: ObservedPod, now: datetime) -> Decision:
    if pod.start_time is None:
        return finish(job, pod, verdict(Reason.CANCELLED, "It had not started."), now, DeletePod(pod=pod))
    return Decision(action=_stop(pod, str(mode), now))


def _waiting(job: CiJob, pod: ObservedPod, wait: Wait, now: datetime) -> Decision:
    if wait.verdict is not None:
        return finish(job, pod, wait.verdict, now)
    slow_at = pod.created + SLOW_START
    if job.status.phase is Phase.PENDING and now >= slow_at:
        return Decision(status=status.waiting(job, pod, wait.reason, wait.message), look_again_at=wait.until)
    return Decision(look_again_at=slow_at if job.status.phase is Phase.PENDING else wait.until)


def _running(job: CiJob, pod: ObservedPod, now: datetime) -> Decision:
    """The job container runs, or has ended without telling why yet."""
    action = None
    if pod.job.terminated is None and pod.dind.death is not None and pod.deletion_timestamp is None:
        # Its containers are gone with it: what the script does from here on is wrong in any case.
        lost = daemon_verdict(pod)
        action = _stop(pod, str(lost.reason if lost is not None else Reason.DAEMON_LOST), now)
    if job.status.phase is Phase.RUNNING:
        return Decision(action=action)
    return Decision(action=action, status=status.running(job, pod))


def _ours(job: CiJobHead, pod: ObservedPod) -> bool:
    return pod.owner_uid == job.uid and pod.attempt == status.FIRST_ATTEMPT


def _end(pod: ObservedPod, why: str, now: datetime) -> StopPod | DeletePod | None:
    """End a left-over Pod; a deadline only runs once a kubelet has the Pod."""
    if pod.start_time is None and pod.deletion_timestamp is None and not pod.terminal:
        return DeletePod(pod=pod)
    return _stop(pod, why, now)


def _stop(pod: ObservedPod, why: str, now: datetime) -> StopPod | None:
    """Stop a Pod once; Graceful may become Immediate, which the launcher reads if it is in time."""
    if pod.terminal or pod.deletion_timestamp is not None or pod.stop == why or (pod.stop and why != Cancel.IMMEDIATE):
        return None
    seconds = 1
    if why == Cancel.IMMEDIATE and not pod.stop and pod.start_time is not None:
        seconds = int((now - pod.start_time).total_seconds()) + _IMMEDIATE_SECONDS
        seconds = max(1, min(seconds, pod.active_deadline_seconds))  # it may only be lowered
    return StopPod(pod=pod, why=why, active_deadline_seconds=seconds)


def _timeout(job: CiJob, pod: ObservedPod | None, settings: Settings) -> timedelta:
    """The Pod's own deadline where it has it still: the operator's default may have changed since."""
    if pod is not None and pod.active_deadline_seconds and not pod.stop:
        return timedelta(seconds=pod.active_deadline_seconds)
    return timedelta(seconds=timeout_seconds(job, settings))
