"""What the benchmarks share: a namespace of their own, a node to run on, variants measured in turn, medians."""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from cijob.settings import Settings
from tests.e2e.lab import Cluster, Jobs, running_cluster
from tests.e2e.pods import Pods

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.e2e.lab import Object

T = TypeVar("T")


@dataclass(frozen=True)
class Bench:
    """Where to measure.

    Attributes:
        node: the node that all Pods go to; None for any.
        runs: how often each variant is measured.
    """

    cluster: Cluster
    namespace: str
    node: str | None
    runs: int

    @property
    def jobs(self) -> Jobs:
        """CiJobs, which the operator puts on any node."""
        return Jobs(self.cluster, self.namespace)

    @property
    def pods(self) -> Pods:
        """Pods as the operator builds them, on the node."""
        mirror = self.cluster.registry_mirror
        settings = Settings(registry_mirrors=(mirror,), insecure_registries=(mirror.removeprefix("http://"),))
        return Pods(self.cluster, self.namespace, settings, self._placement)

    def placed(self, manifest: Object) -> Object:
        """A Pod's manifest with a name and the node in it, and without marks of the operator's."""
        annotations = manifest["metadata"].get("annotations", {})
        metadata = {"generateName": "bench-", "namespace": self.namespace, "annotations": annotations}
        return {**manifest, "metadata": metadata, "spec": {**manifest["spec"], **self._placement}}

    def in_turn(self, variants: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
        """Measure all variants, one after the other, again and again: so the machine's moods hit all alike."""
        for measure in variants.values():
            measure()  # pulls the images
        results: dict[str, list[T]] = {name: [] for name in variants}
        for _ in range(self.runs):
            for name, measure in variants.items():
                results[name].append(measure())
        return results

    @property
    def _placement(self) -> Object:
        if self.node is None:
            return {}
        return {"nodeSelector": {"kubernetes.io/hostname": self.node}, "tolerations": [{"operator": "Exists"}]}


@contextmanager
def bench(description: str | None) -> Iterator[Bench]:
    """The place that the command line asks for; its namespace goes in the end."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9, help="measurements of each variant")
    parser.add_argument("--node", help="the node to run on, whatever its taints; else any")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))  # the namespace goes then too
    cluster = running_cluster()
    namespace = f"bench-{uuid.uuid4().hex[:8]}"
    cluster.run("create", "namespace", namespace)
    try:
        yield Bench(cluster, namespace, arguments.node, arguments.runs)
    finally:
        cluster.run("delete", "namespace", namespace, "--wait=false")


def spread(values: list[float]) -> str:
    """Median, lowest and highest."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} - {max(values):.2f})"
