"""Everything that a decision on one CiJob looks at, as one value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cijob import names
from cijob.actions import Observed
from cijob.namespaces import NamespaceLabels
from cijob.policies.attempts import ours
from cijob.policies.pool_rules import selects

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cijob.admitter import Admitter
    from cijob.cache import Key, Store
    from cijob.cluster import Cluster
    from cijob.models import CiJob
    from cijob.observation import ObservedPod


class Gatherer:
    """Looks into the caches; asks the API server only for the labels of a namespace, where a pool chooses by them."""

    def __init__(self, cluster: Cluster, pods: Store[ObservedPod], admitter: Admitter) -> None:
        self._pods = pods
        self._admitter = admitter
        self._labels = NamespaceLabels(cluster)

    async def gather(self, job: CiJob, absent: frozenset[str] = frozenset(), log: str | None = None) -> Observed:
        """What is known of a CiJob's Pods and of its pool.

        Raises:
            ApiError: the labels of its namespace are needed, and the API server does not say them.
        """
        current = job.status.current
        keys = {number: (job.namespace, names.pod_name(job.name, job.uid, number)) for number in range(1, current + 1)}
        labels = await self._namespace_labels(job) if self._may_start(job, keys[current]) else None
        gone = self._pods.removed(keys[current])
        if gone is not None and not (ours(job, gone, current) and job.status.pod_uid in {None, gone.uid}):
            gone = None
        before = [(number, keys[number]) for number in range(1, current)]
        pods = [(number, one) for number, key in before if (one := self._pods.get(key)) is not None]
        removed = {one.uid for _, key in before if (one := self._pods.removed(key)) is not None}
        return Observed(
            pool=self._admitter.view(job, labels),
            pod=self._pods.get(keys[current]),
            gone=gone,
            others=tuple(one for number, one in pods if ours(job, one, number)),
            absent=absent | removed,
            log=log,
        )

    def _may_start(self, job: CiJob, pod: Key) -> bool:
        return self._pods.get(pod) is None and job.spec.cancel is None and not job.status.phase.finished

    async def _namespace_labels(self, job: CiJob) -> Mapping[str, str] | None:
        """The labels of the job's namespace; None where its pool does not ask for them."""
        pool = self._admitter.pool(job.spec.pool_name)
        selector = pool.spec.namespace_selector if pool is not None else None
        if selector is None:
            return None
        return await self._labels.of(job.namespace, lambda labels: selects(selector, labels))
