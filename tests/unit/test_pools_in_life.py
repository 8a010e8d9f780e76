"""Pools with whole operators in virtual time: capacity through a takeover, the next turn at once, quotas, doors, few writes."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from cijob.errors import ApiError, ApiUnavailable
from tests.unit import virtual_time
from tests.unit.builders import PodBuilder
from tests.unit.pool_world import LATE, REQUEST, RUN, PoolWorld

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TWO: dict[str, Any] = {"capacity": {"running": 2}}
ONE: dict[str, Any] = {"capacity": {"running": 1}}
QUOTA = ApiError(403, "Forbidden", "exceeded quota: team")


def story(tell: Callable[[PoolWorld], Awaitable[None]], **pool: object) -> PoolWorld:
    """What happens in a world with a pool."""
    world = PoolWorld()

    async def run() -> None:
        async with world.running(**pool):
            await tell(world)

    virtual_time.run(run())
    return world


async def seconds(count: float) -> None:
    """They pass."""
    await asyncio.sleep(count)  # virtual


def told(world: PoolWorld) -> list[tuple[str, str]]:
    """Who was told to wait, and why."""
    return [(name, reason) for name, phase, reason in world.api.wrote if phase in {"Queued", "Pending"}]


@pytest.mark.parametrize("follower", [True, False], ids=["a follower", "a new process"])
@pytest.mark.parametrize("killed_at", [0.012, 7, 10.011, 10.013, 15, 25])
def test_two_namespaces_share_two_places_through_a_takeover(killed_at: float, *, follower: bool) -> None:
    async def tell(world: PoolWorld) -> None:
        if follower:
            world.start()
        for number in range(10):
            world.create("a", f"job-{number}")
            world.create("b", f"job-{number}")
        await seconds(killed_at)
        first = world.processes[0]
        world.processes.remove(first)
        await first.die()
        await seconds(2)
        await (world.processes[0] if follower else world.start()).lead()
        await seconds(12 * RUN)

    world = story(tell, **TWO)

    assert world.phases() == {"Succeeded"}
    assert len(world.started()) == 20
    assert max(alive for *_, alive in world.api.starts) == 2
    for place in range(0, 20, 2):
        assert {name[0] for name in world.started()[place : place + 2]} == {"a", "b"}, "one of each at any time"


def test_the_end_of_a_job_admits_the_next_at_once() -> None:
    async def tell(world: PoolWorld) -> None:
        world.ending = False
        for name in ("one", "two", "three"):
            world.create("a", name)
            await seconds(1)
        assert world.started() == ["a/one"]
        await seconds(100)
        assert world.pool() == (1, 2)
        ended = virtual_time.now()
        world.end("a", "one")
        await seconds(1)
        assert world.started() == ["a/one", "a/two"]
        assert world.api.starts[-1][0] - ended < LATE + REQUEST + 0.001

    story(tell, **ONE)


def test_one_that_waits_is_told_once_after_five_seconds_and_not_of_each_move() -> None:
    async def tell(world: PoolWorld) -> None:
        for number in range(6):
            world.create("a", f"job-{number}")
        await seconds(4.9)
        assert told(world) == []
        await seconds(0.2)
        assert world.status("a", "job-5")["phase"] == "Queued"
        await seconds(7 * RUN)

    world = story(tell, **ONE)
    assert world.phases() == {"Succeeded"}
    assert sorted(told(world)) == [(f"job-{number}", "PoolAtCapacity") for number in range(1, 6)]


def test_in_a_pool_with_room_nobody_is_told_to_wait() -> None:
    async def tell(world: PoolWorld) -> None:
        for number in range(6):
            world.create("a", f"job-{number}")
        await seconds(3 * RUN)

    world = story(tell, capacity={"running": 100})
    assert world.phases() == {"Succeeded"}
    assert told(world) == []


def test_a_retry_in_a_pool_with_room_costs_no_status_more() -> None:
    async def tell(world: PoolWorld) -> None:
        world.create("a", "job", retry={"limit": 1})
        await seconds(1)
        (body,) = world.api.alive()
        world.api.store_pod(PodBuilder(body).terminated(1).ended("Failed"))
        await seconds(60)

    world = story(tell, **ONE)
    assert len(world.started()) == 2
    assert told(world) == [("job", "ScriptFailed")], "the second attempt, before its Pod"
    assert world.phases() == {"Succeeded"}


def test_a_leader_of_old_jobs_tells_nobody_to_wait_who_need_not() -> None:
    async def tell(world: PoolWorld) -> None:
        await world.processes.pop().die()
        world.create("a", "job")
        await seconds(100)
        await world.start().lead()
        await seconds(5)
        assert world.started() == ["a/job"]
        assert told(world) == []

    story(tell, **ONE)


def test_priority_may_change_while_a_job_waits() -> None:
    async def tell(world: PoolWorld) -> None:
        for name in ("one", "two", "three"):
            world.create("a", name)
            await seconds(0.1)
        world.change("a", "three", priority=5)
        await seconds(3 * RUN)

    assert story(tell, **ONE).started() == ["a/one", "a/three", "a/two"]


@pytest.mark.parametrize("what", ["cancel", "suspend", "delete"])
def test_one_that_wants_its_turn_no_more_is_passed_over(what: str) -> None:
    async def tell(world: PoolWorld) -> None:
        for name in ("one", "two", "three"):
            world.create("a", name)
            await seconds(0.1)
        match what:
            case "cancel":
                world.change("a", "two", cancel="Graceful")
            case "suspend":
                world.change("a", "two", suspend=True)
            case _:
                world.api._remove("job", ("a", "two"))
        await seconds(1)
        assert world.pool() == (1, 1)
        await seconds(3 * RUN)
        assert world.pool() == (0, 0)
        if what == "suspend":
            world.change("a", "two", suspend=False)
            await seconds(2 * RUN)

    names = ["a/one", "a/three", *(["a/two"] if what == "suspend" else [])]
    assert story(tell, **ONE).started() == names


def test_a_recreated_job_waits_anew_and_leaks_no_place() -> None:
    async def tell(world: PoolWorld) -> None:
        world.create("a", "one")
        world.create("a", "two")
        await seconds(1)
        world.api._remove("job", ("a", "two"))
        world.create("a", "two", uid="another")
        await seconds(4 * RUN)
        assert world.pool() == (0, 0)

    assert story(tell, **ONE).started() == ["a/one", "a/two"]


def test_a_quota_that_is_used_up_holds_nobody_else_back_and_is_asked_less_and_less() -> None:
    async def tell(world: PoolWorld) -> None:
        create = world.api.create_pod

        async def refuse(manifest: dict[str, object]) -> dict[str, object]:
            if manifest["metadata"]["namespace"] == "full":  # type: ignore[index]
                world.api.requests.append("POST refused")
                raise QUOTA
            return await create(manifest)

        world.api.create_pod = refuse  # type: ignore[method-assign]
        world.create("full", "stuck")
        for number in range(5):
            world.create("other", f"job-{number}")
        await seconds(10 * 60)
        assert world.started() == [f"other/job-{number}" for number in range(5)]
        assert world.api.requests.count("POST refused") < 25
        status = world.status("full", "stuck")
        assert (status["phase"], status["reason"]) == ("Pending", "QuotaExceeded")
        assert [reason for name, reason in told(world) if name == "stuck"] == ["QuotaExceeded"]
        world.api.create_pod = create  # type: ignore[method-assign]
        await seconds(61)
        assert world.started()[-1] == "full/stuck"

    story(tell, **ONE)


def test_a_namespace_of_many_beyond_its_quota_steps_aside_and_comes_back_when_there_is_room() -> None:
    async def tell(world: PoolWorld) -> None:
        create, room = world.api.create_pod, False
        refused: list[float] = []

        async def refuse(manifest: dict[str, Any]) -> dict[str, Any]:
            if manifest["metadata"]["namespace"] == "full" and not room:
                refused.append(virtual_time.now())
                raise QUOTA
            return await create(manifest)

        world.api.create_pod = refuse  # type: ignore[method-assign]
        for number in range(200):
            world.create("full", f"job-{number:03}")
        await seconds(1)
        world.create("other", "job")
        await seconds(0.5)
        assert world.started() == ["other/job"], "it did not wait for 200 refusals"
        await seconds(600)
        assert len([moment for moment in refused if moment > 300]) < 60, "a few a minute, however many wait"
        assert max(Counter(told(world)).values()) == 1, "nobody is told the same twice"
        assert {reason for _, reason in told(world)} == {"QuotaExceeded", "PoolAtCapacity"}
        room = True
        await seconds(61)
        assert len(world.started()) > 5

    story(tell, **ONE)


def test_a_lost_answer_keeps_the_place_until_the_pod_is_seen() -> None:
    async def tell(world: PoolWorld) -> None:
        world.api.lose_answer("POST pod")
        world.create("a", "one")
        world.create("a", "two")
        await seconds(5 * RUN)

    world = story(tell, **ONE)
    assert world.started() == ["a/one", "a/two"]
    assert max(alive for *_, alive in world.api.starts) == 1


def test_a_post_that_never_arrived_is_sent_again_in_the_same_place() -> None:
    async def tell(world: PoolWorld) -> None:
        world.api.refuse("POST pod", ApiUnavailable(0, "", "connection reset"), times=4)
        world.create("a", "one")
        world.create("a", "two")
        await seconds(1)
        assert world.pool() == (1, 1)
        await seconds(5 * RUN)
        assert world.pool() == (0, 0)

    assert story(tell, **ONE).started() == ["a/one", "a/two"]


def test_a_held_pool_starts_nobody_and_lets_what_runs_go_on() -> None:
    async def tell(world: PoolWorld) -> None:
        world.create("a", "one")
        world.create("a", "two")
        await seconds(1)
        world.api.store_pool(**ONE, stopPolicy="Hold")
        await seconds(3 * RUN)
        assert world.status("a", "one")["phase"] == "Succeeded"
        assert world.status("a", "two")["reason"] == "PoolHeld"
        world.api.store_pool(**ONE)
        await seconds(0.1)
        assert world.started() == ["a/one", "a/two"]

    story(tell, **ONE)


def test_a_drained_pool_stops_what_runs_and_runs_it_again_once_it_is_open() -> None:
    async def tell(world: PoolWorld) -> None:
        world.ending = False
        world.create("a", "started")
        world.create("a", "new")
        await seconds(1)
        (body,) = (body for body in world.api.alive() if body["metadata"]["labels"]["cijob.dev/job"] == "started")
        world.api.store_pod(PodBuilder(body).running(1))
        await seconds(0.5)
        world.api.store_pool(**TWO, stopPolicy="HoldAndDrain")
        await seconds(1)
        assert world.status("a", "new")["attempts"][0]["reason"] == "PoolDrained", "no kubelet had it"
        (body,) = world.api.alive()
        pod = PodBuilder(body)
        assert (pod.pod.stop, pod.pod.active_deadline_seconds) == ("PoolDrained", 1)
        world.api.store_pod(pod.terminated(143, finished=3).ended("Failed", "DeadlineExceeded"))
        await seconds(100)
        for name in ("new", "started"):
            status = world.status("a", name)
            assert (status["attempt"], status["reason"]) == (2, "PoolHeld")
            assert status["retries"] == {"user": 0, "infra": 1}
        world.api.store_pool(**TWO)
        await seconds(1)
        assert len(world.api.alive()) == 2

    story(tell, **TWO)


def test_a_pool_that_comes_later_starts_what_waits_for_it_and_one_that_goes_is_told() -> None:
    async def tell(world: PoolWorld) -> None:
        world.create("a", "one", poolName="late")
        world.create("a", "two", poolName="late")
        await seconds(6)
        assert world.status("a", "one")["reason"] == "PoolNotFound"
        world.api.store_pool("late", **ONE)
        await seconds(6)
        assert world.started() == ["a/one"]
        assert world.status("a", "two")["reason"] == "PoolAtCapacity"
        world.api.remove_pool("late")
        await seconds(2 * RUN)
        assert world.status("a", "one")["phase"] == "Succeeded", "what runs goes on"
        assert world.status("a", "two")["reason"] == "PoolNotFound"
        assert world.started() == ["a/one"]

    story(tell)


def test_rules_that_change_hold_for_what_waits() -> None:
    async def tell(world: PoolWorld) -> None:
        world.create("a", "one")
        world.create("a", "two", timeout="2h")
        await seconds(1)
        world.api.store_pool(**ONE, limits={"timeout": "1h"})
        await seconds(1)
        status = world.status("a", "two")
        assert (status["phase"], status["reason"]) == ("Failed", "NotAllowed")
        assert "spec.timeout: 2h; at most 1h" in status["message"]

    story(tell, **ONE)


def test_a_wait_ends_with_its_queue_timeout() -> None:
    async def tell(world: PoolWorld) -> None:
        world.ending = False
        world.create("a", "one")
        world.create("a", "two", queueTimeout="30s")
        await seconds(29)
        assert world.status("a", "two")["phase"] == "Queued"
        await seconds(2)
        status = world.status("a", "two")
        assert (status["phase"], status["reason"]) == ("Failed", "QueueTimeout")
        assert world.pool() == (1, 0)

    story(tell, **ONE)


def test_the_limit_of_a_namespace_holds_nobody_else() -> None:
    async def tell(world: PoolWorld) -> None:
        world.ending = False
        for number in range(3):
            world.create("a", f"job-{number}")
        await seconds(1)
        world.create("b", "job")
        await seconds(6)
        assert world.started() == ["a/job-0", "b/job"]
        assert world.status("a", "job-1")["reason"] == "NamespaceAtCapacity"

    story(tell, capacity={"running": 3, "perNamespace": 1})


def test_namespaces_that_the_selector_leaves_out_may_not_until_they_have_the_label() -> None:
    async def tell(world: PoolWorld) -> None:
        world.create("a", "one")
        await seconds(1)
        status = world.status("a", "one")
        assert (status["phase"], status["reason"]) == ("Failed", "NotAllowed")
        assert "namespace: a; the pool's namespaceSelector does not select it" in status["message"]
        world.api.namespaces["a"] = {"builds": "yes"}
        for number in range(5):
            world.create("a", f"job-{number}")
        world.api.requests.clear()
        await seconds(3 * RUN)
        assert len(world.started()) == 5
        assert world.api.requests.count("GET namespace") <= 5

    story(tell, namespaceSelector={"matchLabels": {"builds": "yes"}})


def test_labels_that_cannot_be_read_hold_back_starts_alone() -> None:
    async def tell(world: PoolWorld) -> None:
        world.create("a", "one")
        await seconds(1)
        world.api.store_pool(namespaceSelector={"matchLabels": {"builds": "yes"}})
        world.api.refuse("GET namespace", ApiError(403, "Forbidden", "no"), times=1000)
        world.create("a", "two")
        await seconds(2 * RUN)
        assert world.status("a", "one")["phase"] == "Succeeded"
        assert "phase" not in world.status("a", "two")
        world.change("a", "two", cancel="Graceful")
        await seconds(61)
        assert world.status("a", "two")["phase"] == "Cancelled"

    story(tell)
