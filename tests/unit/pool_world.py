"""FAKE: API server and kubelets, and operators that live and die, in virtual time. Run with `virtual_time.run`."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from cijob.observation import observe_pod
from cijob.reconciler import Reconciler
from cijob.settings import Settings
from cijob.workqueue import WorkQueue
from tests.unit import virtual_time
from tests.unit.builders import PodBuilder, a_cijob, at, stamp
from tests.unit.fake_cluster import FakeCluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from tests.unit.builders import Body

#: Seconds: how late events come, how long a request takes, after how long a Pod's job starts and ends.
LATE, REQUEST, START, RUN = 0.01, 0.002, 2.0, 10.0
ENDED = {"Succeeded", "Failed"}


def now() -> datetime:
    """The time of all clocks."""
    return at(virtual_time.now())


class Process:
    """An operator's process: its caches, its queue, and whether it leads."""

    def __init__(self, api: Api) -> None:
        self.queue = WorkQueue()
        self.reconciler = Reconciler(api, self.queue, Settings(), now)
        self.leads = False
        self._api = api
        self._task = asyncio.create_task(self.queue.run(self._work, 4))

    async def _work(self, key: tuple[str, str]) -> None:
        if self.leads:
            await self.reconciler.reconcile(key)

    async def lead(self) -> None:
        """List everything, then decide on every CiJob, as `operation` does."""
        pods, version = await self._api.list_pods(None)
        await self.reconciler.lists.relist_pools()
        self.reconciler.pods.replace(map(observe_pod, pods), version)
        await self.reconciler.lists.relist_jobs(None)
        self.leads = True
        for key in self.reconciler.jobs:
            self.queue.add(key)

    def see(self, kind: str, of: str, body: Body) -> None:
        """An event of a watch."""
        if of == "pod":
            pod, pods = observe_pod(body), self.reconciler.pods
            if pods.remove(pod) if kind == "DELETED" else pods.observe(pod):
                self.queue.add((pod.namespace, pod.owner_name))
            return
        store = self.reconciler.jobs if of == "job" else self.reconciler.pools
        if (store.remove(body) if kind == "DELETED" else store.observe(body)) and of == "job":
            self.queue.add((body["metadata"]["namespace"], body["metadata"]["name"]))

    async def die(self) -> None:
        """In the middle of whatever it does."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


class Api(FakeCluster):
    """An API server that takes a moment for a Pod and keeps a record of all there were."""

    def __init__(self) -> None:
        super().__init__()
        #: When each Pod was created, and how many had not ended right after it.
        self.starts: list[tuple[float, str, str, int]] = []
        #: What was written into statuses: the job's name, phase and reason.
        self.wrote: list[tuple[str, str, str]] = []

    async def create_pod(self, manifest: Body) -> Body:
        """POST, with a note."""
        await asyncio.sleep(REQUEST)  # virtual
        before = len(self.pods)
        try:
            return await super().create_pod(manifest)
        finally:
            if len(self.pods) > before:
                job = manifest["metadata"]["labels"]["cijob.dev/job"]
                namespace = manifest["metadata"]["namespace"]
                self.starts.append((virtual_time.now(), namespace, job, len(self.alive())))

    async def patch_job_status(self, namespace: str, name: str, patch: list[Body]) -> Body:
        """PATCH, with a note."""
        answer = await super().patch_job_status(namespace, name, patch)
        self.wrote.append((name, answer["status"]["phase"], answer["status"].get("reason", "")))
        return answer

    def alive(self) -> list[Body]:
        """Pods that have not ended."""
        return [body for body in self.pods.values() if body["status"]["phase"] not in ENDED]


@dataclass
class PoolWorld:
    """All of it."""

    api: Api = field(default_factory=Api)
    processes: list[Process] = field(default_factory=list)
    #: Whether kubelets end Pods after a while.
    ending: bool = True

    def __post_init__(self) -> None:
        self.api.clock = now

    @asynccontextmanager
    async def running(self, **pool: Any) -> AsyncIterator[PoolWorld]:  # noqa: ANN401  fields of a spec
        """With one operator that leads, and a default pool."""
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        self.api.store_pool(**pool)
        world = asyncio.create_task(self._go_on())
        await self.start().lead()
        try:
            yield self
        finally:
            world.cancel()
            assert [process.queue.broken for process in self.processes] == [0] * len(self.processes), (
                "no internal errors"
            )
            for process in self.processes:
                await process.die()
            structlog.reset_defaults()

    def start(self) -> Process:
        """One more process, which knows nothing yet."""
        process = Process(self.api)
        self.processes.append(process)
        return process

    def create(self, namespace: str, name: str, uid: str = "", **spec: object) -> None:
        """A user creates a CiJob."""
        created = stamp(virtual_time.now())
        job = a_cijob().with_meta(
            namespace=namespace, name=name, uid=uid or f"{namespace}-{name}", creationTimestamp=created
        )
        self.api.store_job(job.without_docker().with_spec(**spec))

    def change(self, namespace: str, name: str, **spec: object) -> None:
        """A user changes one."""
        job = copy.deepcopy(self.api.jobs[namespace, name])
        job["spec"] |= spec
        self.api.store_job(a_cijob().with_(**job))

    def end(self, namespace: str, name: str) -> None:
        """The kubelet ends a job's Pod."""
        (body,) = (
            body
            for body in self.api.alive()
            if (body["metadata"]["namespace"], body["metadata"]["labels"]["cijob.dev/job"]) == (namespace, name)
        )
        pod = PodBuilder(body).terminated(0, finished=virtual_time.now())
        self.api.store_pod(pod.ended("Succeeded"))

    def status(self, namespace: str, name: str) -> Body:
        """A CiJob's status."""
        status: Body = self.api.jobs[namespace, name].get("status", {})
        return status

    def phases(self) -> set[str]:
        """Of all CiJobs."""
        return {(body.get("status") or {}).get("phase", "Pending") for body in self.api.jobs.values()}

    def started(self) -> list[str]:
        """Who got a Pod, in order."""
        return [f"{namespace}/{name}" for _, namespace, name, _ in self.api.starts]

    def pool(self) -> tuple[int, int]:
        """How many run, and how many wait, as the leader counts."""
        admission = self.processes[-1].reconciler.admitter.admission("default")
        return admission.occupied, admission.queued

    async def _go_on(self) -> None:
        """Events arrive, and Pods end."""
        while True:
            await asyncio.sleep(LATE)  # virtual
            told, self.api.told = self.api.told, []
            for event in told:
                for process in self.processes:
                    process.see(*copy.deepcopy(event))
            for body in self.api.alive():
                pod = PodBuilder(body)
                age = (now() - pod.pod.created).total_seconds()
                if age >= START and pod.pod.start_time is None:
                    self.api.store_pod(pod.running(virtual_time.now()))
                elif age >= RUN and self.ending:
                    self.end(pod.pod.namespace, pod.pod.job_label)
