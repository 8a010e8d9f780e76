"""What a job does at the moment, in a sentence for people, from the bodies of a CiJob and its Pod. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cijob import names
from cijob.models import Phase
from cijob.reasons import QUEUED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cijob.transport import Body

_FINISHED: Final = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED})
_CANCELS: Final = {"Graceful": "being cancelled: the script may clean up", "Immediate": "being cancelled at once"}
#: What a container waits for that has no trouble.
_USUAL: Final = frozenset({"ContainerCreating", "PodInitializing", ""})


def phase_of(job: Body) -> str:
    """The CiJob's phase; Pending until the operator has said one."""
    return str(job.get("status", {}).get("phase") or Phase.PENDING)


def finished(job: Body) -> bool:
    """Whether the CiJob has come to its end."""
    return phase_of(job) in _FINISHED


def attempt_of(job: Body) -> int:
    """The number of the attempt that runs, is next, or was the last."""
    return int(job.get("status", {}).get("attempt") or 1)


def started(pod: Body | None) -> bool:
    """Whether the job's own container runs, or ran: it has a log."""
    state = _states(pod).get(names.CONTAINER_JOB, {})
    return "running" in state or "terminated" in state


def ended(pod: Body | None) -> bool:
    """Whether the job's own container has ended."""
    return "terminated" in _states(pod).get(names.CONTAINER_JOB, {})


def describe(job: Body, pod: Body | None, *, printed: bool = False) -> str:
    """The live line: why the job waits, what is pulled, what boots; empty at its end.

    Args:
        job: the CiJob.
        pod: the Pod of its current attempt, if there is one.
        printed: whether the job has printed something in this attempt: its daemon is ready then.
    """
    if finished(job):
        return ""
    cancel = job.get("spec", {}).get("cancel")
    if cancel in _CANCELS:
        return _CANCELS[cancel]
    status = job.get("status", {})
    if pod is None:
        return _without_pod(
            phase_of(job), str(status.get("reason") or ""), str(status.get("message") or ""), attempt_of(job)
        )
    if ended(pod):
        return "the script has ended: waiting for the verdict"
    if started(pod):
        return _running(job, pod, printed=printed)
    return _starting(job, pod)


def _without_pod(phase: str, reason: str, message: str, attempt: int) -> str:
    if reason in QUEUED:
        return f"queued: {message}"
    if attempt > 1:
        return f"attempt {attempt} is next"
    if message:
        return f"waiting: {message}"
    return "queued" if phase == Phase.QUEUED else "waiting for the operator"


def _running(job: Body, pod: Body, *, printed: bool) -> str:
    if not printed and job.get("spec", {}).get("docker", {}).get("enabled", True):
        return "waiting for the Docker daemon"
    return f"running on {pod.get('spec', {}).get('nodeName', 'its node')}"


def _starting(job: Body, pod: Body) -> str:
    """Pod without a job container: what it waits for."""
    status, node = pod.get("status", {}), pod.get("spec", {}).get("nodeName")
    if not node:
        for condition in status.get("conditions", ()):
            if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
                return f"no node has room yet: {condition.get('message', '')}"
        return "waiting for a node"
    images = {one["name"]: one.get("image", "") for one in _containers(pod)}
    states = _states(pod)
    for name in images:
        waiting = states.get(name, {}).get("waiting") or {}
        if waiting.get("reason", "") not in _USUAL:
            return f"{_title(name)} waits: {waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
    for name, image in images.items():
        state = states.get(name, {})
        if "running" in state and name == names.CONTAINER_GIT:
            return "checking out the repository"
        if not state.keys() & {"running", "terminated"}:
            return f"pulling or starting {_title(name)} ({image}) on {node}"
    return str(job.get("status", {}).get("message") or f"starting on {node}")


def _title(container: str) -> str:
    known = {
        names.CONTAINER_JOB: "the job's container",
        names.CONTAINER_DIND: "the Docker daemon",
        names.CONTAINER_GIT: "the checkout",
    }
    return known.get(container, f"the service {container}")


def _containers(pod: Body) -> Iterator[Mapping[str, Any]]:
    """In the order in which a kubelet starts them."""
    yield from pod.get("spec", {}).get("initContainers", ())
    yield from pod.get("spec", {}).get("containers", ())


def _states(pod: Body | None) -> dict[str, Mapping[str, Any]]:
    """The states of a Pod's containers, by name."""
    status = (pod or {}).get("status", {})
    both = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    return {one["name"]: one.get("state", {}) for one in both}
