"""What Prometheus sees of the operator: the instruments, and how they are fed. docs/monitoring.md explains each.

Events are counted as they happen, through callbacks of the parts that know nothing of this module; what is a state is read
from the parts at each scrape. Labels have few values: pools are an administrator's objects, and jobs of a pool that is not
there count under one name.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter as Sums
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from cijob import names
from cijob.models import CiJob, Phase
from cijob.reasons import INFRASTRUCTURE, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from prometheus_client.core import Metric

    from cijob.actions import Decision
    from cijob.cluster import Cluster
    from cijob.models import CiJobHead
    from cijob.observation import ContainerState, ObservedPod
    from cijob.operation import Operator
    from cijob.policies.admission import Admission

#: In a pool's place where there is none of the name: a job may name any, but a label must not have any value.
NO_POOL: Final = "(none)"

_REQUEST: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_DELAY: Final = (0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300, 600)
_WAIT: Final = (0.01, 0.1, 1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 14400, 43200)
_RUN: Final = (5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400)
_TOO_MANY: Final = 429


class Metrics:
    """Counts what an operator does from `attach` on. `clock` is that of the verdicts."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        # The times of creation are a third of all series, for nothing that we would ask for.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # no types there
        self.registry = CollectorRegistry(auto_describe=True)
        prometheus_client.ProcessCollector(registry=self.registry)
        prometheus_client.PlatformCollector(registry=self.registry)
        prometheus_client.GCCollector(registry=self.registry)
        self._clock = clock
        self._jobs = self._counter(
            "jobs_finished", "CiJobs that ended, by their final phase and its reason.", "pool", "outcome", "reason"
        )
        self._attempts = self._counter(
            "attempts_finished",
            "Attempts with a Pod that ended, those that were retried too, by reason and by its cause: none, job, infrastructure.",
            "pool", "cause", "reason",
        )  # fmt: skip
        self._admissions = self._counter(
            "admissions",
            "Decisions on turns: queued, admitted, withdrawn from the queue, returned without use.",
            "pool", "decision",
        )  # fmt: skip
        self._requests = self._counter(
            "api_requests", "Requests to the API server; the code none: there was no answer.", "verb", "code"
        )
        self._request = self._histogram(
            "api_request_duration", "Time until the API server began to answer.", _REQUEST, "verb"
        )
        self._wait = self._histogram(
            "queue_wait", "Time from when this process saw a job want a turn until it had one.", _WAIT, "pool"
        )
        self._creation = self._histogram(
            "pod_creation_delay", "Time from the creation of a CiJob to that of its first Pod, in whole seconds.", _WAIT, "pool"
        )  # fmt: skip
        self._startup = self._histogram(
            "pod_startup", "Time from the creation of a Pod to the start of its job container, in whole seconds.", _DELAY, "pool"
        )  # fmt: skip
        self._stages = self._histogram(
            "pod_startup_stage",
            "The same in parts, each until: node (a kubelet has the Pod), daemon (dind runs), job (the job container runs).",
            _DELAY, "pool", "stage",
        )  # fmt: skip
        self._run = self._histogram("job_run", "Time that the job container ran, in whole seconds.", _RUN, "pool")
        self._verdict = self._histogram(
            "verdict_delay", "Time from the end of the job container, in whole seconds, to the status that says so.", _DELAY, "pool"
        )  # fmt: skip

    def attach(self, operator: Operator, cluster: Cluster, version: str) -> None:
        """Listen to the parts of an operator, and show their states."""
        self._admitter, self._pods = operator.reconciler.admitter, operator.reconciler.pods
        operator.reconciler.recorder.wrote = self._wrote
        operator.reconciler.admitter.decided = self._decided
        cluster.answered = self._answered
        self.registry.register(_States(operator, version))

    def render(self, accept: str) -> tuple[bytes, str]:
        """All metrics in the form that a scraper accepts, and that form's content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"cijob_{name}_total", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"cijob_{name}_seconds", text, labels, buckets=buckets, registry=self.registry)

    def _answered(self, verb: str, status: int, seconds: float) -> None:
        code = str(status) if status == _TOO_MANY else f"{status // 100}xx" if status else "none"
        self._requests.labels(verb, code).inc()
        self._request.labels(verb).observe(seconds)

    def _decided(self, pool: str, decision: str, seconds: float) -> None:
        pool = self._known(pool)
        self._admissions.labels(pool, decision).inc()
        if decision == "admitted":
            self._wait.labels(pool).observe(seconds)

    def _wrote(self, job: CiJobHead, decision: Decision) -> None:
        before, after = job.status, decision.status
        if after is None:
            return
        pool = self._known(job.spec.pool_name) if isinstance(job, CiJob) else NO_POOL
        pod = self._pods.get((job.namespace, names.pod_name(job.name, job.uid, before.current)))
        if pod is not None and before.phase is not Phase.RUNNING:
            self._started(pool, job, pod)
        if after.attempts != before.attempts:
            reason = after.attempts[-1].reason
            self._attempts.labels(pool, _cause(reason), reason).inc()
            if pod is not None and after.attempts[-1].exit_code is not None:
                self._ended(pool, pod)
        if decision.verdict is not None:
            self._jobs.labels(pool, str(decision.verdict.phase), str(decision.verdict.reason)).inc()

    def _started(self, pool: str, job: CiJobHead, pod: ObservedPod) -> None:
        began = _began(pod.job)
        if began is None or began < pod.created:  # a container that could not be started says 1970
            return
        self._startup.labels(pool).observe(_seconds(pod.created, began))
        if pod.attempt == 1 and job.creation_timestamp is not None:
            self._creation.labels(pool).observe(_seconds(job.creation_timestamp, pod.created))
        since = pod.created
        for stage, until in (("node", pod.start_time), ("daemon", _began(pod.dind)), ("job", began)):
            if until is not None:
                self._stages.labels(pool, stage).observe(_seconds(since, until))
                since = until

    def _ended(self, pool: str, pod: ObservedPod) -> None:
        end = pod.job.terminated
        if end is None or end.started_at is None or end.finished_at is None:
            return
        self._run.labels(pool).observe(_seconds(end.started_at, end.finished_at))
        self._verdict.labels(pool).observe(_seconds(end.finished_at, self._clock()))

    def _known(self, pool: str) -> str:
        return pool if self._admitter.pool(pool) is not None else NO_POOL


@dataclass(frozen=True, slots=True, eq=False)  # the registry wants it hashable, which an Operator is not
class _States(Collector):
    """What is read at each scrape. Pools are shown by the leader alone: only it gives turns."""

    operator: Operator
    version: str

    def collect(self) -> Iterator[Metric]:
        """All of it."""
        operator, queue = self.operator, self.operator.queue
        yield _gauge("build_info", "1, with the operator's version.", "version", {self.version: 1})
        yield GaugeMetricFamily("cijob_leader", "Whether this process leads and decides.", float(operator.decides))
        yield GaugeMetricFamily("cijob_workqueue_depth", "Keys that are worked on or wait for that.", len(queue))
        oldest = queue.oldest_work()
        age = 0.0 if oldest is None else asyncio.get_running_loop().time() - oldest
        yield GaugeMetricFamily("cijob_workqueue_oldest_work_seconds", "For how long the longest work has taken.", age)
        yield CounterMetricFamily("cijob_workqueue_retries", "Work that is done again after trouble.", queue.retried)
        yield CounterMetricFamily("cijob_workqueue_errors", "Work that an internal error ended.", queue.broken)
        now = time.time()
        heard = {resource: now - age for resource, age in operator.silences().items()}
        yield _gauge("last_heard_timestamp_seconds", "The last word from the API server's watch.", "resource", heard)
        stores = {"buildpools": operator.reconciler.pools, "cijobs": operator.reconciler.jobs}
        cached: dict[str, float] = {resource: len(store) for resource, store in stores.items()}
        cached["pods"] = len(operator.reconciler.pods)
        yield _gauge("cached_objects", "Objects in the caches.", "resource", cached)
        if operator.decides:
            yield from _pools(operator)


def _pools(operator: Operator) -> Iterator[Metric]:
    admitter = operator.reconciler.admitter
    running: Sums[str] = Sums()
    queued: Sums[str] = Sums()
    oldest: dict[str, float] = {}
    for name, admission in admitter.admissions.items():
        pool = name if admitter.pool(name) is not None else NO_POOL
        running[pool] += admission.occupied
        queued[pool] += admission.queued
        if admission.oldest is not None:
            oldest[pool] = min(admission.oldest, oldest.get(pool, admission.oldest))
    yield _gauge("pool_running", "Pods that have not ended, and turns given.", "pool", dict(running))
    yield _gauge("pool_queued", "Jobs that wait for their turn.", "pool", dict(queued))
    yield _gauge(
        "pool_oldest_queued_timestamp_seconds", "When the oldest job in the queue was created.", "pool", oldest
    )

    def of_each(text: str, name: str, value: Callable[[Admission], float | None]) -> Metric:
        there = {name: one for name, one in admitter.admissions.items() if admitter.pool(name) is not None}
        values = {name: number for name, one in there.items() if (number := value(one)) is not None}
        return _gauge(name, text, "pool", values)

    yield of_each("Jobs that may run at once; absent: no limit.", "pool_capacity", lambda one: one.running)
    yield of_each(
        "The same of each namespace; absent: no limit.", "pool_namespace_capacity", lambda one: one.per_namespace
    )
    yield of_each("Whether the stop policy keeps jobs from starting.", "pool_held", lambda one: float(one.held))


def _gauge(name: str, text: str, label: str, values: dict[str, float] | dict[str, int]) -> Metric:
    family = GaugeMetricFamily(f"cijob_{name}", text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _cause(reason: str) -> str:
    if reason in INFRASTRUCTURE:
        return "infrastructure"
    return "none" if reason in {Reason.COMPLETED, Reason.CANCELLED} else "job"


def _began(container: ContainerState) -> datetime | None:
    ended = container.terminated
    return container.running_since or (ended.started_at if ended is not None else None)


def _seconds(since: datetime, until: datetime) -> float:
    """Clocks of nodes may be ahead of each other."""
    return max(0.0, (until - since).total_seconds())
