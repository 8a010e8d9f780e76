"""Compares the caches with consistent lists: at the start, and every few minutes for what watches missed."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from cijob.errors import ApiNotFound
from cijob.observation import observe_pod
from cijob.reaper import Reaper
from cijob.recorder import job_identity

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from cijob.cache import Store
    from cijob.cluster import Cluster
    from cijob.observation import ObservedPod
    from cijob.transport import Body
    from cijob.workqueue import WorkQueue

T = TypeVar("T")


class Relister:
    """Brings the caches up to date with what the API server lists; Pods are listed where they are watched (`pods`)."""

    def __init__(
        self,
        cluster: Cluster,
        queue: WorkQueue,
        jobs: Store[Body],
        pods: Store[ObservedPod],
        pools: Store[Body],
    ) -> None:
        self._cluster = cluster
        self._queue = queue
        self._jobs = jobs
        self._pods = pods
        self._pools = pools
        self._reaper = Reaper(cluster, pods, jobs)

    async def relist_jobs(self, namespace: str | None, *, reap: bool = True) -> None:
        """Compare the cached CiJobs with a consistent list, enqueue each with news, and delete orphans if told to."""
        bodies, version = await self._cluster.list_jobs(namespace)
        news, missing = self._jobs.replace(bodies, version)
        for key in news:  # at once: the requests below may fail
            self._queue.add(key)
        for body in missing:
            key = job_identity(body)[0]
            if namespace in {None, key[0]} and await _confirm_gone(self._jobs, body, self._cluster.get_job(*key)):
                self._queue.add(key)
        self._jobs.forget_before(version)
        if reap:
            await self._reaper.reap(namespace)

    async def relist_pools(self) -> None:
        """Compare the cached BuildPools with a consistent list."""
        bodies, version = await self._cluster.list_pools()
        _, missing = self._pools.replace(bodies, version)
        for body in missing:
            await _confirm_gone(self._pools, body, self._cluster.get_pool(body["metadata"]["name"]))
        self._pools.forget_before(version)

    async def confirm_pod_gone(self, pod: ObservedPod) -> bool:
        """Whether a Pod that a list lacks is gone for certain; the cache is brought up to date."""

        async def get() -> ObservedPod:
            return observe_pod(await self._cluster.get_pod(pod.namespace, pod.name))

        return await _confirm_gone(self._pods, pod, get())


async def _confirm_gone(store: Store[T], item: T, get: Awaitable[T]) -> bool:
    """Whether the cache has news of an object that a list lacks: that it is gone, or what a GET shows in its place."""
    try:
        found = await get
    except ApiNotFound:
        return store.remove(item)
    if store.identity(found)[1] != store.identity(item)[1]:
        store.remove(item)
    return store.observe(found)
