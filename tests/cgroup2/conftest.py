"""The development cluster with its virtual machine: a node with cgroup v2, many times slower than the machine itself.

`make test-cgroup2` brings both up; a run of pytest only checks that they are there. The operator need not be installed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.lab import Cluster, own_namespace, running_cluster
from tests.e2e.pods import Pods, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator

LABEL = "cijob.dev/cgroup=v2"
PLACEMENT = {
    "nodeSelector": {"cijob.dev/cgroup": "v2"},
    "tolerations": [{"key": "cijob.dev/cgroup", "value": "v2", "effect": "NoSchedule"}],
}
#: Seconds for what takes one or two natively: pulling the daemon's image, starting the daemon.
PATIENCE = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.cgroup2)


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The running cluster, which has a node with cgroup v2."""
    try:
        there = running_cluster()
    except RuntimeError as error:
        pytest.fail(str(error))
    if not there.get("nodes", f"--selector={LABEL}")["items"]:
        pytest.fail(f"no node has the label {LABEL}: run `make test-cgroup2`, which adds one")
    return there


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the module's own."""
    with own_namespace(cluster, "cgroup2") as name:
        yield name


@pytest.fixture(scope="module")
def pods(cluster: Cluster, namespace: str) -> Pods:
    """Pods as the operator builds them, without the operator, on the node with cgroup v2."""
    return Pods(cluster, namespace, settings_of(cluster), PLACEMENT, PATIENCE)
