"""The write table of docs/architecture.md, counted in the API server's audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.audit import assert_costs
from tests.e2e.lab import Jobs, own_namespace, wait_for

if TYPE_CHECKING:
    from tests.e2e.lab import Cluster


@pytest.mark.parametrize("endpoint", ["TCP", "Unix"])
def test_a_job_costs_its_writes_one_event_and_no_read(cluster: Cluster, endpoint: str) -> None:
    if cluster.audit_log is None:
        pytest.skip("the cluster keeps no audit log")
    with own_namespace(cluster, "e2e") as namespace:
        job = Jobs(cluster, namespace).start("writes", docker={"endpoint": endpoint}, script=["sleep 3"])
        assert job.end()["phase"] == "Succeeded"
        wait_for(lambda: job.pod()["status"]["phase"] == "Succeeded" or None, 90, lambda: "the Pod's own end")
        assert_costs(cluster, job)
