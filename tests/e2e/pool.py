"""BuildPools in the cluster, and the history of their Pods, recorded as the API server tells it."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.e2e.lab import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.lab import Cluster, Object


@dataclass(frozen=True)
class Pool:
    """A BuildPool."""

    cluster: Cluster
    name: str

    def body(self) -> Object:
        """The pool as it is now."""
        return self.cluster.get("buildpool", self.name)

    def change(self, **spec: object) -> None:
        """Change fields of its spec."""
        patch = json.dumps({"spec": spec})
        self.cluster.run("patch", "buildpool", self.name, "--type=merge", f"--patch={patch}")

    def create(self, **spec: object) -> None:
        """Make it."""
        kind = {"apiVersion": "cijob.dev/v1alpha1", "kind": "BuildPool"}
        self.cluster.create({**kind, "metadata": {"name": self.name}, "spec": spec})

    def wait_for_status(self, running: int, queued: int, reason: str) -> None:
        """Wait until it says so much of itself."""

        def told() -> tuple[int, int, str]:
            status = self.body().get("status", {})
            (condition,) = status.get("conditions") or [{"reason": ""}]
            return status.get("running", -1), status.get("queued", -1), condition["reason"]

        wait_for(lambda: told() == (running, queued, reason) or None, 20, lambda: f"{reason}; it says {told()}")


@contextmanager
def a_pool(cluster: Cluster, **spec: object) -> Iterator[Pool]:
    """A pool that goes when its user is done."""
    pool = Pool(cluster, f"e2e-{uuid.uuid4().hex[:10]}")
    pool.create(**spec)
    try:
        yield pool
    finally:
        cluster.run("delete", "buildpool", pool.name)


@dataclass(frozen=True)
class Moment:
    """The Pods of a pool that had not ended, by namespace, after a change of this Pod."""

    pod: Object
    new: bool
    alive: Counter[str]


class History:
    """All changes of a pool's Pods, in the API server's order."""

    def __init__(self, record: Path) -> None:
        self._record = record

    def moments(self) -> list[Moment]:
        """Each of them so far."""
        lines = self._record.read_text().splitlines(keepends=True)
        seen: set[str] = set()
        alive: dict[str, str] = {}
        found = []
        for event in (json.loads(line) for line in lines if line.endswith("\n")):
            pod = event["object"]
            uid, namespace = pod["metadata"]["uid"], pod["metadata"]["namespace"]
            if event["type"] == "DELETED" or pod["status"]["phase"] in {"Succeeded", "Failed"}:
                alive.pop(uid, None)
            else:
                alive[uid] = namespace
            found.append(Moment(pod, uid not in seen, Counter(alive.values())))
            seen.add(uid)
        return found

    def started(self) -> list[tuple[str, str]]:
        """Namespace and CiJob of each Pod, in the order of their creation."""
        pods = [moment.pod["metadata"] for moment in self.moments() if moment.new]
        return [(meta["namespace"], meta["labels"]["cijob.dev/job"]) for meta in pods]


@contextmanager
def recorded(pool: Pool, folder: Path) -> Iterator[History]:
    """A watch of the pool's Pods in all namespaces; one without a version begins with what is there."""
    record = folder / f"{pool.name}.jsonl"
    path = f"/api/v1/pods?watch=true&timeoutSeconds=600&labelSelector=cijob.dev%2Fpool%3D{pool.name}"
    command = [pool.cluster.kubectl, f"--kubeconfig={pool.cluster.kubeconfig}", "get", "--raw", path]
    with record.open("wb") as output, subprocess.Popen(command, stdout=output) as process:
        try:
            yield History(record)
        finally:
            process.kill()
