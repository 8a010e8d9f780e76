"""The operator's composition root: settings, logging, cluster, cache, queue, watches, health; and a clean stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final, cast

import kopf
import structlog

from cijob import handlers, health, logs, names, preflight
from cijob.cluster import Cluster, connect
from cijob.errors import ApiError, ConfigurationError
from cijob.pods import PodWatch
from cijob.reconciler import Reconciler
from cijob.settings import Settings
from cijob.workqueue import WorkQueue

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from cijob.observation import ObservedPod

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_WORKERS: Final = 32
#: Seconds that work under way gets at a clean stop, and after which work counts as stuck.
_DRAIN: Final = 10.0
_STUCK: Final = 120.0
_SILENT: Final = 180.0
_PAUSE: Final = 2.0


def run() -> None:
    """Run the operator until SIGTERM or SIGINT; the process's exit code is 0 then, and 1 if it cannot work."""
    try:
        settings = Settings.from_environment(os.environ)
    except ConfigurationError as error:
        sys.exit(f"cijob-operator: {error}")
    logs.configure(settings)
    try:
        asyncio.run(_operate(settings))
    except ConfigurationError as error:
        log.error("the operator cannot work", problem=str(error))  # noqa: TRY400  the message is all there is to say
        sys.exit(1)
    except OSError as error:
        log.error("the operator cannot serve its health endpoints", problem=str(error), port=settings.health_port)  # noqa: TRY400
        sys.exit(1)


@dataclass(slots=True)
class Operator:
    """The parts of a running operator, for health checks and the relist."""

    settings: Settings
    reconciler: Reconciler
    queue: WorkQueue
    watches: list[PodWatch]
    jobs_listed: bool = False

    def ready(self) -> str | None:
        """What keeps the operator from deciding, or None."""
        if not self.jobs_listed:
            return "CiJobs were not listed yet"
        return None if all(watch.synced.is_set() for watch in self.watches) else "Pods were not listed yet"

    def alive(self) -> str | None:
        """What is stuck, or None. Silence of the API server is no reason to be killed before it has lasted."""
        now = asyncio.get_running_loop().time()
        oldest = self.queue.oldest_work()
        if oldest is not None and now - oldest > _STUCK:
            return f"work on a CiJob takes {now - oldest:.0f} s"
        if any(watch.synced.is_set() and now - watch.last_sign > _SILENT for watch in self.watches):
            return "the watch of Pods is silent"
        return None

    async def work(self) -> None:
        """Work the queue once everything was listed: a decision on half a cache would be a guess."""
        for watch in self.watches:
            await watch.synced.wait()
        while not await self._relisted_jobs():  # noqa: ASYNC110  nothing else tells that the API server is back
            await asyncio.sleep(_PAUSE)
        self.jobs_listed = True
        log.info("the operator is ready", jobs=len(self.reconciler.jobs), pods=len(self.reconciler.pods))
        async with asyncio.TaskGroup() as group:
            group.create_task(self.queue.run(self.reconciler.reconcile, _WORKERS))
            group.create_task(self._relist_regularly())

    async def _relisted_jobs(self) -> bool:
        try:
            for namespace in self.settings.namespaces or (None,):
                await self.reconciler.relist_jobs(namespace)
        except ApiError as error:
            log.warning("cannot list CiJobs: trying again", error=error.message)
            return False
        return True

    async def _relist_regularly(self) -> None:
        """What the watches missed."""
        while True:
            await asyncio.sleep(self.settings.relist_seconds)  # the period itself
            try:
                for watch in self.watches:
                    await watch.relist()
            except ApiError as error:
                log.warning("cannot list Pods: trying again next time", error=error.message)
            await self._relisted_jobs()


async def _operate(settings: Settings) -> None:
    stopping = asyncio.Event()
    _stop_on_signals(stopping)
    async with contextlib.aclosing(Cluster(await connect(_user_agent()))) as cluster:
        operator = _assemble(cluster, settings)
        server = await health.serve(settings.health_port, alive=operator.alive, ready=operator.ready)
        try:
            await _until(stopping, preflight.check(cluster, settings.namespaces))
            if not stopping.is_set():
                await _until(stopping, _serve(operator, stopping), operator.queue)
        finally:
            await server.cleanup()
    log.info("the operator has stopped")


def _stop_on_signals(stopping: asyncio.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)


def _user_agent() -> str:
    try:
        return f"{names.COMPONENT}/{version('cijob')}"
    except PackageNotFoundError:  # run from a source tree
        return f"{names.COMPONENT}/source"


def _assemble(cluster: Cluster, settings: Settings) -> Operator:
    queue = WorkQueue()
    reconciler = Reconciler(cluster, queue, settings, lambda: datetime.now(UTC))

    def enqueue(pod: ObservedPod) -> None:
        if pod.owner_name:
            queue.add((pod.namespace, pod.owner_name))

    watches = [PodWatch(cluster, reconciler, namespace, enqueue) for namespace in settings.namespaces or (None,)]
    return Operator(settings=settings, reconciler=reconciler, queue=queue, watches=watches)


async def _until(stopping: asyncio.Event, work: Coroutine[Any, Any, None], queue: WorkQueue | None = None) -> None:
    """Do work until it ends or the process is told to stop; what is under way in the queue may end first."""
    task, stop = asyncio.create_task(work), asyncio.create_task(stopping.wait())
    await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not task.done():
        if queue is not None and not await queue.drain(_DRAIN):
            log.warning("stopping with work under way; it is done again at the next start", keys=len(queue))
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _serve(operator: Operator, stopping: asyncio.Event) -> None:
    """Everything that runs for as long as the operator does. What ends by an error ends the process: the kubelet restarts it."""
    log.info("the operator starts", namespaces=operator.settings.namespaces or "all")
    async with asyncio.TaskGroup() as group:
        group.create_task(_watch_jobs(operator, stopping))
        for watch in operator.watches:
            group.create_task(watch.run())
        group.create_task(operator.work())


async def _watch_jobs(operator: Operator, stopping: asyncio.Event) -> None:
    """Kopf takes over the process's signals as it starts: we take them back, to end the work under way first."""
    await kopf.operator(
        registry=handlers.registry(operator.reconciler.jobs, operator.queue, lambda: _stop_on_signals(stopping)),
        # kopf would make its identity out of the user's name, which a bare uid does not have.
        identity=cast("Any", names.COMPONENT),
        standalone=True,
        clusterwide=not operator.settings.namespaces,
        namespaces=operator.settings.namespaces,
    )
    stopping.set()
