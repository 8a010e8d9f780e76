"""The node itself: Pods on it see cgroup v2, and a Docker daemon in one runs containers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.lab import wait_for

if TYPE_CHECKING:
    from tests.e2e.lab import Cluster

#: Seconds for what takes one or two natively: pulling the daemon's image, starting the daemon.
PATIENCE = 900
POD = "daemon"


def manifest(registry_mirror: str) -> dict[str, Any]:
    """A privileged Pod with a Docker daemon, on the node with cgroup v2."""
    container = {
        "name": "dind",
        "image": "docker:29-dind",
        "args": [f"--registry-mirror={registry_mirror}"],
        "env": [{"name": "DOCKER_TLS_CERTDIR", "value": ""}],
        "securityContext": {"privileged": True},
        "volumeMounts": [{"name": "storage", "mountPath": "/var/lib/docker"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": POD},
        "spec": {
            "nodeSelector": {"cijob.dev/cgroup": "v2"},
            "tolerations": [{"key": "cijob.dev/cgroup", "value": "v2", "effect": "NoSchedule"}],
            "terminationGracePeriodSeconds": 1,
            "volumes": [{"name": "storage", "emptyDir": {}}],
            "containers": [container],
        },
    }


class Daemon:
    """The Pod with the daemon."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = f"--namespace={namespace}"

    def execute(self, *command: str, check: bool = True) -> str:
        """Run a command next to the daemon."""
        return self.cluster.run("exec", self.namespace, POD, "--", *command, check=check).stdout.strip()

    def status(self) -> dict[str, Any]:
        """The Pod's status."""
        return dict(self.cluster.get("pod", POD, self.namespace).get("status", {}))

    def is_ready(self) -> bool:
        """Whether its one container runs."""
        return any(one["ready"] for one in self.status().get("containerStatuses", []))


@pytest.fixture(scope="module")
def daemon(cluster: Cluster, namespace: str) -> Daemon:
    """A Pod on the node, running."""
    pod = Daemon(cluster, namespace)
    cluster.run("create", pod.namespace, "--filename=-", stdin=json.dumps(manifest(cluster.registry_mirror)))
    wait_for(lambda: pod.is_ready() or None, PATIENCE, lambda: f"the Pod to run: {pod.status()}")
    return pod


def test_only_pods_that_ask_for_it_come_to_the_node(cluster: Cluster) -> None:
    (node,) = cluster.get("nodes", "--selector=cijob.dev/cgroup=v2")["items"]
    assert {"key": "cijob.dev/cgroup", "value": "v2", "effect": "NoSchedule"} in node["spec"]["taints"]


def test_a_pod_sees_cgroup_v2(daemon: Daemon) -> None:
    assert daemon.execute("stat", "--file-system", "--format=%T", "/sys/fs/cgroup") == "cgroup2fs"


def test_a_docker_daemon_runs_containers(daemon: Daemon) -> None:
    version = ("docker", "info", "--format={{.CgroupVersion}}")
    wait_for(lambda: daemon.execute(*version, check=False) == "2" or None, PATIENCE, lambda: "the Docker daemon")
    assert daemon.execute("docker", "run", "--rm", "busybox:stable", "echo", "hello") == "hello"
