"""The operator's composition root: settings, logging, cluster, cache, queue, watches, health; and a clean stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

import structlog

from cijob import health, leader, logs, names, preflight
from cijob.cluster import Cluster, connect
from cijob.errors import ConfigurationError
from cijob.jobs import JobWatch
from cijob.metrics import Metrics
from cijob.operation import Operator
from cijob.pods import PodWatch
from cijob.poolstatus import PoolReporter
from cijob.reconciler import Reconciler
from cijob.settings import Settings
from cijob.workqueue import WorkQueue

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import NoReturn

    from cijob.observation import ObservedPod

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

#: Seconds that work under way gets at a clean stop.
_DRAIN: Final = 10.0
#: Exit code of a process that led and may do so no longer.
_LOST: Final = 3


def run() -> None:
    """Run the operator until SIGTERM or SIGINT; the process's exit code is 0 then, 1 if it cannot work, 3 if it lost the lead."""
    try:
        settings = Settings.from_environment(os.environ)
    except ConfigurationError as error:
        sys.exit(f"cijob-operator: {error}")
    logs.configure(settings)
    try:
        well = asyncio.run(_operate(settings))
    except ConfigurationError as error:
        log.error("the operator cannot work", problem=str(error))  # noqa: TRY400  the message is all there is to say
        sys.exit(1)
    except OSError as error:
        log.error("the operator cannot serve its health endpoints", problem=str(error), port=settings.health_port)  # noqa: TRY400
        sys.exit(1)
    if not well:
        sys.exit(1)


async def _operate(settings: Settings) -> bool:
    """Gives whether all went well."""
    stopping = asyncio.Event()
    _stop_on_signals(stopping)
    async with contextlib.aclosing(Cluster(await connect(f"{names.COMPONENT}/{_version()}"))) as cluster:
        operator = _assemble(cluster, settings, stopping)
        metrics = Metrics(_now)
        metrics.attach(operator, cluster, _version())
        server = await health.serve(
            settings.health_port, alive=operator.alive, ready=operator.ready, metrics=metrics.render
        )
        try:
            await _until(stopping, preflight.check(cluster, settings))
            if not stopping.is_set() and await _until(stopping, operator.run(), operator.queue):
                await operator.elector.release()
        finally:
            await server.cleanup()
    log.info("the operator has stopped")
    _nothing_matters_any_more()
    return operator.jobs.problem is None


def _stop_on_signals(stopping: asyncio.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)


def _nothing_matters_any_more() -> None:
    """Let the loop close what is left in peace.

    Of kopf's watch that is two generators, one inside the other: closed at once, one may complain (kopf 1.45: `infinite_watch`).
    """
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: log.debug("left over at the end", problem=context["message"])
    )


def _version() -> str:
    try:
        return version("cijob")
    except PackageNotFoundError:  # run from a source tree
        return "source"


def _assemble(cluster: Cluster, settings: Settings, stopping: asyncio.Event) -> Operator:
    queue = WorkQueue()
    reconciler = Reconciler(cluster, queue, settings, _now)

    def enqueue(pod: ObservedPod) -> None:
        if pod.owner_name:
            queue.add((pod.namespace, pod.owner_name))

    place = leader.Place(settings.lease_namespace, settings.lease_name)
    elector = leader.Elector(cluster, place, leader.identity(), _end_at_once)
    cluster.before_write = elector.check
    return Operator(
        settings=settings,
        reconciler=reconciler,
        queue=queue,
        jobs=JobWatch(
            reconciler.jobs,
            reconciler.pools,
            queue,
            settings.namespaces,
            lambda: _stop_on_signals(stopping),
            stopping.set,
        ),
        pods=[PodWatch(cluster, reconciler, namespace, enqueue) for namespace in settings.namespaces or (None,)],
        elector=elector,
        reporter=PoolReporter(cluster, reconciler.pools, reconciler.admitter, _now),
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _end_at_once(why: str) -> NoReturn:
    """No clean-up: whatever ran on for a moment might still write."""
    log.error("this process must not lead any longer and ends at once; another takes over", why=why)
    os._exit(_LOST)


async def _until(stopping: asyncio.Event, work: Coroutine[Any, Any, None], queue: WorkQueue | None = None) -> bool:
    """Do work until it ends or the process is told to stop; what is under way in the queue may end first.

    Gives whether nothing was cut off in its middle.
    """
    task, stop = asyncio.create_task(work), asyncio.create_task(stopping.wait())
    await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    drained = True
    if not task.done():
        drained = queue is None or await queue.drain(_DRAIN)
        if not drained:
            log.warning("stopping with work under way; it is done again by the next leader", keys=len(queue or ()))
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return drained
