"""Pods that lost their owner to `kubectl delete --cascade=orphan`, against a fake API server (a FAKE, in memory)."""

from __future__ import annotations

import pytest

from cijob import names
from cijob.errors import ApiConflict, ApiNotFound, ApiUnavailable
from cijob.policies.orphans import may_be_orphan, orphaned
from tests.unit.builders import JOB_NAME, JOB_UID, POD_KEY, PodBuilder, a_cijob, a_pod, at
from tests.unit.world import World

ORPHAN = a_pod().with_meta(ownerReferences=None)
THEIRS = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": "y", "controller": True}]


@pytest.mark.parametrize(
    ("says", "pod", "suspect"),
    [
        ("one of ours without an owner", ORPHAN, True),
        ("whatever it does", ORPHAN.running(), True),
        ("one with its owner", a_pod(), False),
        ("one that somebody took over", a_pod().with_meta(ownerReferences=THEIRS), False),
        (
            "one with an owner of no importance",
            a_pod().with_meta(ownerReferences=[{**THEIRS[0], "controller": False}]),
            False,
        ),
        ("one on its way out", ORPHAN.being_deleted(), False),
        ("one of another name", ORPHAN.with_meta(name="web-0a1b2c3d"), False),
        ("one that only looks like ours", ORPHAN.with_meta(name=f"{JOB_NAME}-frontend"), False),
        ("one without the job's label", ORPHAN.with_meta(labels={names.LABEL_JOB: None}), False),
        ("one without an attempt", ORPHAN.with_meta(labels={names.LABEL_ATTEMPT: None}), False),
    ],
)
def test_it_may_be_an_orphan(says: str, pod: PodBuilder, *, suspect: bool) -> None:
    assert may_be_orphan(pod.pod) == suspect, says


@pytest.mark.parametrize("uid", [None, "another"])
def test_its_cijob_is_gone(uid: str | None) -> None:
    assert orphaned(ORPHAN.pod, uid)


def test_a_pod_whose_owner_was_only_struck_out_is_still_its_cijobs() -> None:
    assert not orphaned(ORPHAN.pod, JOB_UID)
    assert not orphaned(ORPHAN.of_attempt(2).pod, JOB_UID)


async def with_pod(pod: PodBuilder, *, job: bool = False) -> World:
    """An operator that starts where a Pod is, and maybe the CiJob that has its name."""
    world = World()
    if not job:
        world.api.remove_job()
    world.api.store_pod(pod)
    world.start_operator()
    world.api.requests.clear()
    return world


@pytest.mark.parametrize("pod", [ORPHAN, ORPHAN.running(), ORPHAN.terminated(0).ended("Succeeded")])
async def test_an_orphan_is_deleted_once_the_api_server_confirmed_that_its_cijob_is_gone(pod: PodBuilder) -> None:
    world = await with_pod(pod)

    await world.relist()

    assert world.api.requests == ["LIST pod", "LIST job", "GET job", "DELETE pod"]
    left = world.api.pods.get(POD_KEY)
    assert left is None or "deletionTimestamp" in left["metadata"]


async def test_what_is_going_already_is_not_deleted_again() -> None:
    world = await with_pod(ORPHAN.running())
    await world.relist()
    world.api.requests.clear()

    await world.relist()

    assert world.api.requests == ["LIST pod", "LIST job"]


@pytest.mark.parametrize("pod", [a_pod(), a_pod().with_meta(ownerReferences=THEIRS)])
async def test_pods_with_an_owner_are_left_to_it_and_to_the_garbage_collector(pod: PodBuilder) -> None:
    world = await with_pod(pod)

    await world.relist()

    assert world.api.requests == ["LIST pod", "LIST job"]


async def test_a_cijob_that_the_cache_lacks_saves_its_pod() -> None:
    world = await with_pod(ORPHAN)
    await world.relist()
    world = await with_pod(ORPHAN)
    pods, version = await world.api.list_pods(None)
    world.operator.pods.observe(ORPHAN.pod)
    assert (len(pods), version > 0) == (1, True)
    world.api.store_job(a_cijob())

    await world.operator.lists._reaper.reap(None)

    assert POD_KEY in world.api.pods


async def test_another_cijob_of_the_name_does_not_save_it() -> None:
    world = await with_pod(ORPHAN)
    world.api.store_job(a_cijob().with_meta(uid="another"))

    await world.relist()

    assert world.api.requests[-2:] == ["GET job", "DELETE pod"]
    assert world.api.pods == {}


async def test_a_reaper_of_one_namespace_looks_at_no_other() -> None:
    world = await with_pod(ORPHAN)
    world.operator.pods.observe(ORPHAN.pod)

    await world.operator.lists.relist_jobs("team-b")

    assert world.api.requests == ["LIST job"]


async def test_at_most_a_hundred_are_looked_into_at_a_time() -> None:
    world = World()
    world.api.remove_job()
    for number in range(1, 121):
        world.api.store_pod(ORPHAN.of_attempt(number))

    await world.relist()
    assert len(world.api.pods) == 20
    world.see()
    await world.relist()
    assert world.api.pods == {}


@pytest.mark.parametrize("error", [ApiNotFound(404, "NotFound", "gone"), ApiConflict(409, "Conflict", "another UID")])
async def test_one_that_went_by_itself_is_no_trouble(error: Exception) -> None:
    world = await with_pod(ORPHAN)
    world.api.refuse("DELETE pod", error)  # type: ignore[arg-type]  # both are errors of the API

    await world.relist()


async def test_a_server_that_does_not_answer_saves_the_pod() -> None:
    world = await with_pod(ORPHAN)
    world.api.refuse("GET job", ApiUnavailable(503, "ServiceUnavailable", "away"))

    with pytest.raises(ApiUnavailable):
        await world.relist()

    assert POD_KEY in world.api.pods


async def test_a_deleted_cijob_whose_pods_were_orphaned_leaves_nothing() -> None:
    """From the creation to the end: the garbage collector strikes out the owner, the CiJob goes, a list comes."""
    world = World()
    await world.work()
    world.api.kubelet(PodBuilder.running)
    await world.work(at(3))
    world.api.user(lambda job: job.being_deleted())
    assert await world.work(at(10)) == []
    world.api.kubelet(lambda pod: pod.with_meta(ownerReferences=None))
    assert await world.work(at(11)) == []
    world.api.remove_job()
    await world.work(at(12))

    await world.relist()

    assert world.api.requests[-2:] == ["GET job", "DELETE pod"]
