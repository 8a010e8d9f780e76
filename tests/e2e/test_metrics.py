"""The metrics of the installed operator: what alerts and dashboard ask for is there, in a real run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.e2e.conftest import OPERATOR_NAMESPACE
from tests.e2e.lab import wait_for
from tests.unit.chart.test_monitoring import asked_for
from tests.unit.metrics_world import exported

if TYPE_CHECKING:
    from tests.e2e.lab import Cluster, Jobs

#: Those that are there only when something is wrong, or wanted: no limit of a pool, no job that waits.
SOMETIMES = {
    "cijob_pool_capacity",
    "cijob_pool_namespace_capacity",
    "cijob_pool_oldest_queued_timestamp_seconds",
}


def scrape(cluster: Cluster) -> dict[str, str]:
    """Each replica's metrics, fetched through the API server."""
    pods = cluster.get("pods", f"--namespace={OPERATOR_NAMESPACE}", "--selector=app.kubernetes.io/component=operator")
    path = "/api/v1/namespaces/{}/pods/{}:8080/proxy/metrics"
    names = [pod["metadata"]["name"] for pod in pods["items"] if "deletionTimestamp" not in pod["metadata"]]
    return {name: cluster.run("get", "--raw", path.format(OPERATOR_NAMESPACE, name)).stdout for name in names}


def leaders(pages: dict[str, str]) -> list[str]:
    return [name for name, page in pages.items() if re.search(r"^cijob_leader 1", page, re.MULTILINE)]


def test_one_replica_leads_and_it_alone_tells_of_pools(cluster: Cluster) -> None:
    pages = wait_for(
        lambda: found if len(leaders(found := scrape(cluster))) == 1 else None, 60, lambda: "exactly one leader"
    )
    telling = [name for name, page in pages.items() if 'cijob_pool_running{pool="default"}' in page]
    assert telling == leaders(pages)


def test_all_that_alerts_and_dashboard_ask_for_is_exported_after_a_job(cluster: Cluster, jobs: Jobs) -> None:
    assert jobs.start("counted", script=["true"]).end()["phase"] == "Succeeded"

    def missing() -> set[str]:
        there = {name for page in scrape(cluster).values() for name in exported(page)}
        return asked_for() - there - SOMETIMES

    wait_for(lambda: None if missing() else True, 30, lambda: f"metrics named {sorted(missing())}")


def test_a_job_that_ended_is_counted(cluster: Cluster, jobs: Jobs) -> None:
    def failures() -> float:
        pattern = r'^cijob_jobs_finished_total\{outcome="Failed",pool="default",reason="ScriptFailed"\} (\S+)'
        return sum(
            float(count) for page in scrape(cluster).values() for count in re.findall(pattern, page, re.MULTILINE)
        )

    before = failures()
    assert jobs.start("fails", script=["false"]).end()["phase"] == "Failed"
    wait_for(lambda: True if failures() >= before + 1 else None, 30, lambda: "the failure to be counted")
