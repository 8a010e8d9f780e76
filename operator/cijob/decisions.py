"""What to do about one CiJob: a pure function of what is observed and of the time.

Level-triggered: the decision reads the state, never the event that led to it, so that a missed or repeated event and a
restarted operator come to the same end.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from cijob import names, status
from cijob.actions import (
    NOTHING,
    Action,
    ConfirmPod,
    CreatePod,
    Decision,
    DeleteJob,
    DeletePod,
    Observed,
    ReadLog,
    StopPod,
)
from cijob.errors import InvalidSpec
from cijob.manifests import build_pod, timeout_seconds
from cijob.models import Cancel, CiJob, CiJobHead, Phase
from cijob.policies.attempts import alive, given_up, given_up_at, ours, stray
from cijob.policies.creation import CreationFailure, Refusal
from cijob.policies.details import with_log
from cijob.policies.lifetime import expires_at
from cijob.policies.outcome import daemon_verdict, outcome, vanished
from cijob.policies.pool_rules import with_life, with_pool_settings, with_resources
from cijob.policies.retry import not_before, retried
from cijob.policies.starting import PATIENCE, Hold, held
from cijob.policies.waiting import Wait, waiting
from cijob.pool import OPEN, PoolView, StopPolicy
from cijob.reasons import Reason
from cijob.validation import validate_name, validate_spec
from cijob.verdict import MAX_MESSAGE, Verdict, shortened, verdict

if TYPE_CHECKING:
    from cijob.observation import ObservedPod
    from cijob.settings import Settings

#: The kubelet needs this long to bring the word `Immediate` into the container before it may stop it.
_IMMEDIATE_SECONDS: Final = 2
#: Mutating webhooks that do not know the field drop it: the Pod would wait for its daemon's end for ever.
_STRIPPED: Final = (
    "A webhook removed restartPolicy from the init container dind: exempt Pods labelled "
    f"{names.LABEL_MANAGED_BY}={names.COMPONENT}."
)


def decide(job: CiJob, observed: Observed, settings: Settings, now: datetime) -> Decision:
    """The next step for a CiJob."""
    if job.deletion_timestamp is not None:
        return NOTHING
    if observed.pool is not None:
        job = replace(job, spec=with_life(job.spec, observed.pool.spec, settings, over=job.status.phase.finished))
        settings = with_pool_settings(settings, observed.pool.spec)
    if job.status.phase.finished:
        decision = _finished(job, observed.pod, settings, now)
    elif observed.pod is None:
        decision = _without_pod(job, observed, settings, now)
    else:
        decision = _with_pod(job, observed.pod, observed, settings, now)
    if decision.action is not None or not observed.others:
        return decision
    return replace(decision, action=_clear(job, observed, now))


def decide_unreadable(job: CiJobHead, own_ttl: int | None, problem: str, settings: Settings, now: datetime) -> Decision:
    """The next step for a CiJob whose spec cannot be read: it ends, and goes when its time is over."""
    if job.deletion_timestamp is not None:
        return NOTHING
    if not job.status.phase.finished:
        return finish(job, None, verdict(Reason.INVALID_SPEC, problem), now)
    expiry = expires_at(job, own_ttl, timedelta(seconds=settings.default_ttl_seconds))
    return Decision(action=DeleteJob()) if expiry is not None and now >= expiry else Decision(look_again_at=expiry)


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


def _conclude(
    job: CiJob, pod: ObservedPod | None, end: Verdict, now: datetime, action: Action | None = None
) -> Decision:
    """The decision at the end of an attempt: another one, or the end of the CiJob."""
    retries = retried(job.spec.retry, job.status, end)
    if retries is None:
        return finish(job, pod, end, now, action)
    following = status.next_attempt(job, pod, end, retries, now)
    when = not_before(following) or now
    plan = f" Attempt {following.attempt} starts at {when:%Y-%m-%dT%H:%M:%SZ}, once this one's Pod has ended."
    message = shortened(end.message, MAX_MESSAGE - len(plan)) + plan
    return Decision(action=action, status=following.model_copy(update={"message": message}), look_again_at=when)


def _finished(job: CiJob, pod: ObservedPod | None, settings: Settings, now: datetime) -> Decision:
    expiry = expires_at(job, job.spec.ttl_seconds_after_finished, timedelta(seconds=settings.default_ttl_seconds))
    if expiry is not None and now >= expiry:
        return Decision(action=DeleteJob())
    # A verdict on a Pod that never got to its job (no image, no Secret) leaves that Pod behind: it must not start later.
    # Nor must one whose creation was never answered, and which the job's cancellation overtook.
    left = pod is not None and ours(job, pod, job.status.current)
    return Decision(
        action=_end(job, pod, job.status.reason or "", now) if pod is not None and left else None, look_again_at=expiry
    )


def _without_pod(job: CiJob, observed: Observed, settings: Settings, now: datetime) -> Decision:
    recorded, gone = job.status.pod_uid, observed.gone
    if gone is not None or recorded in observed.absent:
        return _conclude(job, gone, vanished(job.spec, gone, _timeout(job, gone, settings)), now)
    if recorded is not None:
        return Decision(action=ConfirmPod(name=names.pod_name(job.name, job.uid, job.status.current), uid=recorded))
    if job.spec.cancel is not None:
        what = f"Attempt {job.status.current}" if job.status.attempts else "It"
        return finish(job, None, verdict(Reason.CANCELLED, f"{what} had not started."), now)
    problems = [*validate_name(job.name), *validate_spec(job.spec)]
    if problems:
        return finish(job, None, verdict(Reason.INVALID_SPEC, "; ".join(problems)), now)
    waits = _wait_for_others(job, observed, settings, now)
    if waits is not None and not job.spec.suspend:
        return waits
    hold = held(job, observed.pool, now)
    return _hold(job, hold, now) if hold is not None else _create(job, observed.pool or OPEN, settings, now)


def _hold(job: CiJob, hold: Hold, now: datetime) -> Decision:
    """An attempt that must not start yet, or never. One that does after a moment costs no write."""
    if hold.verdict is not None:
        return finish(job, None, hold.verdict, now)
    told = status.waiting(job, None, hold.reason, hold.message) if hold.tell and hold.reason is not None else None
    return Decision(status=told, look_again_at=hold.until, wants=hold.wants)


def _create(job: CiJob, pool: PoolView, settings: Settings, now: datetime) -> Decision:
    try:
        whole = replace(job, spec=with_resources(job.spec, pool.spec))
        manifest = build_pod(whole, job.status.current, settings, pool.spec)
    except InvalidSpec as error:
        return finish(job, None, verdict(Reason.INVALID_SPEC, str(error)), now)
    return Decision(action=CreatePod(manifest=manifest))


def _wait_for_others(job: CiJob, observed: Observed, settings: Settings, now: datetime) -> Decision | None:
    """What keeps an attempt from starting: the time after the one before it, or a Pod that may be alive."""
    when = not_before(job.status)
    if when is not None and now < when:
        return Decision(look_again_at=when)
    living = alive(observed.others, settings, now)
    if living:
        moments = [moment for pod in living if (moment := given_up_at(pod, settings)) is not None]
        return Decision(look_again_at=min(moments, default=None))
    if job.status.attempts:
        last = job.status.attempts[-1]
        known = {pod.uid for pod in observed.others} | observed.absent
        if last.pod_uid is not None and last.pod_name is not None and last.pod_uid not in known:
            return Decision(action=ConfirmPod(name=last.pod_name, uid=last.pod_uid))
    return None


def _with_pod(job: CiJob, pod: ObservedPod, observed: Observed, settings: Settings, now: datetime) -> Decision:
    recorded = job.status.pod_uid
    if not ours(job, pod, job.status.current):
        return finish(job, None, verdict(Reason.POD_NAME_CONFLICT, f"The Pod is {pod.name}."), now)
    if stray(job.status, pod) and recorded is not None:
        return _replaced(job, pod, recorded, observed, now)
    if job.spec.docker.enabled and not pod.sidecar:
        return finish(job, pod, verdict(Reason.POD_REJECTED, _STRIPPED), now)
    end = outcome(job.spec, pod, _timeout(job, pod, settings))
    if end is not None:
        return _conclude_with_log(job, pod, end, observed, now)
    lost_at = given_up_at(pod, settings)
    if lost_at is not None and now >= lost_at:
        return _conclude(job, pod, given_up(job.spec, pod, _timeout(job, pod, settings)), now)
    if job.spec.cancel is not None:
        decision = _cancel(job, job.spec.cancel, pod, now)
    elif _drained(observed.pool) and pod.job.terminated is None:
        decision = _drain(job, pod, now)
    else:
        wait = waiting(job.spec, pod, timedelta(seconds=settings.waiting_grace_seconds), now)
        decision = _waiting(job, pod, wait, observed, now) if wait is not None else _running(job, pod, now)
    return decision if lost_at is None else replace(decision, look_again_at=_earlier(decision.look_again_at, lost_at))


def _replaced(job: CiJob, pod: ObservedPod, recorded: str, observed: Observed, now: datetime) -> Decision:
    """A Pod of ours stands in the place of the one that ran: it goes, and that one is gone if the API server says so."""
    if pod.deletion_timestamp is None:
        return Decision(action=DeletePod(pod=pod))
    if recorded not in observed.absent:
        return Decision(action=ConfirmPod(name=pod.name, uid=recorded))
    return _conclude(job, None, vanished(job.spec, None, timedelta()), now)


def _clear(job: CiJob, observed: Observed, now: datetime) -> Action | None:
    """End what is left of the attempts before the current one, one at a time."""
    for pod in observed.others:
        reason = next((past.reason for past in job.status.attempts if past.attempt == pod.attempt), "")
        action = _end(job, pod, reason or str(Reason.POD_DELETED), now)
        if action is not None:
            return action
    return None


def _cancel(job: CiJob, mode: Cancel, pod: ObservedPod, now: datetime) -> Decision:
    if pod.start_time is None:
        return finish(job, pod, verdict(Reason.CANCELLED, "It had not started."), now, DeletePod(pod=pod))
    return Decision(action=_stop(pod, str(mode), now))


def _drain(job: CiJob, pod: ObservedPod, now: datetime) -> Decision:
    if pod.start_time is None and pod.deletion_timestamp is None:
        return _conclude(job, pod, verdict(Reason.POOL_DRAINED, "It had not started."), now, DeletePod(pod=pod))
    return Decision(action=_stop(pod, str(Reason.POOL_DRAINED), now))


def _conclude_with_log(job: CiJob, pod: ObservedPod, end: Verdict, observed: Observed, now: datetime) -> Decision:
    """The end of an attempt; some verdicts ask for the log of a service first."""
    if not end.log_of:
        return _conclude(job, pod, end, now)
    if observed.log is None:
        # Without `job.sh` the kubelet has ended the service and started it anew.
        return Decision(action=ReadLog(pod=pod, container=end.log_of, previous=job.spec.command is not None))
    return _conclude(job, pod, with_log(end, observed.log), now)


def _waiting(job: CiJob, pod: ObservedPod, wait: Wait, observed: Observed, now: datetime) -> Decision:
    if wait.verdict is not None:
        return _conclude_with_log(job, pod, wait.verdict, observed, now)
    slow_at = pod.created + PATIENCE
    untold = job.status.phase in {Phase.PENDING, Phase.QUEUED}
    if untold and now >= slow_at:
        return Decision(status=status.waiting(job, pod, wait.reason, wait.message), look_again_at=wait.until)
    return Decision(look_again_at=slow_at if untold else wait.until)


def _running(job: CiJob, pod: ObservedPod, now: datetime) -> Decision:
    """The job container runs, or has ended without telling why yet."""
    action = None
    if pod.job.terminated is None and pod.dind.death is not None and pod.deletion_timestamp is None:
        # Its containers are gone with it: what the script does from here on is wrong in any case.
        lost = daemon_verdict(job.spec, pod)
        action = _stop(pod, str(lost.reason if lost is not None else Reason.DAEMON_LOST), now)
    if job.status.phase is Phase.RUNNING:
        return Decision(action=action)
    return Decision(action=action, status=status.running(job, pod))


def _end(job: CiJob, pod: ObservedPod, why: str, now: datetime) -> StopPod | DeletePod | None:
    """End a left-over Pod.

    A deadline only runs once a kubelet has the Pod; a job that has ended, or whose checkout failed, leaves no more than
    its sidecars, which the kubelet stops by itself.
    """
    if stray(job.status, pod) or (pod.start_time is None and not pod.terminal):
        return None if pod.deletion_timestamp is not None else DeletePod(pod=pod)
    return _stop(pod, why, now) if pod.end is None else None


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


def _drained(pool: PoolView | None) -> bool:
    return pool is not None and pool.spec.stop_policy is StopPolicy.HOLD_AND_DRAIN


def _earlier(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else min(one, other)
