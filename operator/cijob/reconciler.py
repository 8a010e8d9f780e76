"""Per key: gather, decide, act, and at most one status patch.

What goes wrong with a request is put right here or tried again later by the queue; nothing is lost, since every try
starts from what is observed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from cijob import names
from cijob.actions import (
    NOTHING,
    ConfirmPod,
    CreatePod,
    Decision,
    DeleteJob,
    DeletePod,
    ReadLog,
    StopPod,
)
from cijob.admitter import POOL_NAMESPACE, Admitter
from cijob.cache import Key, Store
from cijob.decisions import decide, decide_unreadable, refused
from cijob.errors import ApiConflict, ApiError, ApiNotFound, ApiUnavailable, InvalidSpec
from cijob.gathering import Gatherer
from cijob.observation import ObservedPod, observe_pod
from cijob.parsing import parse, parse_head
from cijob.policies.creation import Refusal, creation_failure
from cijob.recorder import Recorder, job_identity, pool_identity
from cijob.relisting import Relister

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from cijob.cluster import Cluster
    from cijob.models import CiJob
    from cijob.settings import Settings
    from cijob.transport import Body
    from cijob.workqueue import WorkQueue

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def pod_identity(pod: ObservedPod) -> tuple[Key, str, int]:
    """Key, UID and version of an observed Pod."""
    return (pod.namespace, pod.name), pod.uid, pod.resource_version


class Reconciler:
    """Brings CiJobs one step further at a time."""

    def __init__(self, cluster: Cluster, queue: WorkQueue, settings: Settings, clock: Callable[[], datetime]) -> None:
        self.admitter = Admitter(queue.add, queue.add_in)
        self.jobs: Store[Body] = Store(job_identity)
        self.pods: Store[ObservedPod] = Store(pod_identity, seen=self.admitter.saw, gone=self.admitter.ended)
        self.pools: Store[Body] = Store(pool_identity, seen=self.admitter.observe, gone=self.admitter.gone)
        self.lists = Relister(cluster, queue, self.jobs, self.pods, self.pools)
        self.recorder = Recorder(cluster, self.jobs, queue, clock)
        self._gatherer = Gatherer(cluster, self.pods, self.admitter)
        self._cluster = cluster
        self._queue = queue
        self._settings = settings
        self._clock = clock

    async def reconcile(self, key: Key) -> None:
        """Work on one key: the callback of the queue."""
        namespace, name = key
        if namespace == POOL_NAMESPACE:
            for job in self.admitter.turns(name):
                self._queue.add(job)
            return
        body = self.jobs.get(key)
        if body is None:
            self._forget(key)
            return
        with structlog.contextvars.bound_contextvars(job=f"{namespace}/{name}", attempt=_attempt(body)):
            try:
                decision = await self._step(key, body)
            except ApiConflict as error:
                log.debug("the object changed meanwhile: looking again", error=str(error))
                self._queue.retry(key)
            except ApiUnavailable as error:
                delay = self._queue.retry(key, error.retry_after or 0.0)
                log.warning(
                    "the API server is not available: trying again", error=error.message, seconds=round(delay, 1)
                )
            except ApiError as error:
                delay = self._queue.retry(key)
                log.error("a request was refused: trying again", error=str(error), seconds=round(delay, 1))  # noqa: TRY400  it says it all
            else:
                if decision.try_again:
                    self._queue.retry(key)
                elif not decision.wants:  # a turn may end as the one before did, such as at a quota
                    self._queue.succeeded(key)

    async def _step(self, key: Key, body: Body) -> Decision:
        try:
            job = parse(body)
        except InvalidSpec as error:
            return await self._invalid(key, body, error)
        decision = await self._act(job, await self._decide(job))
        await self.recorder.write(key, job, decision)
        if decision.look_again_at is not None:
            self._look_again(key, decision.look_again_at)
        return decision

    async def _decide(self, job: CiJob, absent: frozenset[str] = frozenset(), log: str | None = None) -> Decision:
        """Decide, and have the job wait for a turn if it wants one, or give up the one that it does not use."""
        decision = decide(job, await self._gatherer.gather(job, absent, log), self._settings, self._clock())
        if decision.wants:
            self.admitter.wait(job)
        elif isinstance(decision.action, CreatePod):
            self.admitter.starts(job)
        elif not isinstance(decision.action, ConfirmPod):  # after which it is decided anew
            self.admitter.leave((job.namespace, job.name))
        return decision

    async def _act(self, job: CiJob, decision: Decision) -> Decision:
        """Carry out the action; gives what is left to do."""
        match decision.action:
            case CreatePod(manifest=manifest):
                return await self._create_pod(job, manifest)
            case StopPod(pod=pod, why=why, active_deadline_seconds=seconds):
                await self._stop_pod(pod, why, seconds)
            case DeletePod(pod=pod):
                await self._gone_is_fine(self._cluster.delete_pod(pod.namespace, pod.name, pod.uid))
                log.info("deleted the Pod", pod=pod.name)
            case DeleteJob():
                await self._gone_is_fine(self._cluster.delete_job(job.namespace, job.name, job.uid))
                log.info("deleted the CiJob: its time after the end is over")
            case ConfirmPod(name=name, uid=uid):
                return await self._confirm_pod(job, name, uid)
            case ReadLog():
                return await self._read_log(job, decision.action)
            case None:
                pass
        return decision

    async def _confirm_pod(self, job: CiJob, name: str, uid: str) -> Decision:
        """Ask for a Pod that was recorded, and decide anew."""
        absent = frozenset({uid})
        try:
            found = observe_pod(await self._cluster.get_pod(job.namespace, name))
        except ApiNotFound:
            log.info("the Pod is gone", pod=name)
        else:
            if found.owner_uid == job.uid:
                self.pods.observe(found)
            if found.uid == uid:
                absent = frozenset()
        decision = await self._decide(job, absent)
        if isinstance(decision.action, ConfirmPod):  # the cache has yet to catch up
            return Decision(try_again=True)
        return await self._act(job, decision)

    async def _read_log(self, job: CiJob, wanted: ReadLog) -> Decision:
        """Ask once for the last lines of a container, and decide with them, or without if there are none to be had."""
        pod = wanted.pod
        try:
            log_lines = await self._cluster.read_log(
                pod.namespace, pod.name, wanted.container, previous=wanted.previous
            )
        except ApiError as error:
            log.info("the log of a service cannot be read", container=wanted.container, error=str(error))
            log_lines = ""
        return await self._act(job, await self._decide(job, log=log_lines))

    async def _create_pod(self, job: CiJob, manifest: Body) -> Decision:
        try:
            created = await self._cluster.create_pod(manifest)
        except ApiError as error:
            return await self._not_created(job, manifest, error)
        pod = self._observe_pod(created)
        log.info("created the Pod", pod=pod.name)
        return await self._with_created(job)

    async def _not_created(self, job: CiJob, manifest: Body, error: ApiError) -> Decision:
        failure = creation_failure(error)
        if failure.refusal is Refusal.EXISTS:
            try:
                pod = self._observe_pod(await self._cluster.get_pod(job.namespace, manifest["metadata"]["name"]))
            except ApiNotFound as gone:
                raise ApiConflict(gone.status, gone.reason, "the Pod of that name went meanwhile") from gone
            log.info("the Pod is there already", pod=pod.name)
            return await self._with_created(job)
        if failure.refusal is Refusal.AGAIN:
            if isinstance(error, ApiConflict | ApiUnavailable):
                raise error
            log.info("the namespace is not ready for Pods yet", error=error.message)
        if failure.refusal is Refusal.FORBIDDEN:
            log.error(
                "the operator may not create Pods: install the chart's RBAC for this namespace", error=error.message
            )
        if failure.refusal is Refusal.QUOTA:
            self.admitter.refused(job)
        else:
            self.admitter.leave((job.namespace, job.name))
        return refused(job, failure, self._clock())

    async def _with_created(self, job: CiJob) -> Decision:
        decision = await self._decide(job)
        if decision.action is not None:  # one at a time
            self._queue.add((job.namespace, job.name))
        return decision

    async def _stop_pod(self, pod: ObservedPod, why: str, seconds: int) -> None:
        patch: list[Body] = [
            {"op": "test", "path": "/metadata/uid", "value": pod.uid},
            {"op": "add", "path": f"/metadata/annotations/{_escaped(names.ANNOTATION_STOP)}", "value": why},
            {"op": "add", "path": "/spec/activeDeadlineSeconds", "value": seconds},
        ]
        try:
            stopped = self._observe_pod(await self._cluster.patch_pod(pod.namespace, pod.name, patch)).stop == why
        except ApiNotFound:
            stopped = self.pods.remove(pod)
        if stopped:  # it may have ended unseen: what the answer says is no news any more when a watch tells it
            self._queue.add((pod.namespace, pod.owner_name))
        log.info("stopping the Pod", pod=pod.name, why=why)

    async def _gone_is_fine(self, request: Any) -> None:  # noqa: ANN401  any awaitable
        try:
            await request
        except ApiNotFound:
            return

    async def _invalid(self, key: Key, body: Body, error: InvalidSpec) -> Decision:
        """A CiJob that got past the API server's checks, with an older CRD for example."""
        try:
            head = parse_head(body)
        except InvalidSpec as worse:
            log.error("a CiJob cannot be read, nor can its status be written", error=str(worse))  # noqa: TRY400  it says it all
            return NOTHING
        self.admitter.leave(key)
        ttl = (body.get("spec") or {}).get("ttlSecondsAfterFinished")
        decision = decide_unreadable(
            head, ttl if isinstance(ttl, int) else None, str(error), self._settings, self._clock()
        )
        if isinstance(decision.action, DeleteJob):
            await self._gone_is_fine(self._cluster.delete_job(head.namespace, head.name, head.uid))
        await self.recorder.write(key, head, decision)
        if decision.look_again_at is not None:
            self._look_again(key, decision.look_again_at)
        return decision

    def _observe_pod(self, body: Body) -> ObservedPod:
        pod = observe_pod(body)
        self.pods.observe(pod)
        return self.pods.get((pod.namespace, pod.name)) or pod

    def _look_again(self, key: Key, when: datetime) -> None:
        self._queue.add_in(key, (when - self._clock()).total_seconds())

    def _forget(self, key: Key) -> None:
        self._queue.forget(key)
        self.admitter.leave(key)
        gone = self.jobs.removed(key)
        if gone is not None:
            self.recorder.forget(gone["metadata"]["uid"])
            for number in range(1, _attempt(gone) + 1):
                self.pods.forget((key[0], names.pod_name(key[1], gone["metadata"]["uid"], number)))


def _attempt(body: Body) -> int:
    """The number of a raw CiJob's current attempt."""
    number = (body.get("status") or {}).get("attempt")
    return number if isinstance(number, int) else 1


def _escaped(key: str) -> str:
    """A key in a JSON Pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")
