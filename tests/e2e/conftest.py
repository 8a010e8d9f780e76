"""The development cluster with the operator installed by Helm, from the image that the Dockerfile makes.

`make e2e` brings the cluster up and installs the operator; a run of pytest only checks that they are there.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.lab import Cluster, Jobs, own_namespace, running_cluster
from tests.e2e.pods import Pods, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator

OPERATOR_NAMESPACE = "cijob-system"


#: Modules that stop or change the operator or a node, or count requests: no other test may run beside them. Of others only the
#: tests with the mark `alone` do.
ALONE = {
    "test_faults_on_a_node",
    "test_nodes",
    "test_pools",
    "test_shutdown",
    "test_takeover",
    "test_writes",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.e2e)
            if item.path.stem in ALONE:
                item.add_marker(pytest.mark.alone)


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The running cluster."""
    try:
        there = running_cluster()
    except RuntimeError as error:
        pytest.fail(str(error))
    ready = there.run(
        "rollout", "status", "deployment/cijob", f"--namespace={OPERATOR_NAMESPACE}", "--timeout=120s", check=False
    )
    if ready.returncode != 0:
        pytest.fail(f"the operator is not installed: run `make e2e` ({ready.stderr.strip()})")
    return there


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the module's own."""
    with own_namespace(cluster, "e2e") as name:
        yield name


@pytest.fixture(scope="module")
def jobs(cluster: Cluster, namespace: str) -> Jobs:
    """CiJobs in a namespace of the module's own."""
    return Jobs(cluster, namespace)


@pytest.fixture(scope="module")
def pods(cluster: Cluster, namespace: str) -> Pods:
    """Pods as the operator builds them, without the operator, in a namespace of the module's own, all on one node."""
    first = cluster.get("nodes")["items"][0]["metadata"]["name"]
    return Pods(cluster, namespace, settings_of(cluster), {"nodeSelector": {"kubernetes.io/hostname": first}})


@contextmanager
def without_operator(cluster: Cluster) -> Iterator[None]:
    """The installed operator does not run for a while."""
    there = ("deployment/cijob", f"--namespace={OPERATOR_NAMESPACE}")
    replicas = cluster.get(*there)["spec"]["replicas"]
    cluster.run("scale", *there, "--replicas=0")
    running = ("--selector=app.kubernetes.io/name=cijob", "--field-selector=status.phase=Running")
    cluster.run("wait", "--for=delete", "pod", there[1], *running, "--timeout=60s", check=False)
    try:
        yield
    finally:
        cluster.run("scale", *there, f"--replicas={replicas}")
        cluster.run("rollout", "status", *there, "--timeout=120s")
