"""Two operators, run out of the cluster against its API server, with a Lease and a namespace of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from aiohttp.test_utils import unused_port

from tests.e2e.conftest import OPERATOR_NAMESPACE
from tests.e2e.lab import ROOT, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.lab import Cluster


@dataclass
class Operator:
    """One process."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self, event: str) -> bool:
        """Whether it wrote such a line."""
        lines = [line for line in self.log.read_text().splitlines(keepends=True) if line.startswith("{")]
        return any(json.loads(line)["event"] == event for line in lines if line.endswith("\n"))

    def wait_for(self, event: str, seconds: float = 60) -> float:
        """Seconds until it wrote such a line."""
        start = time.monotonic()
        wait_for(lambda: self.said(event) or None, seconds, lambda: f"{event!r} in {self.log.read_text()}")
        return time.monotonic() - start


class Team:
    """The operators of a namespace, of which one leads."""

    def __init__(self, cluster: Cluster, namespace: str, folder: Path) -> None:
        self.cluster, self.namespace, self.folder = cluster, namespace, folder
        self.operators: list[Operator] = []

    def start(self) -> Operator:
        """One more; gives it once its caches are in step."""
        log = self.folder / f"operator-{len(self.operators)}.log"
        settings = {
            "NAMESPACES": self.namespace,
            "LEASE_NAMESPACE": self.namespace,
            "LEASE_NAME": "takeover",
            "HEALTH_PORT": str(unused_port()),
        }
        environment = {
            **os.environ,
            "KUBECONFIG": self.cluster.kubeconfig,
            "PYTHONPATH": str(ROOT / "operator"),
            **{f"CIJOB_OPERATOR_{name}": value for name, value in settings.items()},
        }
        with log.open("wb") as output:
            process = subprocess.Popen([sys.executable, "-m", "cijob"], env=environment, stderr=output)
        operator = Operator(process, log)
        self.operators.append(operator)
        operator.wait_for("the caches are in step")
        return operator

    def holder(self) -> str:
        """Who holds the Lease."""
        lease = self.cluster.get("lease", "takeover", f"--namespace={self.namespace}")
        return str(lease["spec"]["holderIdentity"])


@pytest.fixture
def team(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[Team]:
    """No operator yet."""
    there = Team(cluster, namespace, tmp_path)
    yield there
    for operator in there.operators:
        operator.process.kill()
        operator.process.wait()
    cluster.run("delete", "lease", "takeover", f"--namespace={namespace}", "--ignore-not-found")


@pytest.mark.parametrize(("number", "seconds"), [(signal.SIGKILL, 15), (signal.SIGTERM, 3)])
def test_another_decides_in_time_when_the_leader_is(team: Team, number: signal.Signals, seconds: float) -> None:
    first = team.start()
    first.wait_for("the leader decides")
    second = team.start()
    time.sleep(5)  # some renewals; the state that is tested, not a wait for it
    assert not second.said("this process leads")

    first.process.send_signal(number)

    assert second.wait_for("the leader decides") < seconds
    assert first.process.wait(timeout=30) == (-signal.SIGKILL if number is signal.SIGKILL else 0)


def test_a_leader_that_lost_its_lease_ends_at_once_and_says_why(team: Team) -> None:
    first = team.start()
    first.wait_for("the leader decides")

    patch = json.dumps({"spec": {"holderIdentity": "somebody"}})
    team.cluster.run("patch", "lease", "takeover", f"--namespace={team.namespace}", "--type=merge", f"--patch={patch}")

    assert first.process.wait(timeout=10) == 3
    assert "somebody holds the Lease" in first.log.read_text()


def test_a_leader_that_was_stopped_for_long_does_nothing_more(team: Team) -> None:
    first = team.start()
    first.wait_for("the leader decides")
    second = team.start()
    first.process.send_signal(signal.SIGSTOP)
    second.wait_for("the leader decides")
    after = team.holder()

    first.process.send_signal(signal.SIGCONT)

    assert first.process.wait(timeout=10) == 3
    assert team.holder() == after


def test_of_the_charts_two_replicas_one_holds_the_lease_and_both_are_ready(cluster: Cluster) -> None:
    here = f"--namespace={OPERATOR_NAMESPACE}"

    def ready() -> list[str]:
        pods = cluster.get("pods", here, "--selector=app.kubernetes.io/name=cijob")["items"]
        told = {pod["metadata"]["name"]: pod["status"].get("containerStatuses", ()) for pod in pods}
        return [name for name, states in told.items() if states and all(state["ready"] for state in states)]

    def holder() -> str:
        return str(cluster.get("lease", "cijob", here)["spec"]["holderIdentity"]).partition("_")[0]

    def told() -> str:
        return f"two replicas, of which one leads; ready are {ready()}, {holder()} holds the Lease"

    # The tests before have killed some.
    wait_for(lambda: (len(found := ready()) == 2 and holder() in found) or None, 60, told)
