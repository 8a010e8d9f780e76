"""The chart's life under Helm on a cluster that has never seen it: the default pool is there after each step.

On a cluster of its own, as the CRDs go, too. No operator runs: an API server is enough.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

INSTANCE = 9
REPOSITORY = Path(__file__).parents[2]
COMMAND = (sys.executable, "tests/cluster", "--driver", "embedded", "--instance", str(INSTANCE))

pytestmark = [
    pytest.mark.lifecycle,
    pytest.mark.skipif(os.geteuid() != 0, reason="the embedded cluster needs root"),
]


def run(*argv: str) -> str:
    """Run a program; what it says is shown where it fails."""
    done = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Chart:
    """The chart in a cluster, without operators that run."""

    def __init__(self) -> None:
        status = json.loads(run(*COMMAND, "status", "--output", "json"))
        config = f"--kubeconfig={status['kubeconfig']}"
        self._helm, self._kubectl = (status["helm"], config, "--namespace=ci"), (status["kubectl"], config)

    def helm(self, *words: str) -> None:
        run(*self._helm, *words)

    def kubectl(self, *words: str) -> str:
        return run(*self._kubectl, *words)

    def apply(self, verb: str, *values: str) -> None:
        """Install or upgrade, and do not wait."""
        self.helm(verb, "cijob", "charts/cijob", "--set=replicas=0", *(f"--set={value}" for value in values))

    def get(self, *what: str) -> list[dict[str, Any]]:
        return list(json.loads(self.kubectl("get", *what, "--output=json"))["items"])

    def delete(self, *what: str) -> None:
        self.kubectl("delete", *what, "--timeout=60s")

    def kinds(self) -> list[str]:
        """The kinds of the project that the cluster knows."""
        return sorted(item["spec"]["names"]["kind"] for item in self.get("crd") if item["spec"]["group"] == "cijob.dev")

    def pool(self) -> dict[str, Any]:
        """The only pool."""
        (pool,) = self.get("buildpools")
        assert pool["metadata"]["name"] == "default"
        return pool


@pytest.fixture(scope="module")
def chart() -> Iterator[Chart]:
    run(*COMMAND, "down")
    run(*COMMAND, "up")
    found = Chart()
    found.kubectl("create", "namespace", "ci")
    yield found
    run(*COMMAND, "down")


@pytest.fixture
def installed(chart: Chart) -> Iterator[Chart]:
    """The chart, installed for the first time."""
    chart.apply("install")
    yield chart
    chart.helm("uninstall", "cijob", "--ignore-not-found")
    if chart.kinds():
        chart.delete("crd", "cijobs.cijob.dev", "buildpools.cijob.dev", "--ignore-not-found")


def test_the_first_installation_makes_it_and_an_upgrade_takes_it_over(installed: Chart) -> None:
    first = installed.pool()["metadata"]
    assert "helm.sh/hook" in first["annotations"]
    installed.apply("upgrade", "defaultPool.spec.capacity.running=4")
    after = installed.pool()
    assert after["metadata"]["uid"] == first["uid"]
    assert "helm.sh/hook" not in after["metadata"]["annotations"]
    assert after["spec"] == {"capacity": {"running": 4}}


@pytest.mark.parametrize("upgraded", [False, True])
def test_it_stays_with_its_kind_and_a_second_installation_takes_it_over(installed: Chart, upgraded: bool) -> None:
    if upgraded:
        installed.apply("upgrade")
    uid = installed.pool()["metadata"]["uid"]
    installed.helm("uninstall", "cijob")
    assert installed.kinds() == ["BuildPool", "CiJob"]
    assert installed.pool()["metadata"]["uid"] == uid
    installed.apply("install")
    assert installed.pool()["metadata"]["uid"] == uid


def test_an_upgrade_from_a_chart_that_knew_no_pools_makes_it(installed: Chart) -> None:
    installed.delete("crd", "buildpools.cijob.dev")
    installed.apply("upgrade")
    assert installed.kinds() == ["BuildPool", "CiJob"]
    assert installed.pool()["spec"] == {}


@pytest.mark.parametrize("upgraded", [False, True])
def test_all_of_it_goes_if_asked(installed: Chart, upgraded: bool) -> None:
    installed.helm("uninstall", "cijob")
    installed.delete("crd", "cijobs.cijob.dev", "buildpools.cijob.dev")
    for verb in ("install", "upgrade")[: 1 + upgraded]:
        installed.apply(verb, "crds.keep=false")
    installed.helm("uninstall", "cijob", "--wait")
    assert installed.kinds() == []
