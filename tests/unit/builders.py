"""Small builders of what the operator observes: `a_cijob().with_cancel("Graceful")`, `a_pod().running().terminated(1)`.

All are frozen; each step gives a new one. They build raw objects of the API, so that tests go through the real parsing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cijob import names
from cijob.observation import ObservedPod, observe_pod
from cijob.parsing import parse
from tests.bad_manifests import merged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cijob.models import CiJob

Body = dict[str, Any]

NAMESPACE = "team-a"
JOB_NAME = "build-42"
JOB_UID = "0c5b1b9e-7d3c-4f7e-9c4e-1f1f3d3b0c11"
POD_UID = "5a0c2d58-2f1b-4ad1-8a1a-6b8f1f0d9e22"
POD_NAME = names.pod_name(JOB_NAME, JOB_UID, 1)
JOB_KEY = (NAMESPACE, JOB_NAME)
POD_KEY = (NAMESPACE, POD_NAME)
T0 = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """The time so many seconds after everything began."""
    return T0 + timedelta(seconds=seconds)


def stamp(seconds: float) -> str:
    """That time as the API writes it."""
    return at(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def report(exit_code: int = 0, **changes: object) -> str:
    """The termination message of `job.sh` for a script that ended by itself."""
    fields = {
        "exitCode": exit_code,
        "part": "script",
        "entry": 1,
        "signal": None,
        "daemon": "ready",
        "peakMemory": 1234567,
    }
    return json.dumps(fields | changes) + "\n"


def daemon_report(*, ready: bool, message: str = "", **changes: object) -> str:
    """The termination message of `dind.sh`."""
    fields = {"ready": ready, "message": message, "exitCode": 1, "peakMemory": None, "innerPeakMemory": None}
    return json.dumps(fields | changes)


@dataclass(frozen=True)
class CiJobBuilder:
    """A CiJob as the API server stores it."""

    body: Body = field(
        default_factory=lambda: {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {
                "name": JOB_NAME,
                "namespace": NAMESPACE,
                "uid": JOB_UID,
                "resourceVersion": "100",
                "generation": 1,
                "creationTimestamp": stamp(0),
            },
            "spec": {"image": "ubuntu:25.10", "script": ["make test"]},
        }
    )

    @cached_property
    def job(self) -> CiJob:
        """What the operator makes of it."""
        return parse(self.body)

    def with_(self, **changes: object) -> CiJobBuilder:
        """Other parts of the body changed, as a merge patch does."""
        return replace(self, body=merged(self.body, dict(changes)))

    def with_meta(self, **changes: object) -> CiJobBuilder:
        """Other metadata."""
        return self.with_(metadata=changes)

    def with_spec(self, **changes: object) -> CiJobBuilder:
        """Other fields of the spec; None removes one."""
        return self.with_(spec=changes)

    def with_command(self, *command: str) -> CiJobBuilder:
        """A command in the script's place."""
        return self.with_spec(script=None, command=list(command))

    def without_docker(self) -> CiJobBuilder:
        """No Docker daemon."""
        return self.with_spec(docker={"enabled": False})

    def with_git(self, **git: object) -> CiJobBuilder:
        """A repository to check out."""
        return self.with_spec(source={"git": {"url": "https://git.example.com/app.git", **git}})

    def with_service(self, name: str = "db", **fields: object) -> CiJobBuilder:
        """One more service."""
        service = {"name": name, "image": "postgres:18", "ports": [5432], **fields}
        return self.with_spec(services=[*self.body["spec"].get("services", []), service])

    def with_retry(self, limit: int = 0, **more: object) -> CiJobBuilder:
        """So many retries after failures of its own."""
        return self.with_spec(retry={"limit": limit, **more})

    def with_cancel(self, mode: str) -> CiJobBuilder:
        """Cancelled, Graceful or Immediate."""
        return self.with_spec(cancel=mode)

    def with_status(self, phase: str, **changes: object) -> CiJobBuilder:
        """What the operator wrote before."""
        return self.with_(status={"phase": phase, **changes})

    def running(self) -> CiJobBuilder:
        """The status after the first PATCH of a happy case."""
        return self.with_status(
            "Running", attempt=1, podName=POD_NAME, podUID=POD_UID, nodeName="node-1", startTime=stamp(1)
        )

    def finished(self, phase: str, reason: str, seconds: float = 100) -> CiJobBuilder:
        """The status after the verdict."""
        return self.running().with_status(phase, reason=reason, completionTime=stamp(seconds))

    def between_attempts(self, reason: str = "ScriptFailed", ended: float = 60, **retries: int) -> CiJobBuilder:
        """The status after the first attempt has failed: the second is recorded and has no Pod."""
        first = {"attempt": 1, "podName": POD_NAME, "podUID": POD_UID, "nodeName": "node-1", "startTime": stamp(1)}
        first |= {"completionTime": stamp(ended), "reason": reason}
        return self.with_status(
            "Pending", reason=reason, attempt=2, retries={"user": 0, "infra": 0, **retries}, attempts=[first]
        )

    def being_deleted(self) -> CiJobBuilder:
        """Somebody deleted it, and something keeps it."""
        return self.with_meta(deletionTimestamp=stamp(50), deletionGracePeriodSeconds=0)


