"""The list-and-watch of Pods against a fake API server."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from cijob import pods
from cijob.errors import ApiExpired, ApiUnavailable
from cijob.pods import PodWatch
from cijob.reconciler import Reconciler
from cijob.settings import Settings
from cijob.workqueue import WorkQueue
from tests.unit.builders import POD_KEY, Body, PodBuilder, a_pod, at
from tests.unit.fake_cluster import FakeCluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cijob.observation import ObservedPod

DOWN = ApiUnavailable(0, "", "the watch of Pods broke")


class Watched:
    """A watch, and what it enqueued."""

    def __init__(self, namespace: str | None = None) -> None:
        self.api = WatchedCluster()
        self.reconciler = Reconciler(self.api, WorkQueue(), Settings(), lambda: at(0))
        self.enqueued: list[ObservedPod] = []
        self.watch = PodWatch(self.api, self.reconciler, namespace, self.enqueued.append)

    @property
    def pod(self) -> ObservedPod | None:
        """What the cache has."""
        return self.reconciler.pods.get(POD_KEY)

    async def run(self) -> None:
        """Run until the fake has nothing more to tell."""
        task = asyncio.create_task(self.watch.run())
        try:
            await asyncio.wait_for(self.api.silent.wait(), 5)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


class WatchedCluster(FakeCluster):
    """A FAKE whose watches follow a script, one after the other; then it is silent."""

    def __init__(self) -> None:
        super().__init__()
        self.script: list[list[Body] | Exception] = []
        self.silent = asyncio.Event()

    async def watch_pods(self, namespace: str | None, version: int) -> AsyncIterator[Body]:
        """The next watch of the script."""
        self.requests.append(f"WATCH pod {namespace} {version}")
        if not self.script:
            self.silent.set()
            await asyncio.Event().wait()
        match self.script.pop(0):
            case Exception() as error:
                raise error
            case events:
                for event in events:
                    yield event


def told(kind: str, pod: PodBuilder) -> Body:
    """A watch event."""
    return {"type": kind, "object": pod.body}


def bookmark(version: int) -> Body:
    """A bookmark, as the API server sends it: nothing but a version."""
    return {"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {"resourceVersion": str(version)}}}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries that follow each other at once."""
    monkeypatch.setattr(pods, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(pods, "_LAST_PAUSE", 0.004)


async def test_a_list_comes_first_and_the_watch_continues_from_it() -> None:
    world = Watched("team-a")
    world.api.store_pod(a_pod())

    await world.run()

    assert world.api.requests == ["LIST pod", "WATCH pod team-a 1001"]
    assert world.watch.synced.is_set()
    assert [pod.resource_version for pod in world.enqueued] == [1001]


async def test_events_enter_the_cache_and_only_news_is_enqueued() -> None:
    world = Watched()
    running = a_pod().running().version(1010)
    world.api.script = [[told("ADDED", a_pod().version(1005)), told("MODIFIED", running), told("MODIFIED", running)]]

    await world.run()

    assert world.pod == running.pod
    assert [pod.resource_version for pod in world.enqueued] == [1005, 1010]


async def test_a_deletion_is_remembered() -> None:
    world = Watched()
    world.api.script = [[told("ADDED", a_pod().version(1005)), told("DELETED", a_pod().version(1006))]]

    await world.run()

    assert world.pod is None
    assert world.reconciler.pods.removed(POD_KEY) == a_pod().version(1006).pod
    assert len(world.enqueued) == 2


async def test_a_watch_that_ends_goes_on_from_its_last_event_or_bookmark() -> None:
    world = Watched()
    world.api.script = [[told("ADDED", a_pod().version(1005))], [bookmark(1050)], []]

    await world.run()

    assert world.api.requests == [
        "LIST pod",
        "WATCH pod None 1000",
        "WATCH pod None 1005",
        "WATCH pod None 1050",
        "WATCH pod None 1050",
    ]


async def test_a_version_that_is_too_old_means_a_new_list() -> None:
    world = Watched()
    world.api.script = [ApiExpired(410, "Expired", "too old resource version: 1000 (2000)")]

    await world.run()

    assert world.api.requests == ["LIST pod", "WATCH pod None 1000", "LIST pod", "WATCH pod None 1000"]


async def test_a_watch_that_breaks_goes_on_and_each_time_later() -> None:
    world = Watched()
    world.api.script = [[told("ADDED", a_pod().version(1005))], DOWN, DOWN, DOWN, DOWN, [bookmark(1050)], DOWN]

    with capture_logs() as logs:
        await world.run()

    assert world.api.requests.count("LIST pod") == 1
    assert world.api.requests[2:] == ["WATCH pod None 1005"] * 5 + ["WATCH pod None 1050"] * 2
    assert [line["seconds"] for line in logs] == [0.001, 0.002, 0.004, 0.004, 0.001]
    assert {line["error"] for line in logs} == {"the watch of Pods broke"}


async def test_a_list_that_fails_is_tried_again() -> None:
    world = Watched()
    world.api.refuse("LIST pod", DOWN)

    with capture_logs() as logs:
        await world.run()

    assert world.api.requests == ["LIST pod", "LIST pod", "WATCH pod None 1000"]
    assert len(logs) == 1


async def test_a_relist_finds_what_the_watch_missed() -> None:
    world = Watched()
    world.reconciler.pods.observe(a_pod().version(900).pod)

    await world.watch.relist()

    assert world.api.requests == ["LIST pod", "GET pod"]
    assert world.pod is None
    assert [pod.uid for pod in world.enqueued] == [a_pod().pod.uid]


async def test_a_relist_of_one_namespace_says_nothing_of_others() -> None:
    world = Watched("team-b")
    world.reconciler.pods.observe(a_pod().version(900).pod)

    await world.watch.relist()

    assert world.api.requests == ["LIST pod"]
    assert world.pod is not None
    assert world.enqueued == []
