"""What the operator sees of a Pod: a raw object of the API in, a frozen value out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cijob import names

if TYPE_CHECKING:
    from collections.abc import Mapping

_EMPTY: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminated:
    """A container's end, as the kubelet reports it."""

    exit_code: int
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerState:
    """One container of a Pod. At most one of `waiting_reason`, `running_since` and `terminated` is set."""

    waiting_reason: str = ""
    waiting_message: str = ""
    running_since: datetime | None = None
    terminated: Terminated | None = None
    #: The end of the run before this one, where the kubelet restarted the container.
    last_terminated: Terminated | None = None
    restart_count: int = 0

    @property
    def death(self) -> Terminated | None:
        """The container's newest end, whether it was restarted since or not."""
        return self.terminated or self.last_terminated


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedPod:
    """All that decisions need to know of a Pod; without its annotations, which hold the scripts."""

    namespace: str
    name: str
    uid: str
    resource_version: int
    owner_name: str = ""
    owner_uid: str = ""
    #: Whether it has an owner of any kind.
    owned: bool = False
    #: The CiJob that the labels name.
    job_label: str = ""
    attempt: int = 0
    #: The pool that the labels name.
    pool: str = ""
    #: What the operator asked the kubelet to stop this Pod for (`names.ANNOTATION_STOP`); empty if it did not.
    stop: str = ""
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    node_name: str = ""
    created: datetime
    start_time: datetime | None = None
    #: Seconds from `start_time` after which the kubelet ends the Pod.
    active_deadline_seconds: int = 0
    deletion_timestamp: datetime | None = None
    deletion_grace_seconds: int = 0
    #: The reason of the condition `DisruptionTarget`; empty if the Pod has none.
    disruption: str = ""
    #: The scheduler's message while it finds no node; empty otherwise.
    unschedulable: str = ""
    job: ContainerState = ContainerState()
    dind: ContainerState = ContainerState()
    git: ContainerState = ContainerState()
    #: Those of the other init containers, by name: the job's services, and what webhooks put beside them.
    services: tuple[tuple[str, ContainerState], ...] = ()
    #: Whether dind is a native sidecar: an init container that runs beside the job.
    sidecar: bool = False

    @property
    def terminal(self) -> bool:
        """Whether the kubelet has ended all containers and said so."""
        return self.phase in {"Succeeded", "Failed"}

    @property
    def failed_checkout(self) -> Terminated | None:
        """The end of the container git if it failed: the job's container is never started then."""
        ended = self.git.terminated
        return ended if ended is not None and ended.exit_code != 0 else None

    @property
    def end(self) -> Terminated | None:
        """The end of what the Pod is for: that of the job's container, or of the checkout that it waited for in vain."""
        return self.failed_checkout or self.job.terminated

    def service(self, name: str) -> ContainerState:
        """A service's container."""
        return dict(self.services).get(name, ContainerState())

    @property
    def deletion_asked_at(self) -> datetime | None:
        """When somebody deleted the Pod: the API stores the end of its grace period."""
        if self.deletion_timestamp is None:
            return None
        return self.deletion_timestamp - timedelta(seconds=self.deletion_grace_seconds)


def observe_pod(body: Mapping[str, Any]) -> ObservedPod:
    """The frozen view of a raw Pod.

    Raises:
        KeyError: it lacks the metadata that every stored object has.
    """
    meta, spec, status = body["metadata"], body.get("spec") or _EMPTY, body.get("status") or _EMPTY
    labels, annotations = meta.get("labels") or _EMPTY, meta.get("annotations") or _EMPTY
    owner = _controller(meta)
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    attempt = str(labels.get(names.LABEL_ATTEMPT, ""))
    return ObservedPod(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        resource_version=int(meta["resourceVersion"]),
        owner_name=owner.get("name", ""),
        owner_uid=owner.get("uid", ""),
        owned=bool(meta.get("ownerReferences")),
        job_label=labels.get(names.LABEL_JOB, ""),
        pool=labels.get(names.LABEL_POOL, ""),
        attempt=int(attempt) if attempt.isdecimal() else 0,
        stop=annotations.get(names.ANNOTATION_STOP, ""),
        phase=status.get("phase", "Pending"),
        reason=status.get("reason", ""),
        message=status.get("message", ""),
        node_name=spec.get("nodeName", ""),
        created=datetime.fromisoformat(meta["creationTimestamp"]),
        start_time=_time(status.get("startTime")),
        active_deadline_seconds=spec.get("activeDeadlineSeconds") or 0,
        deletion_timestamp=_time(meta.get("deletionTimestamp")),
        deletion_grace_seconds=meta.get("deletionGracePeriodSeconds") or 0,
        disruption=_disruption(conditions),
        unschedulable=_unschedulable(conditions),
        job=_container(status.get("containerStatuses"), names.CONTAINER_JOB),
        dind=_container(status.get("initContainerStatuses"), names.CONTAINER_DIND),
        git=_container(status.get("initContainerStatuses"), names.CONTAINER_GIT),
        services=tuple(
            (container["name"], _state(container))
            for container in status.get("initContainerStatuses") or ()
            if container.get("name") not in {names.CONTAINER_DIND, names.CONTAINER_GIT, None}
        ),
        sidecar=any(
            container["name"] == names.CONTAINER_DIND and container.get("restartPolicy") == "Always"
            for container in spec.get("initContainers") or ()
        ),
    )


def _controller(meta: Mapping[str, Any]) -> Mapping[str, Any]:
    for owner in meta.get("ownerReferences") or ():
        if (
            owner.get("controller")
            and owner.get("kind") == names.KIND
            and str(owner.get("apiVersion", "")).startswith(f"{names.GROUP}/")
        ):
            return dict(owner)
    return _EMPTY


def _disruption(conditions: Mapping[str, Mapping[str, Any]]) -> str:
    condition = conditions.get("DisruptionTarget", _EMPTY)
    return str(condition.get("reason", "")) if condition.get("status") == "True" else ""


def _unschedulable(conditions: Mapping[str, Mapping[str, Any]]) -> str:
    condition = conditions.get("PodScheduled", _EMPTY)
    if condition.get("status") != "False":
        return ""
    return str(condition.get("message") or condition.get("reason") or "not scheduled")


def _container(statuses: list[dict[str, Any]] | None, name: str) -> ContainerState:
    for status in statuses or ():
        if status.get("name") == name:
            return _state(status)
    return ContainerState()


def _state(status: Mapping[str, Any]) -> ContainerState:
    state, last = status.get("state") or _EMPTY, status.get("lastState") or _EMPTY
    waiting = state.get("waiting") or _EMPTY
    return ContainerState(
        waiting_reason=waiting.get("reason", ""),
        waiting_message=waiting.get("message", ""),
        running_since=_time((state.get("running") or _EMPTY).get("startedAt")),
        terminated=_terminated(state.get("terminated")),
        last_terminated=_terminated(last.get("terminated")),
        restart_count=status.get("restartCount", 0),
    )


def _terminated(state: Mapping[str, Any] | None) -> Terminated | None:
    if not state:
        return None
    return Terminated(
        exit_code=state.get("exitCode", 0),
        reason=state.get("reason", ""),
        message=state.get("message", ""),
        started_at=_time(state.get("startedAt")),
        finished_at=_time(state.get("finishedAt")),
    )


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