@dataclass(frozen=True)
class PodBuilder:
    """The Pod of a CiJob's first attempt as the API server stores it: just created, on no node."""

    body: Body = field(
        default_factory=lambda: {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": POD_NAME,
                "namespace": NAMESPACE,
                "uid": POD_UID,
                "resourceVersion": "200",
                "creationTimestamp": stamp(0),
                "labels": {
                    names.LABEL_MANAGED_BY: names.COMPONENT,
                    names.LABEL_JOB: JOB_NAME,
                    names.LABEL_ATTEMPT: "1",
                },
                "annotations": {names.ANNOTATION_LAUNCHER + "script": "make test"},
                "ownerReferences": [
                    {
                        "apiVersion": names.API_VERSION,
                        "kind": names.KIND,
                        "name": JOB_NAME,
                        "uid": JOB_UID,
                        "controller": True,
                    }
                ],
            },
            "spec": {
                "activeDeadlineSeconds": 3600,
                "initContainers": [{"name": "dind", "restartPolicy": "Always"}],
                "containers": [{"name": "job"}],
            },
            "status": {"phase": "Pending"},
        }
    )

    @cached_property
    def pod(self) -> ObservedPod:
        """What the operator makes of it."""
        return observe_pod(self.body)

    def with_(self, **changes: object) -> PodBuilder:
        """Other parts of the body changed, as a merge patch does."""
        return replace(self, body=merged(self.body, dict(changes)))

    def with_meta(self, **changes: object) -> PodBuilder:
        """Other metadata."""
        return self.with_(metadata=changes)

    def with_status(self, **changes: object) -> PodBuilder:
        """Other fields of the status."""
        return self.with_(status=changes)

    def version(self, version: int) -> PodBuilder:
        """At another resourceVersion."""
        return self.with_meta(resourceVersion=str(version))

    def started(self, seconds: float = 1) -> PodBuilder:
        """Its node's kubelet has taken it on."""
        return self.with_(spec={"nodeName": "node-1"}, status={"startTime": stamp(seconds)})

    def unschedulable(self, message: str = "0/1 nodes are available: 1 Insufficient cpu.") -> PodBuilder:
        """The scheduler finds no node."""
        return self.with_condition("PodScheduled", status="False", reason="Unschedulable", message=message)

    def with_condition(self, kind: str, **condition: str) -> PodBuilder:
        """One more condition."""
        return self.with_status(conditions=[*self.body["status"].get("conditions", []), {"type": kind, **condition}])

    def waiting(self, reason: str, message: str = "") -> PodBuilder:
        """The job container waits."""
        return self._started_once()._container("containerStatuses", "job", waits(reason, message))

    def dind_waiting(self, reason: str, message: str = "") -> PodBuilder:
        """The sidecar waits."""
        return self._started_once()._container("initContainerStatuses", "dind", waits(reason, message))

    def dind_running(self, since: float = 2) -> PodBuilder:
        """The sidecar runs."""
        state = {"state": {"running": {"startedAt": stamp(since)}}}
        return self._started_once()._container("initContainerStatuses", "dind", state)

    def running(self, since: float = 3) -> PodBuilder:
        """The job container runs, beside the sidecar."""
        state = {"state": {"running": {"startedAt": stamp(since)}}}
        return self.dind_running().with_status(phase="Running")._container("containerStatuses", "job", state)

    def terminated(self, exit_code: int = 0, *, report: str = "", reason: str = "", finished: float = 60) -> PodBuilder:
        """The job container has ended; the sidecar runs on."""
        ended = _ended(exit_code, reason or ("Error" if exit_code else "Completed"), report, finished)
        return self.running()._container("containerStatuses", "job", {"state": {"terminated": ended}})

    def dind_terminated(
        self, exit_code: int = 0, *, reason: str = "", report: str = "", finished: float | None = 70
    ) -> PodBuilder:
        """The sidecar has ended."""
        ended = _ended(exit_code, reason or ("Error" if exit_code else "Completed"), report, finished)
        before = (self.body["status"].get("initContainerStatuses") or [{}])[0]
        return self._container("initContainerStatuses", "dind", {**before, "state": {"terminated": ended}})

    def dind_restarted(
        self, exit_code: int = 2, *, reason: str = "Error", report: str = "", finished: float = 30
    ) -> PodBuilder:
        """The sidecar died once and runs again."""
        state = {
            "state": {"running": {"startedAt": stamp(finished + 1)}},
            "lastState": {"terminated": _ended(exit_code, reason, report, finished)},
            "restartCount": 1,
        }
        return self._started_once()._container("initContainerStatuses", "dind", state)

    def init(self, name: str, state: Mapping[str, Any]) -> PodBuilder:
        """Another init container: a service or the checkout."""
        return self._started_once()._container("initContainerStatuses", name, state)

    def git_ended(self, exit_code: int, said: str = "", *, reason: str = "Error", finished: float = 20) -> PodBuilder:
        """The checkout has ended."""
        return self.init("git", {"state": {"terminated": _ended(exit_code, reason, said, finished)}})

    def restarted(self, name: str, exit_code: int = 1, *, reason: str = "Error", times: int = 1) -> PodBuilder:
        """A service died and runs again."""
        last = _ended(exit_code, reason, "", 30)
        state = {"state": {"running": {"startedAt": stamp(31)}}, "lastState": {"terminated": last}}
        return self.init(name, {**state, "restartCount": times})

    def ended(self, phase: str, reason: str = "", message: str = "") -> PodBuilder:
        """The kubelet has ended all containers and said so."""
        return self.with_status(phase=phase, reason=reason or None, message=message or None)

    def being_deleted(self, asked: float = 50, grace: int = 60) -> PodBuilder:
        """Somebody deleted it: the API stores the end of the grace period."""
        return self.with_meta(deletionTimestamp=stamp(asked + grace), deletionGracePeriodSeconds=grace)

    def disrupted(self, reason: str, message: str = "") -> PodBuilder:
        """The condition that tells who ends a Pod."""
        return self.with_condition("DisruptionTarget", status="True", reason=reason, message=message)

    def stopped(self, why: str) -> PodBuilder:
        """The operator asked the kubelet to stop it."""
        return self.with_(metadata={"annotations": {names.ANNOTATION_STOP: why}}, spec={"activeDeadlineSeconds": 1})

    def without_sidecar(self) -> PodBuilder:
        """A webhook that does not know native sidecars took `restartPolicy` away."""
        return self.with_(spec={"initContainers": [{"name": "dind"}]})

    def of_attempt(self, number: int, uid: str | None = None) -> PodBuilder:
        """The Pod of another attempt."""
        name = names.pod_name(JOB_NAME, JOB_UID, number)
        return self.with_meta(name=name, uid=uid or f"pod-{number}", labels={names.LABEL_ATTEMPT: str(number)})

    def of_another_job(self) -> PodBuilder:
        """Owned by a CiJob of another UID."""
        owner = {**self.body["metadata"]["ownerReferences"][0], "uid": "another"}
        return self.with_meta(ownerReferences=[owner])

    def _started_once(self) -> PodBuilder:
        return self if "startTime" in self.body["status"] else self.started()

    def _container(self, group: str, name: str, status: Mapping[str, Any]) -> PodBuilder:
        others = [other for other in self.body["status"].get(group) or [] if other["name"] != name]
        own = {"name": name, "restartCount": 0, **status}
        return self.with_status(**{group: [own, *others] if name == "dind" else [*others, own]})


def waits(reason: str, message: str = "") -> Body:
    """The state of a container that waits."""
    return {"state": {"waiting": {"reason": reason, **({"message": message} if message else {})}}}


def _ended(exit_code: int, reason: str, message: str, finished: float | None) -> Body:
    end = None if finished is None else stamp(finished)
    ended = {"exitCode": exit_code, "reason": reason, "startedAt": stamp(3), "finishedAt": end}
    return {**ended, "message": message} if message else ended


def a_cijob() -> CiJobBuilder:
    """A good CiJob that nobody has looked at."""
    return CiJobBuilder()


def a_pod() -> PodBuilder:
    """Its Pod, just created."""
    return PodBuilder()
