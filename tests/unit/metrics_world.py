"""An operator whose metrics are attached, on a fake API server with one pool."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from prometheus_client.parser import text_string_to_metric_families

from cijob.metrics import Metrics
from cijob.observation import observe_pod
from cijob.reconciler import Reconciler
from cijob.settings import Settings
from tests.unit.builders import NAMESPACE, Body, a_cijob, at, report
from tests.unit.fake_cluster import FakeCluster
from tests.unit.world import FakeQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    from cijob.operation import Operator
    from tests.unit.builders import PodBuilder

TIGHT = {"spec": {"capacity": {"running": 1, "perNamespace": 1}}}


class MetricsWorld:
    """Jobs that go their ways, and what is counted of them."""

    def __init__(self, **pool: object) -> None:
        self.api = FakeCluster()
        self.api.clock = lambda: self.now
        self.now = at(0)
        self.queue = FakeQueue()
        self.reconciler = Reconciler(self.api, self.queue, Settings(), lambda: self.now)
        self.operator = SimpleNamespace(
            reconciler=self.reconciler,
            queue=self.queue,
            decides=True,
            silences=lambda: {"buildpools": 0.0, "cijobs": 30.0, "pods": 1.0},
        )
        self.metrics = Metrics(lambda: self.now)
        self.metrics.attach(cast("Operator", self.operator), self.api, "1.2.3")
        self._versions = iter(range(1, 1_000_000))
        self.pool("default", **pool)

    def pool(self, name: str, **more: object) -> None:
        """A BuildPool is there."""
        metadata = {"name": name, "uid": name, "resourceVersion": str(next(self._versions)), "generation": 1}
        body: Body = {"apiVersion": "cijob.dev/v1alpha1", "kind": "BuildPool", "metadata": metadata, "spec": {}, **more}
        self.reconciler.pools.observe(body)

    async def create(self, name: str = "one", **spec: object) -> None:
        """A CiJob is there, and is worked on."""
        self.api.store_job(a_cijob().with_meta(name=name, uid=f"uid-{name}").with_spec(**spec))
        await self.work()

    async def kubelet(self, change: Callable[[PodBuilder], PodBuilder], seconds: float) -> None:
        """The kubelet reports on the newest Pod, at a time."""
        self.now = at(seconds)
        self.api.kubelet(change)
        await self.work()

    async def look_again(self, name: str, seconds: float) -> None:
        """Work on a job at a time."""
        self.now = at(seconds)
        self.queue.keys.append((NAMESPACE, name))
        await self.work()

    async def work(self) -> None:
        """Until nothing is left to do."""
        for _ in range(100):
            told, self.api.told = self.api.told, []
            for _, kind, body in told:
                jobs, pods = self.reconciler.jobs, self.reconciler.pods
                if kind == "job" and jobs.observe(body):
                    self.queue.keys.append((body["metadata"]["namespace"], body["metadata"]["name"]))
                elif kind == "pod" and pods.observe(pod := observe_pod(body)):
                    self.queue.keys.append((pod.namespace, pod.owner_name))
            if not self.queue.keys:
                return
            await self.reconciler.reconcile(self.queue.keys.pop(0))
        raise AssertionError("it never comes to rest")

    def scrape(self) -> str:
        """The metrics in Prometheus' own form."""
        return self.metrics.render("")[0].decode()

    def value(self, sample: str, **labels: str) -> float | None:
        """A sample's value; None if there is none."""
        return self.metrics.registry.get_sample_value(sample, labels)


def exported(text: str) -> dict[str, dict[str, set[str]]]:
    """Each sample's labels, with the values that they have."""
    samples: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = samples.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return samples


async def a_bit_of_everything() -> MetricsWorld:
    """A world in which every metric has a sample."""
    world = MetricsWorld(**TIGHT)
    await world.create("one")
    await world.create("two")  # waits
    await world.kubelet(lambda pod: pod.started().dind_running().running(), 4)
    await world.kubelet(lambda pod: pod.terminated(0, report=report(0)), 61)
    await world.kubelet(lambda pod: pod.ended("Succeeded"), 62)  # two has its turn
    await world.kubelet(lambda pod: pod.started().disrupted("DeletionByTaintManager").ended("Failed"), 70)
    await world.create("three", cancel="Graceful")
    await world.create("four")
    await world.create("five")
    await world.create("six", poolName="no-such-pool")
    for verb, status in (("POST", 201), ("PATCH", 429), ("GET", 503), ("WATCH", 0)):
        world.metrics._answered(verb, status, 0.01)
    return world
