"""A few faults of `tests/faults` with the kubelets of real nodes in place of its fake one: the end is the same.

An operator out of the cluster reaches the API server through the proxy that does the harm; the installed one is stopped
meanwhile, for it would take part.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.e2e.conftest import without_operator
from tests.e2e.lab import wait_for
from tests.faults.process import Operator
from tests.faults.proxy import Proxy
from tests.faults.rules import Drop, Events, Expire, Kill, Requests, When
from tests.faults.upstream import upstream_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.e2e.lab import Cluster, Job, Jobs, Object
    from tests.faults.rules import Rule

pytestmark = pytest.mark.asyncio(loop_scope="module")

#: Seconds until the operator watches.
START = 60
ENDS = {0: ("Succeeded", "Completed", 0), 3: ("Failed", "ScriptFailed", 3)}


@dataclass(frozen=True)
class Bench:
    """The operator, and the proxy before it."""

    operator: Operator
    proxy: Proxy
    jobs: Jobs

    def kill_after_post(self, names: str) -> Rule:
        """A Pod is made; the operator is killed before it learns of it."""
        return self.proxy.arm(writes("POST", "/pods$", names), Kill(self.operator.kill), When.AFTER)

    def lose_posts(self, names: str) -> Rule:
        """Pods are made; the answers are lost."""
        return self.proxy.arm(writes("POST", "/pods$", names, times=2), Drop(), When.AFTER)

    def lose_patches(self, names: str) -> Rule:
        """Statuses are written, verdicts among them; no answer arrives."""
        return self.proxy.arm(writes("PATCH", "/status$", names, times=None), Drop(), When.AFTER)

    def drop_events(self, names: str) -> Rule:
        """No watch tells what becomes of the Pods; lists do."""
        return self.proxy.arm(Events(kind="^Pod$", type="MODIFIED", name=names, times=None), Drop())

    def expire_watch(self, names: str) -> Rule:
        """The watch of Pods ends with 410 Gone before each of the first changes of the Pods."""
        return self.proxy.arm(Events(kind="^Pod$", type="MODIFIED", name=names, times=6), Expire())

    def pods_made(self, names: str) -> int:
        """How many Pods were created."""
        on = writes("POST", "/pods$", names)
        return sum(on.matches(one) and one.landed for one in self.proxy.records)

    def watches(self) -> bool:
        """Whether it watches both kinds."""
        watched = {one.target for one in self.proxy.records if one.watch and one.answered == 200}
        return {"pods", "cijobs"} <= watched


def writes(method: str, path: str, names: str, times: int | None = 1) -> Requests:
    return Requests(method=method, path=path, name=names, times=times)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(cluster: Cluster, jobs: Jobs, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    """One operator for all tests."""

    async def bury() -> None:  # the dead process's Lease would have to run out first
        await asyncio.to_thread(cluster.run, "delete", "lease", "--all", f"--namespace={jobs.namespace}")

    folder = tmp_path_factory.mktemp("operator")
    with without_operator(cluster):
        async with (
            Proxy(upstream_of(Path(cluster.kubeconfig))) as proxy,
            Operator(proxy.url, jobs.namespace, folder, bury) as operator,
        ):
            made = Bench(operator, proxy, jobs)
            assert await proxy.until(made.watches, START), operator.log.read_text()
            yield made
            assert operator.complaints() == []


@pytest.mark.parametrize(
    "fault",
    [Bench.kill_after_post, Bench.lose_posts, Bench.lose_patches, Bench.drop_events, Bench.expire_watch],
)
async def test_jobs_on_a_real_node_come_to_the_same_end(bench: Bench, fault: Callable[[Bench, str], Rule]) -> None:
    prefix = fault.__name__.replace("_", "-")
    rule = fault(bench, f"^{prefix}-")

    await asyncio.gather(*(asyncio.to_thread(run, bench.jobs, f"{prefix}-{code}", code) for code in ENDS))

    assert rule.struck > 0, "no fault happened"
    assert bench.pods_made(f"^{prefix}-") == len(ENDS)


def run(jobs: Jobs, name: str, code: int) -> None:
    """Run a job with a daemon to its end, which is that of a job that nothing befell."""
    spec = {"image": "ubuntu:25.10", "docker": {"endpoint": "Unix"}, "script": [f"exit {code}"]}
    body = {"apiVersion": "cijob.dev/v1alpha1", "kind": "CiJob", "metadata": {"name": name}, "spec": spec}
    job = jobs.apply(body)
    status = job.end(60)
    assert (status["phase"], status["reason"], status["exitCode"]) == ENDS[code], status
    assert (status["attempt"], "retries" in status, len(status["attempts"])) == (1, False, 1), status
    assert [pod["metadata"]["uid"] for pod in job.pods()] == [status["podUID"]]
    (event,) = wait_for(lambda: events(job) or None, 10, lambda: f"an Event of {name}")
    assert (event["reason"], event["message"]) == (status["reason"], status["message"])


def events(job: Job) -> list[Object]:
    """The Events about a CiJob."""
    selector = f"--field-selector=involvedObject.kind=CiJob,involvedObject.name={job.name}"
    return list(job.cluster.get("events", f"--namespace={job.namespace}", selector).get("items", []))
