"""Lists against the cache: what they find, what they confirm, and what they must not take away."""

from __future__ import annotations

import pytest

from cijob.errors import ApiUnavailable
from tests.unit.builders import (
    JOB_KEY,
    NAMESPACE,
    POD_KEY,
    Body,
    a_cijob,
    a_pod,
)
from tests.unit.world import World

DOWN = ApiUnavailable(503, "ServiceUnavailable", "apiserver is shutting down", retry_after=7.0)


async def test_a_relist_finds_what_the_watch_missed() -> None:
    world = World()
    world.api.told.clear()

    await world.operator.lists.relist_jobs(None)
    assert world.queue.keys == [JOB_KEY]
    world.queue.keys.clear()
    await world.operator.lists.relist_jobs(None)
    assert world.queue.keys == [], "no news the second time"


async def test_a_deletion_seen_only_by_a_relist_is_confirmed() -> None:
    world = World()
    await world.work()
    world.api.remove_job()
    world.api.told.clear()
    world.api.requests.clear()

    await world.operator.lists.relist_jobs(None)

    assert world.api.requests == ["LIST job", "GET job"]
    assert world.operator.jobs.get(JOB_KEY) is None
    assert world.queue.keys == [JOB_KEY]


async def test_a_list_that_lacks_what_is_there_removes_nothing() -> None:
    world = World()
    await world.work()
    stored = world.api.jobs.pop(JOB_KEY)
    listing = world.api.list_jobs

    async def stale(namespace: str | None) -> tuple[list[Body], int]:
        answer = await listing(namespace)
        world.api.jobs[JOB_KEY] = stored
        return answer

    world.api.list_jobs = stale  # type: ignore[method-assign]  # a server that answers wrongly once
    await world.operator.lists.relist_jobs(None)

    assert world.operator.jobs.get(JOB_KEY) is not None


async def test_a_job_made_anew_under_its_name_is_another() -> None:
    world = World()
    await world.work()
    world.api.remove_job()
    world.api.store_job(a_cijob().with_meta(uid="another"))
    world.api.told.clear()

    await world.operator.lists.relist_jobs(None)

    body = world.operator.jobs.get(JOB_KEY)
    assert body is not None
    assert body["metadata"]["uid"] == "another"


async def test_a_relist_that_breaks_off_does_not_lose_its_news() -> None:
    world = World()
    await world.work()
    world.api.remove_job()
    world.api.store_job(a_cijob().with_meta(name="newer", uid="another"))
    world.api.told.clear()
    world.api.refuse("GET job", DOWN)

    with pytest.raises(ApiUnavailable):
        await world.operator.lists.relist_jobs(None)

    assert world.queue.keys == [(NAMESPACE, "newer")]


async def test_a_relist_of_one_namespace_says_nothing_of_others() -> None:
    world = World()
    await world.work()
    world.api.requests.clear()

    await world.operator.lists.relist_jobs("team-b")

    assert world.api.requests == ["LIST job"]
    assert world.operator.jobs.get(JOB_KEY) is not None


@pytest.mark.parametrize("uid", [None, "another"])
async def test_a_pod_that_a_list_lacks_is_asked_for(uid: str | None) -> None:
    world = World()
    await world.work()
    pod = world.operator.pods.get(POD_KEY)
    assert pod is not None
    world.api.remove_pod()
    if uid is not None:
        world.api.store_pod(a_pod().with_meta(uid=uid))

    assert await world.operator.lists.confirm_pod_gone(pod)
    found = world.operator.pods.get(POD_KEY)
    assert (found.uid if found else None) == uid


async def test_a_pod_that_is_still_there_stays() -> None:
    world = World()
    await world.work()
    pod = world.operator.pods.get(POD_KEY)
    assert pod is not None

    assert not await world.operator.lists.confirm_pod_gone(pod)
    assert world.operator.pods.get(POD_KEY) == pod
