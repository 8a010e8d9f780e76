"""A running operator: its parts, what it does as a follower and as the leader, and whether it is well.

A follower keeps its caches in step, by the same watches and lists as the leader, and decides nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from cijob.admitter import POOL_NAMESPACE
from cijob.errors import ApiError

if TYPE_CHECKING:
    from cijob.cache import Key
    from cijob.jobs import JobWatch
    from cijob.leader import Elector
    from cijob.pods import PodWatch
    from cijob.poolstatus import PoolReporter
    from cijob.pulse import Pulse
    from cijob.reconciler import Reconciler
    from cijob.settings import Settings
    from cijob.workqueue import WorkQueue

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_WORKERS: Final = 32
#: Seconds after which work on one CiJob counts as stuck, and a watch or the election that does nothing at all.
_STUCK: Final = 120.0
_DEAD: Final = 180.0
#: Seconds without a word from the API server after which the caches are not known to be in step any more.
_OUT_OF_STEP: Final = 150.0
_FIRST_PAUSE: Final = 0.5
_LAST_PAUSE: Final = 10.0


@dataclass(slots=True)
class Operator:
    """The parts, and how far they have come."""

    settings: Settings
    reconciler: Reconciler
    queue: WorkQueue
    jobs: JobWatch
    pods: list[PodWatch]
    elector: Elector
    reporter: PoolReporter
    #: Set once everything was listed.
    listed: asyncio.Event = field(default_factory=asyncio.Event)
    #: Whether this process leads and has seen what the leader before it left.
    decides: bool = False

    def ready(self) -> str | None:
        """Why the caches are not in step, or None. A follower's are to be in step too."""
        if not self.listed.is_set():
            return "CiJobs and Pods were not listed yet"
        silences = self.silences()
        for resource, kind in (("cijobs", "CiJobs"), ("pods", "Pods")):
            if silences[resource] > _OUT_OF_STEP:
                return f"no word of {kind} for {silences[resource]:.0f} s"
        return None

    def alive(self) -> str | None:
        """What is stuck, or None. An API server that is away is no reason to be killed: what counts is that we try."""
        oldest = self.queue.oldest_work()
        if oldest is not None and (age := asyncio.get_running_loop().time() - oldest) > _STUCK:
            return f"work on a CiJob takes {age:.0f} s"
        for what, pulses in (
            ("the watch of CiJobs", [*self.jobs.turns.values()]),
            ("the watch of Pods", [watch.turns for watch in self.pods]),
            ("the election", [self.elector.turns]),
        ):
            if (age := _oldest(pulses)) > _DEAD:
                return f"{what} has done nothing for {age:.0f} s"
        return None

    def silences(self) -> dict[str, float]:
        """Seconds since the last word of each resource."""
        return {
            "buildpools": self.jobs.heard_pools.age(),
            "cijobs": _oldest([*self.jobs.heard.values()]),
            "pods": _oldest([watch.heard for watch in self.pods]),
        }

    async def run(self) -> None:
        """Everything, for as long as the operator runs. What ends by an error ends the process: the kubelet restarts it."""
        log.info("the operator starts", namespaces=self.settings.namespaces or "all")
        async with asyncio.TaskGroup() as group:
            group.create_task(self.elector.run())
            group.create_task(self.jobs.run())
            for watch in self.pods:
                group.create_task(watch.run())
            group.create_task(self.queue.run(self._work, _WORKERS))
            group.create_task(self._follow())
            group.create_task(self._lead())

    async def _work(self, key: Key) -> None:
        """The queue's work. A follower only forgets what is gone; all the rest is enqueued again when it leads."""
        if self.decides or (key[0] != POOL_NAMESPACE and self.reconciler.jobs.get(key) is None):
            await self.reconciler.reconcile(key)

    async def _follow(self) -> None:
        """Get the caches in step, and keep them so: a list now and then finds what watches missed."""
        for watch in self.pods:
            await watch.synced.wait()
        await self._list(pods=False, reap=False)
        self.listed.set()
        log.info("the caches are in step", jobs=len(self.reconciler.jobs), pods=len(self.reconciler.pods))
        while True:
            await asyncio.sleep(self.settings.relist_seconds)  # the period itself
            await self._list(reap=self.decides)

    async def _lead(self) -> None:
        """Decide, once this process leads and has listed what was written before it did."""
        await self.elector.leads.wait()
        await self.listed.wait()
        await self._list(reap=True)
        self.decides = True
        for key in self.reconciler.jobs:
            self.queue.add(key)
        for name in list(self.reconciler.pools):
            self.reconciler.admitter.changed.add(name[1])
        log.info("the leader decides", jobs=len(self.reconciler.jobs), pods=len(self.reconciler.pods))
        await self.reporter.run()

    async def _list(self, *, reap: bool, pods: bool = True) -> None:
        """List everything, again and again until it works; a leader deletes orphans by the way."""
        pause = _FIRST_PAUSE
        while True:
            try:
                await self.reconciler.lists.relist_pools()
                for watch in self.pods if pods else ():
                    await watch.relist()
                for namespace in self.settings.namespaces or (None,):
                    await self.reconciler.lists.relist_jobs(namespace, reap=reap)
            except ApiError as error:
                log.warning("cannot list CiJobs and Pods: trying again", error=error.message, seconds=pause)
            else:
                return
            await asyncio.sleep(pause)  # between bounded tries
            pause = min(_LAST_PAUSE, 2 * pause)


def _oldest(pulses: list[Pulse]) -> float:
    return max(pulse.age() for pulse in pulses)
