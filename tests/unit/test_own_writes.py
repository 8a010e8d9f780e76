"""What the operator's writes test, and where their answers go: found missing by seeded bugs (`tests/faults/seeded.py`).

The API server is a FAKE, in memory; it carries out the tests of a JSON Patch.
"""

from __future__ import annotations

from tests.unit.builders import JOB_KEY, POD_KEY, PodBuilder, a_pod, at, report
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


async def cancelled_too_late(world: World) -> None:
    """The operator sees a cancel, but not yet what its Pod has come to."""
    world.api.user(lambda job: job.with_cancel("Graceful"))
    world.see()
    world.queue.keys.clear()


async def test_a_pod_that_had_ended_unseen_when_it_was_stopped_gets_its_verdict() -> None:
    """What the answer shows is no news any more when the watch tells it: found by the sweep (Pod lists from before a write)."""
    world = await running()
    await cancelled_too_late(world)
    world.api.kubelet(lambda pod: pod.terminated(0, report=report()).ended("Succeeded"))

    await world.operator.reconcile(JOB_KEY)
    await world.work()

    assert world.status["phase"] == "Cancelled"


async def test_a_pod_that_was_gone_unseen_when_it_was_to_be_stopped_gets_its_verdict() -> None:
    """Even if no watch ever tells."""
    world = await running()
    await cancelled_too_late(world)
    world.api.remove_pod()
    world.api.told.clear()

    await world.operator.reconcile(JOB_KEY)
    await world.work()

    assert world.status["phase"] == "Cancelled"
