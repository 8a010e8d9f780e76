"""The pools at work: which are there, whose turn it is, and what their statuses say.

Nothing here waits for anything: a turn is given and its place reserved in one go, so that no two keys can have it. What
runs is counted from the cache of Pods alone, and reservations stand beside it until their Pod is there.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from cijob import names
from cijob.errors import InvalidSpec
from cijob.parsing import parse_pool
from cijob.policies.admission import Admission
from cijob.policies.pool_rules import selects
from cijob.pool import PoolView, StopPolicy
from cijob.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cijob.cache import Key
    from cijob.cluster import Body
    from cijob.models import CiJob
    from cijob.observation import ObservedPod
    from cijob.pool import BuildPool

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

#: The namespace of a pool's key in the work queue: no CiJob can have it.
POOL_NAMESPACE: Final = ""


class Admitter:
    """Gives CiJobs their turns. `wake` is called with the key of each pool that may have a turn to give."""

    def __init__(self, wake: Callable[[Key], None]) -> None:
        self._wake = wake
        self._pools: dict[str, BuildPool] = {}
        self._problems: dict[str, str] = {}
        #: By the name of the pool, whether it is there or not.
        self.admissions: dict[str, Admission] = {}
        #: Called with a pool, what became of a job there (queued, admitted, withdrawn, returned), and how long it waited.
        self.decided: Callable[[str, str, float], None] = lambda _pool, _decision, _seconds: None
        #: The pool and the Pod of each job that waits, or that has its turn while its Pod is not there yet.
        self._waiting: dict[Key, tuple[str, Key]] = {}
        self._since: dict[Key, float] = {}
        self._reserved: dict[Key, tuple[str, Key]] = {}
        #: Pools whose numbers changed since they were reported.
        self.changed: set[str] = set()

    def pool(self, name: str) -> BuildPool | None:
        """The pool of a name, if there is a readable one."""
        return self._pools.get(name)

    def admission(self, name: str) -> Admission:
        """Who waits and who runs in a pool, whether the pool is there or not."""
        return self.admissions.setdefault(name, Admission())

    def observe(self, body: Body) -> None:
        """Take in a BuildPool as it is now."""
        name = body["metadata"]["name"]
        try:
            pool = parse_pool(body)
        except InvalidSpec as error:
            if self._problems.get(name) != str(error):
                log.error("a BuildPool cannot be read: its jobs wait", pool=name, problem=str(error))  # noqa: TRY400  it says it all
            self._problems[name] = str(error)
            self._forget(name)
            return
        self._problems.pop(name, None)
        if pool == self._pools.get(name):
            return
        self._pools[name] = pool
        capacity = pool.spec.capacity
        held = pool.spec.stop_policy is not StopPolicy.NONE
        self.admission(name).limit(capacity.running, capacity.per_namespace, held=held)
        self._touch(name)

    def gone(self, body: Body) -> None:
        """A BuildPool is gone."""
        self._forget(body["metadata"]["name"])

    def _forget(self, name: str) -> None:
        """Nobody gets a turn until it is there again."""
        if self._pools.pop(name, None) is not None:
            self.admission(name).limit(None, None, held=True)

    def ended(self, pod: ObservedPod) -> None:
        """A Pod has ended, or is gone: its place is free."""
        if self.admission(pod.pool).release((pod.namespace, pod.name)):
            self._touch(pod.pool)

    def saw(self, pod: ObservedPod) -> None:
        """Take in what became of a Pod."""
        if pod.terminal:
            self.ended(pod)
            return
        admission, key = self.admission(pod.pool), (pod.namespace, pod.name)
        if pod.owner_name and self._reserved.get((pod.namespace, pod.owner_name), ("", None))[1] == key:
            del self._reserved[pod.namespace, pod.owner_name]  # the Pod stands for itself now
        admission.occupy(key)
        self.changed.add(pod.pool)

    def view(self, job: CiJob, labels: Mapping[str, str] | None) -> PoolView | None:
        """The job's pool as this job sees it; `labels` are its namespace's, where the pool asks for them."""
        pool = self._pools.get(job.spec.pool_name)
        if pool is None:
            return None
        admission, slot = self.admission(pool.name), _slot(job)
        return PoolView(
            spec=pool.spec,
            admitted=self._reserved.get((job.namespace, job.name)) == (pool.name, slot),
            reason=_why(admission, job.namespace),
            selected=labels is None or selects(pool.spec.namespace_selector, labels),
        )

    def wait(self, job: CiJob) -> None:
        """A job's attempt wants a turn."""
        key, place = (job.namespace, job.name), (job.spec.pool_name, _slot(job))
        if self._waiting.get(key, place) != place:
            self.leave(key)
        if key not in self._waiting:
            self._since[key] = time.monotonic()
            self.decided(place[0], "queued", 0.0)
        self._waiting[key] = place
        created = job.creation_timestamp or datetime.fromtimestamp(0, UTC)
        self.admission(place[0]).wait(key, job.spec.priority, created)
        self._touch(place[0])

    def leave(self, key: Key) -> None:
        """A job wants no turn, and does not use the one that it has: it is over, suspended, refused, or gone."""
        for places in (self._waiting, self._reserved):
            place = places.pop(key, None)
            if place is None:
                continue
            pool, slot = place
            if places is self._waiting:
                self.admission(pool).leave(key)
                self.decided(pool, "withdrawn", time.monotonic() - self._since.pop(key))
            else:
                self.admission(pool).release(slot)
                self.decided(pool, "returned", 0.0)
            self._touch(pool)

    def turns(self, name: str) -> list[Key]:
        """Give all turns that a pool has to give: the keys of the jobs that have one now."""
        if name not in self._pools:
            return []
        admission, jobs = self.admission(name), []
        while (job := admission.admit()) is not None:
            place = self._waiting.pop(job)
            self._reserved[job] = place
            admission.occupy(place[1])
            self.decided(name, "admitted", time.monotonic() - self._since.pop(job))
            jobs.append(job)
        if jobs:
            self.changed.add(name)
        return jobs

    def _touch(self, name: str) -> None:
        self.changed.add(name)
        self._wake((POOL_NAMESPACE, name))


def _slot(job: CiJob) -> Key:
    """The Pod of the job's current attempt."""
    return job.namespace, names.pod_name(job.name, job.uid, job.status.current)


def _why(admission: Admission, namespace: str) -> Reason:
    if admission.held:
        return Reason.POOL_HELD
    if admission.full_for(namespace) and not admission.full():
        return Reason.NAMESPACE_AT_CAPACITY
    return Reason.POOL_AT_CAPACITY
