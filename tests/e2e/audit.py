"""What the operator asked of the API server, from its audit log."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

from tests.e2e.lab import wait_for

if TYPE_CHECKING:
    from tests.e2e.lab import Cluster, Job

USER = "system:serviceaccount:cijob-system:cijob"


def requests(cluster: Cluster, job: Job) -> Counter[str]:
    """What the operator asked of the API server about a job's own objects: verb and resource, with how often."""
    return Counter(what for what, _ in timed(cluster, job))


def timed(cluster: Cluster, job: Job) -> list[tuple[str, datetime]]:
    """The same in the order of the log, each with its time."""
    assert cluster.audit_log is not None
    found = []
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
        found.append((f"{event['verb']} {resource}", datetime.fromisoformat(event["requestReceivedTimestamp"])))
    return found


def in_time(log: list[tuple[str, datetime]]) -> bool:
    """Whether the job ran within 5 s of its Pod's POST: what does not is told in its status once more."""
    post = next(time for what, time in log if what == "create pods")
    *_, running, _ = (time for what, time in log if what == "patch cijobs/status")
    return (running - post).total_seconds() < 5


def assert_costs(cluster: Cluster, job: Job) -> None:
    """Wait for the Event of a job that has ended, and hold its requests against the table of docs/architecture.md."""
    wait_for(lambda: requests(cluster, job)["create events"] or None, 30, lambda: "the Event")
    log = timed(cluster, job)
    patches = (2,) if in_time(log) else (2, 3)
    expected = [Counter({"create pods": 1, "patch cijobs/status": count, "create events": 1}) for count in patches]
    assert Counter(what for what, _ in log) in expected, log
