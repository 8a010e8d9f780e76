"""The write table of docs/architecture.md, counted in the API server's audit log."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.e2e.lab import Jobs, own_namespace, wait_for

if TYPE_CHECKING:
    from tests.e2e.lab import Cluster, Job

USER = "system:serviceaccount:cijob-system:cijob"


def requests(cluster: Cluster, job: Job) -> Counter[str]:
    """What the operator asked of the API server about a job's own objects: verb and resource, with how often."""
    assert cluster.audit_log is not None
    counts: Counter[str] = Counter()
    lines = cluster.audit_log.read_text().splitlines(keepends=True)
    for event in (json.loads(line) for line in lines if line.endswith("\n")):  # the last one may be half written
        reference = event.get("objectRef", {})
        if (
            event["user"].get("username") != USER  # nobody, where a token was refused
            or reference.get("namespace") != job.namespace
            or event["verb"] in {"watch", "list"}
        ):
            continue
        resource = reference["resource"] + (f"/{reference['subresource']}" if "subresource" in reference else "")
        counts[f"{event['verb']} {resource}"] += 1
    return counts


@pytest.mark.parametrize("endpoint", ["TCP", "Unix"])
def test_a_job_costs_its_writes_one_event_and_no_read(cluster: Cluster, endpoint: str) -> None:
    if cluster.audit_log is None:
        pytest.skip("the cluster keeps no audit log")
    with own_namespace(cluster, "e2e") as namespace:
        job = Jobs(cluster, namespace).start("writes", docker={"endpoint": endpoint}, script=["sleep 3"])
        assert job.end()["phase"] == "Succeeded"
        expected = Counter({"create pods": 1, "patch cijobs/status": 2, "create events": 1})
        wait_for(lambda: requests(cluster, job)["create events"] or None, 30, lambda: "the Event")
        wait_for(lambda: job.pod()["status"]["phase"] == "Succeeded" or None, 90, lambda: "the Pod's own end")
        assert requests(cluster, job) == expected
