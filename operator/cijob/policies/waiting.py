"""A Pod that has not started its job yet: what it waits for, and when the wait is hopeless."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cijob.observation import ContainerState, DaemonReport, ObservedPod
from cijob.reasons import Reason
from cijob.verdict import Verdict, message_of, verdict

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from cijob.models import CiJobSpec

#: Waiting reasons of the kubelet (kubelet/images/types.go, kubelet/container/sync_result.go) that a grace may mend.
_GRACED: Final = {
    "ErrImagePull": Reason.IMAGE_PULL_FAILED,
    "ImagePullBackOff": Reason.IMAGE_PULL_FAILED,
    "ErrImageNeverPull": Reason.IMAGE_PULL_FAILED,
    "RegistryUnavailable": Reason.IMAGE_PULL_FAILED,
    "ImageInspectError": Reason.IMAGE_PULL_FAILED,
    "SignatureValidationFailed": Reason.IMAGE_PULL_FAILED,
    "CreateContainerConfigError": Reason.CONFIG_ERROR,
    "CreateContainerError": Reason.START_ERROR,
    "RunContainerError": Reason.START_ERROR,
}
_IMAGE: Final = frozenset(waiting for waiting, reason in _GRACED.items() if reason is Reason.IMAGE_PULL_FAILED)
#: The same for the daemon, whose image and settings are the operator's.
_DIND: Final = {
    "InvalidImageName": Reason.DAEMON_IMAGE_PULL_FAILED,
    **{
        waiting: Reason.DAEMON_IMAGE_PULL_FAILED if waiting in _IMAGE else Reason.DAEMON_NOT_READY
        for waiting in _GRACED
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """A Pod's wait: either a verdict, or what it waits for and when to look again."""

    reason: Reason
    message: str
    verdict: Verdict | None = None
    #: When the wait becomes hopeless; None while nothing is wrong.
    until: datetime | None = None


def waiting(spec: CiJobSpec, pod: ObservedPod, grace: timedelta, now: datetime) -> Wait | None:
    """What a Pod waits for before its job container runs; None once it does, or has ended.

    The grace counts from the Pod's own timestamps, so a restarted operator comes to the same end.
    """
    if pod.job.terminated is not None or pod.job.running_since is not None or pod.terminal:
        return None
    if pod.start_time is None:
        return _wait(Reason.UNSCHEDULABLE, pod.unschedulable) if pod.unschedulable else _wait(Reason.CONTAINER_STARTING)
    if spec.docker.enabled and pod.dind.waiting_reason in _DIND:
        return _graced(_DIND[pod.dind.waiting_reason], pod.dind, pod.start_time, grace, now)
    if spec.docker.enabled and pod.dind.restart_count > 0:
        return _daemon_died(pod)
    if pod.job.waiting_reason == "InvalidImageName":
        failed = verdict(Reason.IMAGE_INVALID, pod.job.waiting_message)
        return Wait(reason=Reason.IMAGE_INVALID, message=failed.message, verdict=failed)
    if pod.job.waiting_reason in _GRACED:
        began = max(pod.start_time, pod.dind.running_since or pod.start_time)
        return _graced(_GRACED[pod.job.waiting_reason], pod.job, began, grace, now)
    return _wait(Reason.CONTAINER_STARTING)


def _wait(reason: Reason, detail: str = "") -> Wait:
    return Wait(reason=reason, message=message_of(reason, detail))


def _graced(reason: Reason, container: ContainerState, began: datetime, grace: timedelta, now: datetime) -> Wait:
    detail = container.waiting_message or container.waiting_reason
    if now >= began + grace:
        failed = verdict(reason, detail)
        return Wait(reason=reason, message=failed.message, verdict=failed)
    shown = Reason.PULLING_IMAGE if container.waiting_reason in _IMAGE else Reason.CONTAINER_STARTING
    return Wait(reason=shown, message=message_of(shown, detail), until=began + grace)


def _daemon_died(pod: ObservedPod) -> Wait:
    """The kubelet restarts a sidecar whose startup probe ran out or that fell at its start: another try gives the same."""
    death = pod.dind.death
    report = DaemonReport.parse(death.message) if death is not None else None
    failed = verdict(Reason.DAEMON_NOT_READY, report.message if report is not None else "")
    return Wait(reason=Reason.DAEMON_NOT_READY, message=failed.message, verdict=failed)
