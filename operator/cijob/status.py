"""The status of a CiJob and the JSON Patch that writes it. Pure."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from cijob import names
from cijob.models import Attempt, CiJobHead, CiJobStatus, Condition, Phase
from cijob.reasons import QUEUED, Reason

if TYPE_CHECKING:
    from datetime import datetime

    from cijob.models import Retries
    from cijob.observation import ObservedPod
    from cijob.verdict import Verdict

#: So many attempts are remembered.
_HISTORY: Final = 10


def waiting(job: CiJobHead, pod: ObservedPod | None, reason: Reason, message: str) -> CiJobStatus:
    """The status while the job container does not run yet.

    Starting once there is a Pod; before that Queued while the attempt must not start, else Pending.
    """
    without = Phase.QUEUED if reason in QUEUED else Phase.PENDING
    return _with_pod(job.status, pod).model_copy(
        update={
            "phase": Phase.STARTING if pod is not None else without,
            "reason": str(reason),
            "message": message,
        }
    )


def running(job: CiJobHead, pod: ObservedPod) -> CiJobStatus:
    """The status once the job container runs."""
    return _with_pod(job.status, pod).model_copy(update={"phase": Phase.RUNNING, "reason": None, "message": None})


def finished(job: CiJobHead, pod: ObservedPod | None, verdict: Verdict, now: datetime) -> CiJobStatus:
    """The final status."""
    last = _with_pod(job.status, pod)
    return last.model_copy(
        update={
            "attempts": _history(last, pod, verdict, now),
            "phase": verdict.phase,
            "reason": str(verdict.reason),
            "message": verdict.message,
            "exit_code": verdict.exit_code,
            "completion_time": now,
            "conditions": _conditions(job, verdict, now),
        }
    )


def next_attempt(
    job: CiJobHead, pod: ObservedPod | None, verdict: Verdict, retries: Retries, now: datetime
) -> CiJobStatus:
    """The status between two attempts: the number of the next one, which has no Pod yet, and why there is one.

    It is written before the next attempt's Pod is created, so that no attempt is made or counted twice.
    """
    last = _with_pod(job.status, pod)
    return CiJobStatus(
        phase=Phase.PENDING,
        reason=str(verdict.reason),
        message=verdict.message,
        conditions=last.conditions,
        attempt=last.current + 1,
        retries=retries,
        attempts=_history(last, pod, verdict, now),
    )


def status_patch(job: CiJobHead, status: CiJobStatus, *, guarded: bool) -> list[dict[str, Any]]:
    """The JSON Patch of `/status`: for this very CiJob only (UID), and if guarded, for this very version of it only.

    The API server takes `/status` writes of custom resources without looking at metadata, so a UID in a merge patch
    would be ignored; a `test` operation is not.
    """
    tests = [{"op": "test", "path": "/metadata/uid", "value": job.uid}]
    if guarded:
        tests.append({"op": "test", "path": "/metadata/resourceVersion", "value": str(job.resource_version)})
    return [*tests, {"op": "add", "path": "/status", "value": _wire(status)}]


def event(job: CiJobHead, end: CiJobStatus, now: datetime) -> dict[str, Any]:
    """The one Event of a CiJob, at its verdict."""
    moment = stamp(now)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": names.event_name(job.name, job.uid), "namespace": job.namespace},
        "involvedObject": {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "namespace": job.namespace,
            "name": job.name,
            "uid": job.uid,
        },
        "type": "Normal" if end.phase is Phase.SUCCEEDED else "Warning",
        "reason": end.reason,
        "message": end.message,
        "source": {"component": names.COMPONENT},
        "reportingComponent": names.COMPONENT,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }


def _history(last: CiJobStatus, pod: ObservedPod | None, verdict: Verdict, now: datetime) -> tuple[Attempt, ...]:
    """The attempts that have ended with this one, if it had a Pod."""
    if last.pod_uid is None:
        return last.attempts
    ended = pod.end.finished_at if pod is not None and pod.end is not None else None
    attempt = Attempt(
        attempt=last.current,
        pod_name=last.pod_name,
        pod_uid=last.pod_uid,
        node_name=last.node_name,
        start_time=last.start_time,
        # A node's clock may be ahead of ours: the next attempt does not wait for that.
        completion_time=min(ended or now, now).replace(microsecond=0),
        exit_code=verdict.exit_code,
        reason=str(verdict.reason),
    )
    return (*last.attempts, attempt)[-_HISTORY:]


def _with_pod(status: CiJobStatus, pod: ObservedPod | None) -> CiJobStatus:
    if pod is None:
        return status
    return status.model_copy(
        update={
            "attempt": pod.attempt,
            "pod_name": pod.name,
            "pod_uid": pod.uid,
            "node_name": pod.node_name or None,
            "start_time": pod.start_time,
        }
    )


def _conditions(job: CiJobHead, verdict: Verdict, now: datetime) -> tuple[Condition, ...]:
    """`Complete` or `Failed` as on a Job, `Cancelled` beside `Failed`, and `Finished` at every end."""
    types = {
        Phase.SUCCEEDED: ("Complete", "Finished"),
        Phase.CANCELLED: ("Cancelled", "Failed", "Finished"),
    }.get(verdict.phase, ("Failed", "Finished"))
    return tuple(
        Condition(
            type=kind,
            status="True",
            reason=str(verdict.reason),
            message=verdict.message,
            last_transition_time=now,
            observed_generation=job.generation,
        )
        for kind in types
    )


def _wire(status: CiJobStatus) -> dict[str, Any]:
    data = status.model_dump(by_alias=True, exclude_none=True, exclude_defaults=False)
    for condition in data["conditions"]:
        if "lastTransitionTime" in condition:
            condition["lastTransitionTime"] = stamp(condition["lastTransitionTime"])
    data["attempts"] = list(data["attempts"])
    for part in (data, *data["attempts"]):
        for key in ("startTime", "completionTime"):
            if key in part:
                part[key] = stamp(part[key])
    if not data["attempts"]:
        del data["attempts"]
    data["conditions"] = list(data["conditions"])
    data["phase"] = str(data["phase"])
    return data


def stamp(when: datetime) -> str:
    """A time as the API has it, to the second."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
