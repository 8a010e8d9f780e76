"""The end of a Pod: its containers' containers end in good order where there is time, and leave nothing where there is none.

The kills are KILLS in number: 4, one of each kind, or as many as the variable CIJOB_KILLS says (50 take some minutes).
"""

from __future__ import annotations

import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.e2e.lab import wait_for
from tests.e2e.node import Node, Process, Traces, kill, marks_of, processes, the_node

if TYPE_CHECKING:
    from tests.e2e.lab import Cluster
    from tests.e2e.pods import Pod, Pods

KILLS = int(os.environ.get("CIJOB_KILLS", "4"))
#: Pods that are killed beside each other.
BATCH = 5
GRACE = 20
#: An inner container that says so when it is told to end, where the sidecar's log shows it.
POLITE = "trap 'echo polite was told to end > /proc/1/fd/1; exit' TERM; while :; do sleep 0.2; done"
RUN_POLITE = f'docker run --detach --privileged --pid host busybox:stable sh -c "{POLITE}"'
#: One that does not listen.
STUBBORN = "trap '' TERM; while :; do sleep 0.2; done"
SERVE = (
    "docker network create mine",
    f'docker run --detach --network mine --publish 8080:80 --stop-timeout 2 busybox:stable sh -c ": $MARK; {STUBBORN}"',
)


@pytest.fixture(scope="module")
def node(cluster: Cluster) -> Node:
    """The node that the Pods run on."""
    if cluster.audit_log is None:
        pytest.skip("a node of kind is a container: its processes and mounts are not the machine's to look at")
    return the_node()


def serving(pods: Pods, mark: str, *more: str) -> Pod:
    """Start a Pod with containers in its daemon, one of which has the mark on its command line."""
    variables = {"MARK": mark}
    return pods.using(termination_grace_seconds=GRACE).start("end", *SERVE, *more, variables=variables)


def new_mark() -> str:
    return f"mark-{uuid.uuid4().hex}"


def gone(pod: Pod, seconds: float) -> None:
    """Wait until the API server has no such Pod any more."""
    wait_for(
        lambda: None if pod.body() else True, seconds, lambda: f"the end of {pod.name}: {pod.body().get('status')}"
    )


def nothing_left(node: Node, *marks: str) -> None:
    """Wait until nothing on the node bears the marks: what the kubelet removes after the Pod takes it a moment."""
    wait_for(lambda: None if any(node.traces(*marks).values()) else True, 30, lambda: f"{node.traces(*marks)} to go")


def traces_of_all_kinds(node: Node, *marks: str) -> Traces:
    """What bears the marks, of which there must be something of each kind: else the eye sees nothing."""
    there = node.traces(*marks)
    assert all(there[kind] for kind in ("processes", "mounts", "cgroups", "routes")), there
    return there


def test_containers_end_in_good_order_after_the_job(pods: Pods) -> None:
    pod = serving(pods, new_mark(), RUN_POLITE)
    pod.succeeded()
    assert pod.end("dind")["exitCode"] == 0
    in_good_order(pod.log("dind"))
    pod.delete()


def test_containers_end_in_good_order_and_in_time_when_the_pod_is_deleted(pods: Pods) -> None:
    pod = serving(pods, new_mark(), RUN_POLITE, "echo serving; sleep 3600")
    pod.wait_for_log("serving\n")
    with ThreadPoolExecutor() as pool:
        words = ("logs", "--follow", f"--namespace={pod.namespace}", pod.name, "--container=dind")
        following = pool.submit(pod.cluster.run, *words)
        pod.delete()
        gone(pod, GRACE)
        in_good_order(following.result().stdout)


def in_good_order(log: str) -> None:
    """The sidecar's log shows that a container ended before its daemon, and that the daemon ended well."""
    assert "polite was told to end" in log, log
    assert log.index("polite was told to end") < log.index("cijob: dockerd ended with 0"), log


def test_a_pod_leaves_nothing_on_the_node(pods: Pods, node: Node) -> None:
    mark = new_mark()
    pod = serving(pods, mark, "docker ps --quiet --no-trunc", "echo serving; sleep 3600")
    pod.wait_for_log("serving\n")
    inner = [line for line in pod.log().splitlines() if len(line) == 64]
    marks = (mark, *inner, *marks_of(pod.body()))
    traces_of_all_kinds(node, *marks)
    pod.delete()
    gone(pod, GRACE)
    nothing_left(node, *marks)
    assert node.docker_interfaces() == []


def test_killed_daemons_leave_nothing_on_the_node(pods: Pods, node: Node) -> None:
    for first in range(0, KILLS, BATCH):
        killed = [Killed.start(pods, number) for number in range(first, min(first + BATCH, KILLS))]
        for one in killed:
            one.kill(node)
        for one in killed:
            one.look(node)
            one.pod.delete()
        for one in killed:
            gone(one.pod, GRACE + 10)
            nothing_left(node, *one.marks)
    assert node.docker_interfaces() == []


@dataclass
class Killed:
    """A Pod whose daemon is killed."""

    pod: Pod
    whom: str
    marks: list[str]

    @classmethod
    def start(cls, pods: Pods, number: int) -> Killed:
        mark = new_mark()
        whom = ("the first process", "dockerd", "containerd", "all")[number % 4]
        return cls(serving(pods, mark, "echo serving; sleep 3600"), whom, [mark])

    def kill(self, node: Node) -> None:
        """Kill, once it serves."""
        self.pod.wait_for_log("serving\n")
        self.marks += [self.sidecar(), *marks_of(self.pod.body())]
        traces_of_all_kinds(node, *self.marks)
        chosen = victims(self.sidecar(), self.whom)
        assert chosen, f"no {self.whom} in {self.pod.name}"
        kill(chosen)

    def look(self, node: Node) -> None:
        """What ran below a dead sidecar goes at once, not with the Pod."""
        mark, sidecar = self.marks[:2]
        if self.whom == "containerd":
            return  # the daemon starts another one, and its containers live on

        def left() -> list[str]:
            there = node.running(mark, sidecar)
            return there["processes"] + there["cgroups"]

        wait_for(lambda: None if left() else True, 30, lambda: f"{left()} to go after the end of {self.whom}")

    def sidecar(self) -> str:
        """The id of the container that runs as the sidecar now."""
        return str(self.pod.container("dind")["containerID"]).removeprefix("containerd://")


def victims(sidecar: str, whom: str) -> list[Process]:
    """The processes to kill in a sidecar."""
    inside = [one for one in processes() if sidecar in one.groups]
    match whom:
        case "all":
            return inside
        case "the first process":
            return [one for one in inside if one.numbers[1:] == (1,)]
        case _:
            return [one for one in inside if one.name == whom]
