"""The second node of the embedded cluster: jobs are brought onto it, then something befalls it."""

from __future__ import annotations

import json
import os
import shutil
import signal
from contextlib import contextmanager
from dataclasses import dataclass, replace
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from tests.cluster import node
from tests.cluster.cgroups import version
from tests.cluster.config import load
from tests.cluster.embedded import Embedded, program
from tests.cluster.processes import Record, send
from tests.e2e.lab import wait_for
from tests.e2e.node import Node

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.config import NodeConfig
    from tests.cluster.processes import Daemon
    from tests.e2e.lab import Cluster, Job, Jobs, Object


@dataclass(frozen=True)
class Worker:
    """A node that trouble may come to; there are others."""

    cluster: Cluster
    dev: Embedded
    item: NodeConfig

    @property
    def name(self) -> str:
        """Its name in the cluster."""
        return self.item.name

    def body(self) -> Object:
        """Its Node; an empty map if there is none."""
        return self.cluster.get("node", self.name)

    def condition(self, kind: str) -> str:
        """The status of one of its conditions."""
        conditions = self.body().get("status", {}).get("conditions", [])
        return next((str(one["status"]) for one in conditions if one["type"] == kind), "")

    def start(self, jobs: Jobs, name: str, **spec: Any) -> Job:  # noqa: ANN401  any field of a spec
        """Start a CiJob that this node gets, and no other Pod after it; gives it once its script runs."""
        others = [one["metadata"]["name"] for one in self.cluster.get("nodes")["items"]]
        others.remove(self.name)
        self.cluster.run("cordon", *others)
        self.cluster.run("uncordon", self.name)
        try:
            job = jobs.start(name, **spec)
            wait_for(lambda: job.pod().get("spec", {}).get("nodeName"), 60, lambda: f"{job.name} to get a node")
        finally:
            self.cluster.run("uncordon", *others)
        self.cluster.run("cordon", self.name)
        assert job.pod()["spec"]["nodeName"] == self.name
        job.wait_for_log("\nstarted")
        return job

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Its kubelet does nothing for a while, as on a machine that hangs; its containers go on."""
        record = self._kubelet_record()
        send(record, signal.SIGSTOP)
        try:
            yield
        finally:
            send(record, signal.SIGCONT)

    @contextmanager
    def without_kubelet(self) -> Iterator[None]:
        """Its kubelet is dead for a while; its containers go on."""
        send(self._kubelet_record(), signal.SIGKILL)
        try:
            yield
        finally:
            self._start_kubelet({})

    @contextmanager
    def kubelet_with(self, environment: dict[str, str], **settings: Any) -> Iterator[None]:  # noqa: ANN401  any of its fields
        """Its kubelet runs with other variables and settings (KubeletConfiguration) for a while."""
        path = self.item.folder / "kubelet.json"
        before = path.read_text()
        path.write_text(json.dumps({**json.loads(before), **settings}))
        try:
            self._restart_kubelet(environment)
            yield
        finally:
            path.write_text(before)
            self._restart_kubelet({})

    def free_disk(self) -> int:
        """Bytes that are free where its Pods' files are."""
        return shutil.disk_usage(self.item.folder).free

    @contextmanager
    def filled(self, size: int) -> Iterator[None]:
        """So many bytes of its disk are taken for a while."""
        with TemporaryFile(dir=self.item.folder) as file:
            os.posix_fallocate(file.fileno(), 0, size)
            yield

    def mend(self) -> None:
        """Make it a node that takes Pods again."""
        self._start_kubelet({})
        self.cluster.run("uncordon", self.name)
        wait_for(lambda: self._healthy() or None, 90, lambda: f"{self.name} to recover: {self.body().get('spec')}")

    def below(self) -> Node:
        """The same, seen from the machine."""
        record = self.dev.supervisor.record(self.name)
        assert record is not None, f"{self.name} does not run"
        return Node(record.pid)

    def _healthy(self) -> bool:
        return self.condition("Ready") == "True" and not self.body().get("spec", {}).get("taints")

    def _kubelet(self) -> Daemon:
        tools = self.dev.tools.kubernetes_if_built()
        assert tools is not None, "the cluster runs without its programs"
        return node.kubelet(self.item, program(tools), self.dev.api, version())

    def _kubelet_record(self) -> Record:
        record = self.dev.supervisor.record(self._kubelet().name)
        assert record is not None, f"the kubelet of {self.name} does not run"
        return record

    def _restart_kubelet(self, environment: dict[str, str]) -> None:
        self.dev.supervisor.stop(self._kubelet().name)
        self._start_kubelet(environment)

    def _start_kubelet(self, environment: dict[str, str]) -> None:
        kubelet = replace(self._kubelet(), env=environment)
        self.dev.supervisor.start(kubelet)
        self.dev.supervisor.wait(kubelet)


def second_node(cluster: Cluster) -> Worker | None:
    """The second node of the cluster that the tests run on; None if it has no such node of the embedded driver."""
    if cluster.audit_log is None:
        return None
    dev = Embedded(load(int(os.environ.get("CIJOB_DEV_INSTANCE", "0"))))
    return Worker(cluster, dev, dev.config.nodes[1]) if dev.config.node_count > 1 else None
