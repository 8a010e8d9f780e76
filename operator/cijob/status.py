"""The status of a CiJob and the JSON Patch that writes it. Pure."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Any

from cijob import names
from cijob.models import CiJobHead, CiJobStatus, Condition, Phase

if TYPE_CHECKING:
    from datetime import datetime

    from cijob.observation import ObservedPod
    from cijob.reasons import Reason
    from cijob.verdict import Verdict

FIRST_ATTEMPT = 1


def waiting(job: CiJobHead, pod: ObservedPod | None, reason: Reason, message: str) -> CiJobStatus:
    """The status while the job container does not run yet: Starting once there is a Pod, Pending before."""
    return _with_pod(job.status, pod).model_copy(
        update={
            "phase": Phase.STARTING if pod is not None else Phase.PENDING,
            "reason": str(reason),
            "message": message,
        }
    )


def running(job: CiJobHead, pod: ObservedPod) -> CiJobStatus:
    """The status once the job container runs."""
    return _with_pod(job.status, pod).model_copy(update={"phase": Phase.RUNNING, "reason": None, "message": None})


def finished(job: CiJobHead, pod: ObservedPod | None, verdict: Verdict, now: datetime) -> CiJobStatus:
    """The final status."""
    return _with_pod(job.status, pod).model_copy(
        update={
            "phase": verdict.phase,
            "reason": str(verdict.reason),
            "message": verdict.message,
            "exit_code": verdict.exit_code,
            "completion_time": now,
            "conditions": _conditions(job, verdict, now),
        }
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


def event(job: CiJobHead, verdict: Verdict, now: datetime) -> dict[str, Any]:
    """The one Event of a CiJob, at its verdict."""
    stamp = _stamp(now)
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
        "type": "Normal" if verdict.phase is Phase.SUCCEEDED else "Warning",
        "reason": str(verdict.reason),
        "message": verdict.message,
        "source": {"component": names.COMPONENT},
        "reportingComponent": names.COMPONENT,
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
    }


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
            condition["lastTransitionTime"] = _stamp(condition["lastTransitionTime"])
    for key in ("startTime", "completionTime"):
        if key in data:
            data[key] = _stamp(data[key])
    data["conditions"] = list(data["conditions"])
    data["phase"] = str(data["phase"])
    return data


def _stamp(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
