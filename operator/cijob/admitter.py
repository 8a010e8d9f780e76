"""The pools at work: which are there, whose turn it is, and who counts as running.

Nothing here waits for anything: a turn is given and its place reserved in one go, so that no two keys can have it. A place
is taken by a Pod that has not ended, as the cache of Pods has it, or by a turn whose Pod is not there yet.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
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
    from cijob.models import CiJob
    from cijob.observation import ObservedPod
    from cijob.pool import BuildPool
    from cijob.transport import Body

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

#: The namespace of a pool's key in the work queue: no CiJob can have it.
POOL_NAMESPACE: Final = ""

#: A namespace whose quota has refused so many Pods in a row lets the others pass, for 1 s and then twice as long each time.
_REFUSALS: Final = 8
_LONGEST_ASIDE: Final = 60.0

Place = tuple[str, "Key"]
"""A pool, and the Pod that takes the place there."""


class Admitter:
    """Gives CiJobs their turns.

    `wake` is called with each key to look at: pools that may have a turn to give, and jobs; `wake_in` for one later on.
    """

    def __init__(self, wake: Callable[[Key], None], wake_in: Callable[[Key, float], None]) -> None:
        self._wake = wake
        self._wake_in = wake_in
        self._pools: dict[str, BuildPool] = {}
        self._problems: dict[str, str] = {}
        #: By the name of the pool, whether it is there or not.
        self.admissions: dict[str, Admission] = {}
        #: Called with a pool, what became of a job there (queued, admitted, withdrawn, returned), and how long it waited.
        self.decided: Callable[[str, str, float], None] = lambda _pool, _decision, _seconds: None
        #: The place that each job waits for, or that it has while its Pod is not there yet: never both.
        self._waiting: dict[Key, Place] = {}
        self._since: dict[Key, float] = {}
        self._reserved: dict[Key, Place] = {}
        #: The Pods that count, with the pool where they do (its label may change) and the job that owns them.
        self._running: dict[Key, tuple[str, Key]] = {}
        #: Pool and namespace: refusals of its quota in a row, and until when it stands aside (time of the loop).
        self._refusals: Counter[tuple[str, str]] = Counter()
        self._aside: dict[tuple[str, str], float] = {}
        #: Pools whose numbers changed since they were reported.
        self.changed: set[str] = set()

    def pool(self, name: str) -> BuildPool | None:
        """The pool of a name, if there is a readable one."""
        return self._pools.get(name)

    def admission(self, name: str) -> Admission:
        """Who waits and who runs in a pool, whether the pool is there or not."""
        return self.admissions.setdefault(name, Admission())

    # --- pools

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
        before = self._pools.get(name)
        self._pools[name] = pool
        if before is not None and before.spec == pool.spec:
            return  # its status, most of the time
        capacity = pool.spec.capacity
        held = pool.spec.stop_policy is not StopPolicy.NONE
        self.admission(name).limit(capacity.running, capacity.per_namespace, held=held)
        self._changed_rules(name)

    def gone(self, body: Body) -> None:
        """A BuildPool is gone."""
        self._forget(body["metadata"]["name"])

    def _forget(self, name: str) -> None:
        """Nobody gets a turn until it is there again."""
        if self._pools.pop(name, None) is not None:
            self.admission(name).limit(None, None, held=True)
            self._changed_rules(name)
            self._tidy(name)

    def _changed_rules(self, name: str) -> None:
        """All jobs of a pool are looked at: what they wait for, may have, or have to do may be another thing now."""
        self._touch(name)
        for places in (self._waiting, self._reserved):
            for job, place in places.items():
                if place[0] == name:
                    self._wake(job)
        for pool, job in self._running.values():
            if pool == name and job[1]:
                self._wake(job)

    # --- Pods

    def saw(self, pod: ObservedPod) -> None:
        """Take in what became of a Pod."""
        if pod.terminal:
            self.ended(pod)
            return
        key, job = (pod.namespace, pod.name), (pod.namespace, pod.owner_name)
        if key in self._running:
            return
        name = pod.pool
        if job in self._reserved and self._reserved[job][1] == key:
            name, _ = self._reserved.pop(job)  # the Pod stands for itself now
        self._running[key] = name, job
        self._comes_back(name, pod.namespace)
        self._refusals.pop((name, pod.namespace), None)
        self.admission(name).occupy(key)
        self.changed.add(name)

    def ended(self, pod: ObservedPod) -> None:
        """A Pod has ended, or is gone: its place is free."""
        key = (pod.namespace, pod.name)
        if key in self._running:
            name, _ = self._running.pop(key)
            self.admission(name).release(key)
            self._comes_back(name, pod.namespace)  # its quota has room now
            self._touch(name)
            self._tidy(name)

    # --- jobs

    def view(self, job: CiJob, labels: Mapping[str, str] | None = None) -> PoolView | None:
        """The job's pool as this job sees it; `labels` are its namespace's, where the pool asks for them."""
        pool = self._pools.get(job.spec.pool_name)
        if pool is None:
            return None
        admission = self.admission(pool.name)
        has_turn = self._reserved.get((job.namespace, job.name)) == _place(job)
        return PoolView(
            spec=pool.spec,
            admitted=has_turn or admission.unlimited,
            reason=_why_not(admission, job.namespace),
            selected=labels is None or selects(pool.spec.namespace_selector, labels),
        )

    def wait(self, job: CiJob) -> None:
        """A job's attempt wants a turn."""
        key, place = (job.namespace, job.name), _place(job)
        if key in self._reserved or self._waiting.get(key, place) != place:
            self.leave(key)  # another attempt, or another CiJob of the name
        if key not in self._waiting:
            self._since[key] = time.monotonic()
            self.decided(place[0], "queued", 0.0)
        self._waiting[key] = place
        created = job.creation_timestamp or datetime.fromtimestamp(0, UTC)
        self.admission(place[0]).wait(key, job.spec.priority, created)
        self._touch(place[0])

    def starts(self, job: CiJob) -> None:
        """The Pod of a job's attempt is about to be created: its place is taken, where nobody has to wait for one too."""
        key, place = (job.namespace, job.name), _place(job)
        if self._reserved.get(key) == place:
            return
        if key in self._reserved:
            self.leave(key)  # that of another attempt, or of another CiJob of the name
        self._reserve(key, place, self._stop_waiting(key))
        self.changed.add(place[0])

    def leave(self, key: Key) -> None:
        """A job wants no turn, and does not use the one that it has: it is over, suspended, refused, or gone."""
        if key in self._waiting:
            name, _ = self._waiting[key]
            self.decided(name, "withdrawn", self._stop_waiting(key))
            self._touch(name)
            self._tidy(name)
        if key in self._reserved:
            name, slot = self._reserved.pop(key)
            if slot not in self._running:
                self.admission(name).release(slot)
                self.decided(name, "returned", 0.0)
            self._touch(name)
            self._tidy(name)

    def refused(self, job: CiJob) -> None:
        """The namespace's quota has no room for a job that has its turn: others need not wait for that."""
        name, namespace = job.spec.pool_name, job.namespace
        self.leave((namespace, job.name))
        if (name, namespace) in self._aside:
            return
        self._refusals[name, namespace] += 1
        more = self._refusals[name, namespace] - _REFUSALS
        if more >= 0:
            seconds = min(_LONGEST_ASIDE, 2.0 ** min(more, 16))
            self._aside[name, namespace] = asyncio.get_running_loop().time() + seconds
            self.admission(name).step_aside(namespace, aside=True)
            self._wake_in((POOL_NAMESPACE, name), seconds)
        if more == 0:  # they wait for something else than they did
            for waiting, place in self._waiting.items():
                if (place[0], waiting[0]) == (name, namespace):
                    self._wake(waiting)

    def turns(self, name: str) -> list[Key]:
        """Give all turns that a pool has to give: the keys of the jobs that have one now."""
        if name not in self._pools:
            return []
        self._have_back(name)
        admission, jobs = self.admission(name), []
        while (job := admission.admit()) is not None:
            place = self._waiting[job]
            self._reserve(job, place, self._stop_waiting(job))
            jobs.append(job)
        if jobs:
            self.changed.add(name)
        return jobs

    def _have_back(self, name: str) -> None:
        """Have those back in a pool who stood aside for long enough, and look again when the next may."""
        mine = {namespace: until for (pool, namespace), until in self._aside.items() if pool == name}
        if not mine:
            return
        now = asyncio.get_running_loop().time()
        for namespace, until in mine.items():
            if now >= until:
                self._comes_back(name, namespace)
        later = [until - now for until in mine.values() if until > now]
        if later:  # a key has one timer
            self._wake_in((POOL_NAMESPACE, name), min(later))

    def _comes_back(self, name: str, namespace: str) -> None:
        if self._aside.pop((name, namespace), None) is not None:
            self.admission(name).step_aside(namespace, aside=False)

    def _reserve(self, key: Key, place: Place, waited: float) -> None:
        name, slot = place
        self._reserved[key] = place
        self.admission(name).occupy(slot)
        self.decided(name, "admitted", waited)

    def _stop_waiting(self, key: Key) -> float:
        """Gives how long the job has waited."""
        place = self._waiting.pop(key, None)
        if place is None:
            return 0.0
        self.admission(place[0]).leave(key)
        return time.monotonic() - self._since.pop(key)

    def _tidy(self, name: str) -> None:
        """A pool that is not there is forgotten with the last that was in it: CiJobs may name any number of them."""
        admission = self.admissions.get(name)
        if name not in self._pools and admission is not None and not admission.queued and not admission.occupied:
            del self.admissions[name]

    def _touch(self, name: str) -> None:
        self.changed.add(name)
        self._wake((POOL_NAMESPACE, name))


def _place(job: CiJob) -> Place:
    """The place of the job's current attempt."""
    return job.spec.pool_name, (job.namespace, names.pod_name(job.name, job.uid, job.status.current))


def _why_not(admission: Admission, namespace: str) -> Reason | None:
    """Why a job of a namespace cannot start now; None if there is room."""
    if admission.held:
        return Reason.POOL_HELD
    if admission.full():
        return Reason.POOL_AT_CAPACITY
    if admission.full_for(namespace):
        return Reason.NAMESPACE_AT_CAPACITY
    return Reason.QUOTA_EXCEEDED if admission.aside(namespace) else None
