"""A fake API server, an operator, and a clock that a test turns."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from cijob.observation import observe_pod
from cijob.reconciler import Reconciler
from cijob.settings import PREFIX, Settings
from cijob.workqueue import WorkQueue
from tests.unit.builders import (
    JOB_KEY,
    Body,
    CiJobBuilder,
    a_cijob,
    at,
)
from tests.unit.fake_cluster import FakeCluster

if TYPE_CHECKING:
    from datetime import datetime

    from cijob.cache import Key


class FakeQueue(WorkQueue):
    """A FAKE: notes what is to be done, and when, instead of doing it."""

    def __init__(self) -> None:
        super().__init__(jitter=lambda: 1.0)
        self.keys: list[Key] = []
        self.later: list[float] = []
        self.retries: list[float] = []

    def add(self, key: Key) -> None:
        """To be done soon."""
        self.keys.append(key)

    def add_in(self, key: Key, seconds: float) -> None:  # noqa: ARG002  one key in all tests
        """To be done later."""
        self.later.append(seconds)

    def retry(self, key: Key, at_least: float = 0.0) -> float:
        """To be done again."""
        delay = super().retry(key, at_least)
        self.retries.append(self.later.pop())
        return delay


class World:
    """A fake API server, an operator, and a clock that a test turns."""

    def __init__(self, job: CiJobBuilder | None = None, **settings: str) -> None:
        self.settings = Settings.from_environment({PREFIX + name: value for name, value in settings.items()})
        self.api = FakeCluster()
        self.now = at(0)
        self.api.clock = lambda: self.now
        self.api.store_pool()
        self.start_operator()
        self.api.store_job(job or a_cijob())

    def start_operator(self) -> None:
        """An operator that knows the pools and nothing else, in the place of the one before."""
        self.queue = FakeQueue()
        self.operator = Reconciler(self.api, self.queue, self.settings, lambda: self.now)
        for pool in self.api.pools.values():
            self.operator.pools.observe(copy.deepcopy(pool))
        self.queue.keys.clear()

    async def relist(self) -> None:
        """Full lists, as at an operator's start."""
        self.api.told.clear()
        pods, version = await self.api.list_pods(None)
        self.operator.pods.replace(map(observe_pod, pods), version)
        await self.operator.lists.relist_jobs(None)

    def see(self) -> None:
        """The watches tell the operator all that happened since, in order."""
        for kind, of, body in self.api.told:
            gone = kind == "DELETED"
            if of == "pod":
                pods, pod = self.operator.pods, observe_pod(body)
                news = pods.remove(pod) if gone else pods.observe(pod)
            else:
                store = self.operator.jobs if of == "job" else self.operator.pools
                news = (store.remove(body) if gone else store.observe(body)) and of == "job"
            if news:
                self.queue.add(JOB_KEY)
        self.api.told.clear()

    async def work(self, now: datetime | None = None) -> list[str]:
        """See what happened and work until nothing is left to do; the requests that took."""
        self.now = now or self.now
        self.api.requests.clear()
        self.see()
        for _ in range(20):
            if not self.queue.keys:
                return self.api.requests
            keys = [*dict.fromkeys(self.queue.keys)]
            self.queue.keys.clear()
            for key in keys:
                await self.operator.reconcile(key)
            self.see()
        raise AssertionError("it never comes to rest")

    async def work_again(self, now: datetime | None = None) -> list[str]:
        """The time of a retry or of a second look has come."""
        self.queue.keys.append(JOB_KEY)
        return await self.work(now)

    @property
    def status(self) -> Body:
        """The status as it is stored."""
        status: Body = self.api.jobs[JOB_KEY].get("status", {})
        return status
