"""The story of a CiJob: what happened when, out of its status and the Pods that are left. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cijob import names
from cijob.cli.looking.jobs import FINISHED, phase_of, reason_of, status_of
from cijob.cli.printing import duration, moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from cijob.transport import Body

_DAEMON: Final = "Docker daemon"
#: Waits shorter than this are not worth a word, in seconds: times of the API are whole seconds.
_SHORT: Final = 2


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened.

    Attributes:
        at: when; by the clock of who wrote it down: the API server, the operator or the node.
        what: in a few words.
        style: the name of a style of `console`; empty for none.
    """

    at: datetime
    what: str
    style: str = ""


def timeline(job: Body, pods: Sequence[Body], now: datetime) -> list[Moment]:
    """What happened, the oldest first, and last what is the case now if the job has not ended.

    Args:
        job: the CiJob.
        pods: its Pods, as far as they are still there.
        now: the time of what is still the case.
    """
    status, created = status_of(job), moment(job["metadata"]["creationTimestamp"])
    assert created is not None  # noqa: S101  every object has it
    ended = {int(attempt["attempt"]): attempt for attempt in status.get("attempts") or ()}
    of_attempt = {attempt_of(pod): pod for pod in pods}
    found, since = [Moment(created, "created")], created
    for number in sorted(ended.keys() | of_attempt.keys() | _current(status)):
        attempt = ended.get(number) or (_running(status) if number == status.get("attempt") else {})
        part = list(_attempt(number, attempt, of_attempt.get(number), since))
        found += part
        since = max([since, *(one.at for one in part)])
    found.sort(key=lambda one: one.at)  # stable: what is of one second stays in its order
    return [*found, *_now(job, since, now)]


def attempt_of(pod: Body) -> int:
    """The number of the attempt that a Pod is."""
    return int((pod["metadata"].get("labels") or {}).get(names.LABEL_ATTEMPT, 0))


def _current(status: dict[str, Any]) -> set[int]:
    """The attempt that the status itself tells of, if it has a Pod."""
    return {int(status["attempt"])} if status.get("attempt") and status.get("podName") else set()


def _running(status: dict[str, Any]) -> dict[str, Any]:
    """The current attempt in the form of those that have ended."""
    return {key: status[key] for key in ("podName", "nodeName", "startTime") if status.get(key)}


def _attempt(number: int, attempt: dict[str, Any], pod: Body | None, since: datetime) -> Iterator[Moment]:
    name = f"attempt {number}"
    started, ended = moment(attempt.get("startTime")), moment(attempt.get("completionTime"))
    if pod is not None:
        created = moment(pod["metadata"]["creationTimestamp"])
        assert created is not None  # noqa: S101  every object has it
        yield Moment(created, f"{name}: Pod {pod['metadata']['name']} created{_after(created, since)}")
    if started is not None:
        which = f"{attempt.get('podName')} " if pod is None else ""
        there = f" on the node {attempt['nodeName']}" if attempt.get("nodeName") else ""
        yield Moment(started, f"{name}: Pod {which}started{there}")
    if pod is not None:
        yield from _containers(name, pod, over=ended is not None)
    if ended is not None:
        took = f", after {duration((ended - started).total_seconds())}" if started is not None else ""
        code = f", exit code {attempt['exitCode']}" if attempt.get("exitCode") is not None else ""
        good = attempt.get("reason") == "Completed"
        yield Moment(ended, f"{name}: {attempt.get('reason')}{code}{took}", "good" if good else "bad")


def _after(when: datetime, since: datetime) -> str:
    waited = (when - since).total_seconds()
    return f" after a wait of {duration(waited)}" if waited >= _SHORT else ""


def _containers(name: str, pod: Body, *, over: bool) -> Iterator[Moment]:
    """The beginnings and ends of a Pod's containers, and what ended the Pod from outside.

    With `over` the status tells of the job container's end.
    """
    status = pod.get("status") or {}
    for container in status.get("initContainerStatuses") or ():
        who = {names.CONTAINER_DIND: _DAEMON, names.CONTAINER_GIT: "checkout"}.get(
            container["name"], f"service {container['name']}"
        )
        yield from _life(f"{name}: {who}", container, ends=container["name"] == names.CONTAINER_GIT)
    for container in status.get("containerStatuses") or ():
        if container["name"] == names.CONTAINER_JOB:
            yield from _life(f"{name}: job container", container, ends=not over)
    for condition in status.get("conditions") or ():
        at = moment(condition.get("lastTransitionTime"))
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True" and at is not None:
            yield Moment(at, f"{name}: the cluster ends the Pod ({condition.get('reason')})", "bad")


def _life(who: str, container: Body, *, ends: bool) -> Iterator[Moment]:
    """One container: its last death before a restart, its start, and its end if that is of interest."""
    state, last = container.get("state") or {}, (container.get("lastState") or {}).get("terminated")
    if last and (at := moment(last.get("finishedAt"))) is not None:
        yield Moment(at, f"{who} ended with {last['exitCode']} and is started again", "bad")
    run = state.get("running") or state.get("terminated") or {}
    if (at := moment(run.get("startedAt"))) is not None:
        yield Moment(at, f"{who} started" + (" again" if last else ""))
    end = state.get("terminated") if ends else None
    if end and (at := moment(end.get("finishedAt"))) is not None:
        yield Moment(at, f"{who} ended with {end['exitCode']}", "" if end["exitCode"] == 0 else "bad")


def _now(job: Body, since: datetime, now: datetime) -> Iterator[Moment]:
    """The end, or what is the case."""
    status, phase = status_of(job), phase_of(job)
    finished, reason = moment(status.get("completionTime")), reason_of(job)
    if phase in FINISHED:
        yield Moment(finished or now, f"{phase}: {reason}", "good" if phase == "Succeeded" else "bad")
        return
    deleted = moment(job["metadata"].get("deletionTimestamp"))
    if deleted is not None:
        yield Moment(deleted, "deleted", "bad")
    so_far = f"for {duration((now - since).total_seconds())}"
    yield Moment(
        now, f"{phase}{f': {reason}' if reason else ''}, {so_far}", "waiting" if phase != "Running" else "busy"
    )


def waiting_words(pods: Iterable[Body]) -> list[str]:
    """What the node says of containers that do not start, such as why an image cannot be pulled."""
    said = []
    for pod in pods:
        status = pod.get("status") or {}
        for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting.get("message"):
                said.append(f"container {container['name']}: {waiting.get('reason')}: {waiting['message']}")
    return said
