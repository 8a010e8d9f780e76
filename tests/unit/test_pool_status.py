"""The status of a BuildPool: true, and written seldom."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from cijob.errors import ApiNotFound, ApiUnavailable
from cijob.poolstatus import PERIOD, PoolReporter
from tests.unit import virtual_time
from tests.unit.builders import stamp
from tests.unit.pool_world import RUN, PoolWorld, now

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.unit.builders import Body

TWO: dict[str, Any] = {"capacity": {"running": 2}}


def story(tell: Callable[[PoolWorld], Awaitable[None]], **pool: object) -> None:
    """What happens in a world with a pool whose status is reported."""

    async def run() -> None:
        world = PoolWorld()
        async with world.running(**pool):
            reconciler = world.processes[0].reconciler
            task = asyncio.create_task(PoolReporter(world.api, reconciler.pools, reconciler.admitter, now).run())
            await tell(world)
            task.cancel()

    virtual_time.run(run())


async def seconds(count: float) -> None:
    """They pass."""
    await asyncio.sleep(count)  # virtual


def status(world: PoolWorld, name: str = "default") -> Body:
    """As it is stored."""
    found: Body = world.api.pools["", name].get("status", {})
    return found


def writes(world: PoolWorld) -> int:
    return world.api.requests.count("PATCH pool/status")


def test_a_new_pool_is_said_to_be_open() -> None:
    async def tell(world: PoolWorld) -> None:
        await seconds(PERIOD)
        assert status(world) == {
            "running": 0,
            "queued": 0,
            "observedGeneration": 1,
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True",
                    "reason": "Open",
                    "message": "Jobs are admitted.",
                    "observedGeneration": 1,
                    "lastTransitionTime": stamp(0),
                }
            ],
        }

    story(tell, **TWO)


def test_it_follows_within_seconds_by_one_write_a_period_at_most_and_rests_when_nothing_changes() -> None:
    async def tell(world: PoolWorld) -> None:
        for number in range(50):
            world.create("a", f"job-{number}")
        await seconds(2 * PERIOD)
        assert (status(world)["running"], status(world)["queued"]) == (2, 48)
        assert writes(world) <= 3
        world.api.requests.clear()
        await seconds(10 * PERIOD)
        assert writes(world) <= 3, "as many as ends that were seen in different periods"
        await seconds(25 * RUN + 60)
        assert (status(world)["running"], status(world)["queued"]) == (0, 0)
        world.api.requests.clear()
        await seconds(1000)
        assert writes(world) == 0

    story(tell, **TWO)


@pytest.mark.parametrize(("policy", "reason"), [("Hold", "Held"), ("HoldAndDrain", "Draining")])
def test_a_held_pool_is_not_ready_since_it_was_held(policy: str, reason: str) -> None:
    async def tell(world: PoolWorld) -> None:
        await seconds(10 * PERIOD + 1)
        world.api.store_pool(**TWO, stopPolicy=policy)
        await seconds(PERIOD)
        (condition,) = status(world)["conditions"]
        assert (condition["status"], condition["reason"]) == ("False", reason)
        assert (condition["observedGeneration"], status(world)["observedGeneration"]) == (2, 2)
        since = condition["lastTransitionTime"]
        assert since > stamp(30)
        world.create("a", "job")
        await seconds(2 * PERIOD)
        assert status(world)["queued"] == 1
        assert status(world)["conditions"][0]["lastTransitionTime"] == since

    story(tell, **TWO)


def test_a_write_that_fails_is_tried_again_and_a_pool_that_is_gone_is_left() -> None:
    async def tell(world: PoolWorld) -> None:
        await seconds(PERIOD)
        world.api.refuse("PATCH pool/status", ApiUnavailable(503, "", "away"), times=2)
        world.create("a", "job")
        await seconds(4 * PERIOD)
        assert writes(world) == 4
        world.api.refuse("PATCH pool/status", ApiNotFound(404, "NotFound", "gone"))
        await seconds(RUN)
        assert status(world)["running"] == 1, "that the job has ended was not written"
        await seconds(100)
        assert writes(world) == 5

    story(tell, **TWO)


def test_another_pool_of_the_name_does_not_get_the_status_of_the_one_before() -> None:
    async def tell(world: PoolWorld) -> None:
        await seconds(PERIOD)
        world.api.remove_pool()
        world.api.store_pool(**TWO)
        world.api.told.clear()
        reconciler = world.processes[0].reconciler
        reconciler.admitter.changed.add("default")
        world.create("a", "job")
        await seconds(2 * PERIOD)
        assert status(world) == {}, "the operator knows the old one only"

    story(tell, **TWO)
