from __future__ import annotations

from typing import Any

import pytest

from cijob.cli.follow import state

Body = dict[str, Any]


def a_job(phase: str = "", spec: Body | None = None, **status: object) -> Body:
    return {"spec": {"image": "ubuntu", **(spec or {})}, "status": {**({"phase": phase} if phase else {}), **status}}


def a_pod(states: dict[str, Body] | None = None, node: str = "node1", conditions: tuple[Body, ...] = ()) -> Body:
    containers = [{"name": name, "image": f"{name}:1"} for name in ("dind", "git", "redis")]
    return {
        "spec": {
            "nodeName": node,
            "initContainers": containers,
            "containers": [{"name": "job", "image": "ubuntu:25.10"}],
        },
        "status": {
            "conditions": list(conditions),
            "containerStatuses": [{"name": name, "state": one} for name, one in (states or {}).items()],
        },
    }


RUNNING: Body = {"running": {}}
ENDED: Body = {"terminated": {"exitCode": 0}}
CREATING: Body = {"waiting": {"reason": "ContainerCreating"}}
BACKOFF: Body = {"waiting": {"reason": "ImagePullBackOff", "message": "no such tag"}}
NO_ROOM: Body = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available: 3 Insufficient cpu."}
ALL_UP: dict[str, Body] = {"dind": RUNNING, "git": ENDED, "redis": RUNNING}


@pytest.mark.parametrize(
    ("job", "pod", "said"),
    [
        (a_job(), None, "waiting for the operator"),
        (a_job("Queued", reason="PoolAtCapacity", message="The pool is full."), None, "queued: The pool is full."),
        (a_job("Pending", reason="QuotaExceeded", message="No quota."), None, "waiting: No quota."),
        (a_job("Pending", attempt=2, reason="NodeLost", message="The node is gone."), None, "attempt 2 is next"),
        (a_job(), a_pod(node=""), "waiting for a node"),
        (a_job(), a_pod(node="", conditions=(NO_ROOM,)), f"no node has room yet: {NO_ROOM['message']}"),
        (
            a_job(),
            a_pod({"dind": CREATING}),
            "pulling or starting the Docker daemon (dind:1) on node1",
        ),
        (a_job(), a_pod({"dind": RUNNING, "git": RUNNING}), "checking out the repository"),
        (a_job(), a_pod({"dind": BACKOFF}), "the Docker daemon waits: ImagePullBackOff: no such tag"),
        (
            a_job(),
            a_pod({"dind": RUNNING, "git": ENDED, "redis": BACKOFF}),
            "the service redis waits: ImagePullBackOff: no such tag",
        ),
        (
            a_job(),
            a_pod({**ALL_UP, "job": CREATING}),
            "pulling or starting the job's container (ubuntu:25.10) on node1",
        ),
        (a_job(), a_pod({**ALL_UP, "job": RUNNING}), "waiting for the Docker daemon"),
        (a_job(spec={"docker": {"enabled": False}}), a_pod({"job": RUNNING}), "running on node1"),
        (a_job("Running"), a_pod({**ALL_UP, "job": ENDED}), "the script has ended: waiting for the verdict"),
        (a_job("Running", spec={"cancel": "Graceful"}), a_pod(), "being cancelled: the script may clean up"),
        (a_job("Succeeded"), a_pod({**ALL_UP, "job": ENDED}), ""),
        (a_job("Cancelled", spec={"cancel": "Immediate"}), None, ""),
    ],
)
def test_what_is_said_of_a_job(job: Body, pod: Body | None, said: str) -> None:
    assert state.describe(job, pod) == said


def test_a_job_that_printed_something_has_its_daemon() -> None:
    assert state.describe(a_job(), a_pod({**ALL_UP, "job": RUNNING}), printed=True) == "running on node1"


def test_bare_bodies_are_described_too() -> None:
    assert state.describe({}, {})
    assert not state.started(None)
    assert not state.ended({})
