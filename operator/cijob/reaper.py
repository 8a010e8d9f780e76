"""Deletes the Pods that no CiJob owns any more, a bounded number at each full list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from cijob.errors import ApiConflict, ApiNotFound
from cijob.policies.orphans import may_be_orphan, orphaned

if TYPE_CHECKING:
    from cijob.cache import Store
    from cijob.cluster import Cluster
    from cijob.observation import ObservedPod
    from cijob.transport import Body

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

#: So many Pods are looked into at a time; the rest has its turn at the next full list.
_MOST: Final = 100


class Reaper:
    """Finds orphans in the cache, asks the API server for their CiJob, and deletes those that have none."""

    def __init__(self, cluster: Cluster, pods: Store[ObservedPod], jobs: Store[Body]) -> None:
        self._cluster = cluster
        self._pods = pods
        self._jobs = jobs

    async def reap(self, namespace: str | None) -> None:
        """Delete the orphans of a namespace, or of all; call it when both caches are in step with a list."""
        pods = [pod for key in self._pods if (pod := self._pods.get(key)) is not None]
        here = [pod for pod in pods if namespace in {None, pod.namespace} and may_be_orphan(pod)]
        suspects = [pod for pod in here if orphaned(pod, self._cached_uid(pod))]
        for pod in suspects[:_MOST]:
            if orphaned(pod, await self._stored_uid(pod)):
                await self._delete(pod)

    def _cached_uid(self, pod: ObservedPod) -> str | None:
        body = self._jobs.get((pod.namespace, pod.job_label))
        return None if body is None else str(body["metadata"]["uid"])

    async def _stored_uid(self, pod: ObservedPod) -> str | None:
        """What the API server says: the cache may lag behind a CiJob that was just created."""
        try:
            body = await self._cluster.get_job(pod.namespace, pod.job_label)
        except ApiNotFound:
            return None
        return str(body["metadata"]["uid"])

    async def _delete(self, pod: ObservedPod) -> None:
        try:
            await self._cluster.delete_pod(pod.namespace, pod.name, pod.uid)
        except (ApiNotFound, ApiConflict):
            return  # it is gone, or another one
        log.info("deleted a Pod whose CiJob is gone", pod=f"{pod.namespace}/{pod.name}")
