"""What users of kubectl see."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.lab import Cluster, Jobs


def test_get_wait_and_describe_read_well(cluster: Cluster, jobs: Jobs) -> None:
    job = jobs.start("seen", docker={"enabled": False}, script=["echo done"])
    here = f"--namespace={jobs.namespace}"
    waited = cluster.run("wait", "--for=condition=Finished", f"cij/{job.name}", here, "--timeout=120s").stdout
    assert "condition met" in waited
    header, row = cluster.run("get", "cij", here).stdout.splitlines()
    assert header.split() == ["NAME", "PHASE", "REASON", "EXIT", "ATTEMPT", "POOL", "AGE"]
    assert row.split()[:6] == [job.name, "Succeeded", "Completed", "0", "1", "default"]
    assert job.name in cluster.run("get", "ci", here).stdout, "the category"
    assert job.name in cluster.run("get", "cij", here, "--field-selector=status.phase=Succeeded").stdout
    described = cluster.run("describe", "cij", job.name, here).stdout
    assert "The job succeeded." in described.partition("Events:")[2]
