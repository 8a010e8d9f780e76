"""A Pod that has not started its job yet: what it waits for, and when the wait is hopeless."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cijob.policies.outcome import START_ERRORS, service_not_ready
from cijob.policies.secrecy import cleaned, runtime_words
from cijob.quantities import parse_duration
from cijob.reasons import Reason
from cijob.reports import DaemonReport
from cijob.verdict import Verdict, message_of, verdict

if TYPE_CHECKING:
    from datetime import datetime

    from cijob.models import CiJobSpec
    from cijob.observation import ContainerState, ObservedPod
    from cijob.parts import Service

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
#: Of these the text is the runtime's, which knows the words of the command.
_RUNTIME: Final = frozenset(waiting for waiting, reason in _GRACED.items() if reason is Reason.START_ERROR)
_IMAGE: Final = frozenset(waiting for waiting, reason in _GRACED.items() if reason is Reason.IMAGE_PULL_FAILED)
#: The same for the daemon, whose image and settings are the operator's.
_DIND: Final = {
    "InvalidImageName": Reason.DAEMON_IMAGE_PULL_FAILED,
    **{
        waiting: Reason.DAEMON_IMAGE_PULL_FAILED if waiting in _IMAGE else Reason.DAEMON_NOT_READY
        for waiting in _GRACED
    },
}
#: The same for the container git.
_GIT: Final = dict.fromkeys(_DIND, Reason.SOURCE_FAILED) | {"CreateContainerConfigError": Reason.CONFIG_ERROR}
#: The same for a service.
_SERVICE: Final = _GRACED | dict.fromkeys(_IMAGE, Reason.SERVICE_IMAGE_PULL_FAILED)


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
    return (
        _for_daemon(spec, pod, grace, now)
        or _for_services(spec, pod, grace, now)
        or _for_checkout(pod, grace, now)
        or _for_job(spec, pod, grace, now)
        or _wait(Reason.CONTAINER_STARTING)
    )


def _for_daemon(spec: CiJobSpec, pod: ObservedPod, grace: timedelta, now: datetime) -> Wait | None:
    if not spec.docker.enabled:
        return None
    if pod.dind.waiting_reason in _DIND:
        return _graced(_DIND[pod.dind.waiting_reason], pod.dind, cleaned(_said(pod.dind)), _turn(pod) + grace, now)
    return _daemon_died(pod) if pod.dind.restart_count > 0 else None


def _for_services(spec: CiJobSpec, pod: ObservedPod, grace: timedelta, now: datetime) -> Wait | None:
    for service in spec.services or ():
        state = pod.service(service.name)
        if state.waiting_reason == "InvalidImageName":
            return _hopeless(verdict(Reason.IMAGE_INVALID, f"Service {service.name}: {_said(state)}"))
        reason, said, death = _SERVICE.get(state.waiting_reason), _shown(state, service), state.death
        if reason is None and death is not None and death.reason in START_ERRORS and state.running_since is None:
            reason, said = Reason.START_ERROR, runtime_words(death.message, service)
        if reason is not None:
            return _graced(reason, state, f"Service {service.name}: {said}", _turn(pod) + grace, now)
        # A startup probe ran out, or the service fell before it was ready.
        if spec.script is None and (service.ready or service.ports) and state.restart_count > 0:
            return _hopeless(service_not_ready(service, pod))
        if death is not None and state.running_since is None:
            return _fell(service, pod, death.exit_code, now)
    return None


def _fell(service: Service, pod: ObservedPod, exit_code: int, now: datetime) -> Wait:
    """A service that ends before the kubelet has seen it run holds up all that comes after it, the job's own waiting too."""
    until = _turn(pod) + timedelta(seconds=parse_duration(service.start_timeout))
    if now >= until:
        return _hopeless(service_not_ready(service, pod))
    said = message_of(Reason.CONTAINER_STARTING, f"Service {service.name}: its container exited with {exit_code}.")
    return Wait(reason=Reason.CONTAINER_STARTING, message=said, until=until)


def _for_checkout(pod: ObservedPod, grace: timedelta, now: datetime) -> Wait | None:
    if pod.git.waiting_reason not in _GIT:
        return None
    reason = _GIT[pod.git.waiting_reason]
    hint = "spec.source.git.credentialsSecretRef" if reason is Reason.CONFIG_ERROR else "Its container"
    return _graced(reason, pod.git, f"{hint}: {cleaned(_said(pod.git))}", _turn(pod) + grace, now)


def _for_job(spec: CiJobSpec, pod: ObservedPod, grace: timedelta, now: datetime) -> Wait | None:
    if pod.job.waiting_reason == "InvalidImageName":
        return _hopeless(verdict(Reason.IMAGE_INVALID, f"spec.image: {_said(pod.job)}"))
    if pod.job.waiting_reason not in _GRACED:
        return None
    return _graced(_GRACED[pod.job.waiting_reason], pod.job, _shown(pod.job, spec), _turn(pod) + grace, now)


def _turn(pod: ObservedPod) -> datetime:
    """When the kubelet turned to the container that waits: it starts one after the other. One that was restarted tells nothing."""
    began = [state.running_since for state in (pod.dind, *dict(pod.services).values()) if not state.restart_count]
    ended = pod.git.terminated.finished_at if pod.git.terminated is not None else None
    return max(filter(None, [pod.start_time, *began, ended]), default=pod.created)


def _said(container: ContainerState) -> str:
    return container.waiting_message or container.waiting_reason


def _shown(container: ContainerState, of: CiJobSpec | Service) -> str:
    """What may be shown of the words on a container of the user's."""
    said = _said(container)
    return runtime_words(said, of) if container.waiting_reason in _RUNTIME else cleaned(said)


def _wait(reason: Reason, detail: str = "") -> Wait:
    return Wait(reason=reason, message=message_of(reason, detail))


def _hopeless(failed: Verdict) -> Wait:
    return Wait(reason=failed.reason, message=failed.message, verdict=failed)


def _graced(reason: Reason, container: ContainerState, detail: str, until: datetime, now: datetime) -> Wait:
    if now >= until:
        return _hopeless(verdict(reason, detail))
    shown = Reason.PULLING_IMAGE if container.waiting_reason in _IMAGE else Reason.CONTAINER_STARTING
    return Wait(reason=shown, message=message_of(shown, detail), until=until)


def _daemon_died(pod: ObservedPod) -> Wait:
    """The kubelet restarts a sidecar whose startup probe ran out or that fell at its start: another try gives the same."""
    death = pod.dind.death
    report = DaemonReport.parse(death.message) if death is not None else None
    return _hopeless(verdict(Reason.DAEMON_NOT_READY, report.message if report is not None else ""))
