"""What the operator's writes test, and where their answers go: found missing by seeded bugs (`tests/faults/seeded.py`).

The API server is a FAKE, in memory; it carries out the tests of a JSON Patch.
"""

from __future__ import annotations

from tests.unit.builders import JOB_KEY, POD_KEY, PodBuilder, a_pod, at
from tests.unit.world import World


async def running() -> World:
    """A job that runs, and says so."""
    world = World()
    await world.work()
    world.api.kubelet(PodBuilder.running)
    await world.work(at(3))
    return world


async def test_another_pod_of_the_name_is_not_stopped() -> None:
    """The cancel is decided on a Pod that went meanwhile; another has its name."""
    world = await running()
    world.api.user(lambda job: job.with_cancel("Graceful"))
    world.see()
    world.api.remove_pod()
    world.api.store_pod(a_pod().with_meta(uid="another").running())

    await world.operator.reconcile(JOB_KEY)

    assert world.queue.retries == [0.2]
    assert "cijob.dev/stop" not in world.api.pods[POD_KEY]["metadata"].get("annotations", {})


async def test_the_answer_of_a_status_write_enters_the_cache_before_the_watch_tells() -> None:
    world = World()
    await world.work()
    world.api.kubelet(PodBuilder.running)
    world.see()
    world.api.requests.clear()

    for _ in range(2):
        await world.operator.reconcile(JOB_KEY)

    assert world.api.requests == ["PATCH job/status"]
